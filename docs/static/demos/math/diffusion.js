/**
 * Diffusion of a ring of eight Gaussians in the plane, with the exact denoiser in the place of a network (Kingma et al.
 * 2021, eq. 1-5): x_t = alpha x + sigma epsilon, alpha^2 = sigmoid(log SNR), sigma^2 = sigmoid(-log SNR).
 */

import { MEANS, MODES } from "./gan.js";

export const STD = 0.1;

const LEVELS = 1000; // of the linear schedule

/** log SNR at t = 0, 1 / (LEVELS - 1), ..., 1, of a variance beta that grows from 1e-4 to 0.02 (Ho et al. 2020). */
const LINEAR = (() => {
  const table = new Float64Array(LEVELS);
  for (let i = 0, logAlpha2 = 0; i < LEVELS; i++) {
    logAlpha2 += Math.log1p(-(1e-4 + (0.02 - 1e-4) * i / (LEVELS - 1)));
    table[i] = logAlpha2 - Math.log(-Math.expm1(logAlpha2));
  }
  return table;
})();

/** Name to log SNR at a time t in [0, 1]. */
export const SCHEDULES = {
  cosine: (t) => {
    const [low, high] = [13.3, -10].map((v) => Math.atan(Math.exp(-0.5 * v)));
    return -2 * Math.log(Math.tan(low + t * (high - low)));
  },
  linear: (t) => {
    const at = t * (LEVELS - 1), below = Math.min(Math.floor(at), LEVELS - 2);
    return LINEAR[below] + (at - below) * (LINEAR[below + 1] - LINEAR[below]);
  },
};

export const alpha = (logSNR) => Math.sqrt(1 / (1 + Math.exp(-logSNR)));
export const sigma = (logSNR) => alpha(-logSNR);

/**
 * E[x | x_t] of points [x0, y0, ...] and the noise that belongs to it, exactly. q(x_t) is a mixture around alpha m_k of
 * variance alpha^2 std^2 + sigma^2; in each component E[x | x_t] = m_k + alpha std^2 / variance (x_t - alpha m_k).
 */
export function denoise(points, logSNR, std = STD) {
  const [a, s] = [alpha(logSNR), sigma(logSNR)], variance = a * a * std * std + s * s, gain = a * std * std / variance;
  const x = new Float64Array(points.length), away = new Float64Array(MODES);
  for (let i = 0; i < points.length; i += 2) {
    let least = Infinity, total = 0, u = 0, v = 0;
    for (let k = 0; k < MODES; k++) {
      away[k] = ((points[i] - a * MEANS[2 * k]) ** 2 + (points[i + 1] - a * MEANS[2 * k + 1]) ** 2) / (2 * variance);
      least = Math.min(least, away[k]);
    }
    for (let k = 0; k < MODES; k++) {
      const weight = Math.exp(least - away[k]);
      total += weight;
      u += weight * MEANS[2 * k];
      v += weight * MEANS[2 * k + 1];
    }
    x[i] = u / total + gain * (points[i] - a * u / total);
    x[i + 1] = v / total + gain * (points[i + 1] - a * v / total);
  }
  return { x, epsilon: points.map((value, i) => (value - a * x[i]) / s) };
}

/** The score of q(x_t) at points: grad log q(x_t) = -E[epsilon | x_t] / sigma (Song et al. 2021). */
export function score(points, logSNR, std = STD) {
  const s = sigma(logSNR);
  return denoise(points, logSNR, std).epsilon.map((v) => -v / s);
}

/** Name to one step from x_t to x_s, with standard normal noise: (x_t, estimate, noise, log SNR of t, of s) -> x_s. */
export const SAMPLERS = {
  /** x_s ~ q(x_s | x_t, x = estimate): ancestral sampling (Ho et al. 2020, algorithm 2). */
  ddpm: (points, { x }, noise, now, then) => {
    const r = Math.exp(now - then), rest = -Math.expm1(now - then), spread = Math.sqrt(rest) * sigma(then);
    const [ofPoint, ofX] = [r * alpha(then) / alpha(now), rest * alpha(then)];
    return points.map((v, i) => ofPoint * v + ofX * x[i] + spread * noise[i]);
  },
  /** alpha_s x + sigma_s epsilon, without new noise (Song et al. 2021, eq. 12). */
  ddim: (points, { x, epsilon }, noise, now, then) => {
    const [a, s] = [alpha(then), sigma(then)];
    return points.map((_, i) => a * x[i] + s * epsilon[i]);
  },
};

/**
 * Points at the levels t = 1, ..., 0, steps + 1 of them: from N(0, 1) at t = 1 down by a sampler. Each is an array
 * [x0, y0, ...]; in the last the denoiser has taken the rest of the noise away.
 */
export function travel(start, { sampler, schedule, steps }, random) {
  const levels = [start], at = (i) => SCHEDULES[schedule](1 - i / steps);
  for (let i = 0; i < steps; i++) {
    const noise = sampler === "ddpm" ? random.normals(start.length) : null;
    levels.push(SAMPLERS[sampler](levels[i], denoise(levels[i], at(i)), noise, at(i), at(i + 1)));
  }
  levels.push(denoise(levels.pop(), at(steps)).x);
  return levels;
}
