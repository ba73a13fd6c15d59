/** A GAN on eight Gaussians on a ring: losses, gradients of both players, one step of the game, the count of modes. */

import { Adam, addGradients, addPenaltyGradients, backward, forward, initial, zeros } from "./mlp.js";
import { Random } from "./random.js";

export const MODES = 8;
export const STD = 0.05;
export const LATENTS = 2;
const WIDTH = 48;
const BATCH = 64; // examples; with packing, a quarter as many packs of four

export const DEFAULTS = {
  loss: "non_saturating", rateG: 1e-3, rateD: 1e-3, b1G: 0, b1D: 0, r1: 0.1, packing: 1, seed: 1,
};

const sigmoid = (t) => 1 / (1 + Math.exp(-t));
const softplus = (t) => Math.max(t, 0) + Math.log1p(Math.exp(-Math.abs(t)));

/**
 * Name to function of the logits of a real and of a fake example: values of both players' losses, and their derivatives
 * by the logits.
 */
export const LOSSES = {
  non_saturating: (real, fake) => ({
    discriminator: softplus(-real) + softplus(fake), dReal: -sigmoid(-real), dFake: sigmoid(fake),
    generator: softplus(-fake), gFake: -sigmoid(-fake),
  }),
  relativistic_paired: (real, fake) => ({
    discriminator: softplus(fake - real), dReal: -sigmoid(fake - real), dFake: sigmoid(fake - real),
    generator: softplus(real - fake), gFake: -sigmoid(real - fake),
  }),
};

/**
 * Of a batch of packs: the discriminator's mean loss, its mean R1 penalty |dD/dx|^2 at the real packs, and the
 * gradients of loss + r1 * penalty. A pack of m examples in a row of memory is one input of width 2 m.
 */
export function discriminatorGradients(layers, real, fake, { loss, r1 }) {
  const onReal = forward(layers, real), onFake = forward(layers, fake), n = onReal.at(-1).length;
  const [dReal, dFake] = [new Float64Array(n), new Float64Array(n)], gradients = zeros(layers);
  let value = 0;
  for (let i = 0; i < n; i++) {
    const found = LOSSES[loss](onReal.at(-1)[i], onFake.at(-1)[i]);
    value += found.discriminator / n;
    [dReal[i], dFake[i]] = [found.dReal / n, found.dFake / n];
  }
  addGradients(gradients, layers, onReal, backward(layers, onReal, dReal));
  addGradients(gradients, layers, onFake, backward(layers, onFake, dFake));
  const penalty = r1 ? addPenaltyGradients(gradients, layers, onReal, r1 / n) / n : 0;
  return { loss: value, penalty, gradients };
}

/** The generator's mean loss on fake examples, and its derivatives by them. */
export function answer(discriminator, real, fake, { loss }) {
  const onReal = forward(discriminator, real), onFake = forward(discriminator, fake), n = onFake.at(-1).length;
  const dOutput = new Float64Array(n);
  let value = 0;
  for (let i = 0; i < n; i++) {
    const found = LOSSES[loss](onReal.at(-1)[i], onFake.at(-1)[i]);
    value += found.generator / n;
    dOutput[i] = found.gFake / n;
  }
  return { loss: value, toFake: backward(discriminator, onFake, dOutput)[0] };
}

/** Both players with their optimizers; `step` plays one step, the same whenever the settings are. */
export class Game {
  constructor(settings) {
    this.settings = { ...settings };
    this.random = new Random(settings.seed);
    this.generator = initial([LATENTS, WIDTH, WIDTH, 2], this.random);
    this.discriminator = initial([2 * settings.packing, WIDTH, WIDTH, 1], this.random);
    this.optimizers = {
      generator: new Adam(this.generator, { rate: settings.rateG, b1: settings.b1G }),
      discriminator: new Adam(this.discriminator, { rate: settings.rateD, b1: settings.b1D }),
    };
    this.steps = 0;
  }

  /** The rates, momenta and penalty of the next steps; what else there is needs a new game. */
  tune(settings) {
    Object.assign(this.settings, settings);
    const { generator, discriminator } = this.optimizers;
    Object.assign(generator, { rate: settings.rateG, b1: settings.b1G });
    Object.assign(discriminator, { rate: settings.rateD, b1: settings.b1D });
  }

  /** A step of the discriminator, then the generator's answer to it on the same examples. */
  step() {
    const real = ring(this.random, BATCH), made = forward(this.generator, this.random.normals(BATCH * LATENTS));
    const fake = made.at(-1), ofD = discriminatorGradients(this.discriminator, real, fake, this.settings);
    this.optimizers.discriminator.descend(ofD.gradients);
    const ofG = answer(this.discriminator, real, fake, this.settings), gradients = zeros(this.generator);
    addGradients(gradients, this.generator, made, backward(this.generator, made, ofG.toFake));
    this.optimizers.generator.descend(gradients);
    this.steps += 1;
    return { discriminator: ofD.loss, penalty: ofD.penalty, generator: ofG.loss };
  }

  sample(z) {
    return forward(this.generator, z).at(-1);
  }

  /** D's logits of points, each packed with itself. */
  logits(points) {
    const { packing } = this.settings, packs = new Float64Array(points.length * packing);
    for (let i = 0; i < points.length; i += 2) {
      for (let m = 0; m < packing; m++) packs.set(points.subarray(i, i + 2), (i * packing) + 2 * m);
    }
    return forward(this.discriminator, packs).at(-1);
  }
}

/** Means of the modes [x0, y0, ...]. */
export const MEANS = Float64Array.from({ length: 2 * MODES }, (_, i) => {
  const angle = 2 * Math.PI * Math.floor(i / 2) / MODES;
  return i % 2 ? Math.sin(angle) : Math.cos(angle);
});

/** n points of the data. */
export function ring(random, n, std = STD) {
  const points = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    const mode = random.integer(MODES);
    for (const side of [0, 1]) points[2 * i + side] = MEANS[2 * mode + side] + std * random.normal();
  }
  return points;
}

/** Modes with a good sample, one within 3 std of its nearest mean, and the share of good samples (Lin et al. 2018). */
export function coverage(points, std = STD) {
  const hit = new Set();
  let good = 0;
  for (let i = 0; i < points.length; i += 2) {
    const away = Array.from({ length: MODES }, (_, m) =>
      Math.hypot(points[i] - MEANS[2 * m], points[i + 1] - MEANS[2 * m + 1]));
    const nearest = away.indexOf(Math.min(...away));
    if (away[nearest] <= 3 * std) {
      hit.add(nearest);
      good += 1;
    }
  }
  return { modes: hit.size, highQuality: good / (points.length / 2) };
}
