/**
 * A model whose evidence is known: p(z) two equal normals of std 1, `apart` from each other around 0, and
 * p(x|z) = N(x; z, noise^2). With apart = 0 it is the linear Gaussian model of one latent. q(z) = N(mean, std^2).
 */

import { logDensity, logNormal, logSumExp, pair } from "./mixtures.js";

const HALF = 12; // standard deviations of q to each side, and
const POINTS = 1201; // points of the trapezoidal rule, whose error is far below rounding for such integrands

export function prior({ apart }) {
  return pair(0, 1, apart);
}

/** log p(x) = log sum_k w_k N(x; m_k, 1 + noise^2), the latent integrated out. */
export function logEvidence(model, x) {
  const { noise } = model;
  return logDensity(prior(model).map((part) => ({ ...part, std: Math.hypot(part.std, noise) })), x);
}

/** p(z|x), a mixture with a component for each of the prior's. */
export function posterior(model, x) {
  const { noise } = model, precision = 1 + 1 / noise ** 2;
  const parts = prior(model).map(({ weight, mean }) => ({
    log: Math.log(weight) + logNormal(x, mean, Math.hypot(1, noise)), mean: (mean + x / noise ** 2) / precision,
  }));
  const total = logSumExp(parts.map((part) => part.log));
  return parts.map(({ log, mean }) => ({ weight: Math.exp(log - total), mean, std: precision ** -0.5 }));
}

/** E_q f(z) = integral of q(z) f(z), by the trapezoidal rule. */
export function expectation({ mean, std }, f) {
  const step = 2 * HALF / (POINTS - 1);
  let sum = 0;
  for (let i = 0; i < POINTS; i++) {
    const u = -HALF + i * step;
    sum += Math.exp(logNormal(u, 0, 1)) * step * f(mean + std * u);
  }
  return sum;
}

/** ELBO = E_q[log p(x|z) + log p(z) - log q(z)]. */
export function elbo(model, x, q) {
  const p = prior(model);
  return expectation(q, (z) => logNormal(x, z, model.noise) + logDensity(p, z) - logNormal(z, q.mean, q.std));
}

/** KL(q(z) || p(z|x)) = E_q[log q(z) - log p(z|x)], of the posterior in closed form. */
export function gap(model, x, q) {
  const p = posterior(model, x).filter(({ weight }) => weight > 0);
  return expectation(q, (z) => logNormal(z, q.mean, q.std) - logDensity(p, z));
}

/** The derivatives of the ELBO by q's mean and by the logarithm of its std, reparameterised: z = mean + std u. */
export function gradient(model, x, q) {
  const p = prior(model);
  const slope = (z) => {
    const parts = p.map(({ weight, mean, std }) => Math.log(weight) + logNormal(z, mean, std));
    const total = logSumExp(parts);
    const ofPrior = p.reduce((sum, { mean, std }, i) => sum + Math.exp(parts[i] - total) * (mean - z) / std ** 2, 0);
    return (x - z) / model.noise ** 2 + ofPrior;
  };
  return { mean: expectation(q, slope), logStd: 1 + expectation(q, (z) => slope(z) * (z - q.mean)) };
}

/** q after one step up the ELBO, of at most 0.1 in the mean and in the logarithm of the std. */
export function ascended(model, x, q, rate = 0.05) {
  const by = gradient(model, x, q), step = (v) => Math.max(-0.1, Math.min(0.1, rate * v));
  return { mean: q.mean + step(by.mean), std: q.std * Math.exp(step(by.logStd)) };
}
