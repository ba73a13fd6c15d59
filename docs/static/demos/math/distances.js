/**
 * Distances between two densities on bins of a line, from their masses; in nats where a logarithm is in them. Each is
 * the sum of what it finds in every bin, so that it can be drawn too.
 */

import { density } from "./mixtures.js";

/** Centres of n bins between low and high. */
export function centres(low, high, n) {
  return Float64Array.from({ length: n }, (_, i) => low + (high - low) * (i + 0.5) / n);
}

/** Masses of a mixture in bins around these centres: density times width. */
export function masses(mixture, x) {
  const width = x[1] - x[0];
  return x.map((v) => density(mixture, v) * width);
}

const information = (p, q) => (p > 0 ? p * Math.log(p / q) : 0);

/** p log(p / q), of either sign: its sum is KL(p || q). */
export function kl(p, q) {
  return p.map((v, i) => information(v, q[i]));
}

/** JSD(p || q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2. */
export function jensenShannon(p, q) {
  return p.map((v, i) => (information(v, (v + q[i]) / 2) + information(q[i], (v + q[i]) / 2)) / 2);
}

/** |p - q| / 2. */
export function totalVariation(p, q) {
  return p.map((v, i) => Math.abs(v - q[i]) / 2);
}

/** |F - G| times the width of a bin: W_1 = integral |F - G|. */
export function wasserstein(p, q, width) {
  let above = 0;
  return p.map((v, i) => {
    above += v - q[i];
    return Math.abs(above) * width;
  });
}

/** Name to what is found in every bin: of p, q and the width of the bins. */
export const PARTS = {
  forward: kl, reverse: (p, q) => kl(q, p), jsd: jensenShannon, tv: totalVariation, w1: wasserstein,
};

/** Name to distance, of two mixtures on the bins around x. */
export function distances(first, second, x) {
  return between(masses(first, x), masses(second, x), x[1] - x[0]);
}

/** The same of masses in bins of this width. */
export function between(p, q, width) {
  return Object.fromEntries(Object.entries(PARTS).map(([name, part]) =>
    [name, part(p, q, width).reduce((sum, v) => sum + v, 0)]));
}
