/** A GAN on the ring that trains in the page: samples over D's field, their gradients, the modes over the steps. */

import { DEFAULTS, Game, LATENTS, MEANS, MODES, STD, answer, coverage, ring } from "./math/gan.js";
import { Random } from "./math/random.js";
import { Stage } from "./stage.js";

const GOAL = 1500; // steps within which the claim is to hold
const ENOUGH = 7;
const EVERY = 25; // steps between two counts of the modes
const LIMIT = 1.6;
const CELLS = 36;
const RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2];
const WEIGHTS = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];
const LOSSES = { non_saturating: "non-saturating", relativistic_paired: "relativistic, paired (RpGAN)" };
const GRID = Float64Array.from({ length: 2 * CELLS * CELLS }, (_, i) => {
  const cell = Math.floor(i / 2), along = i % 2 ? Math.floor(cell / CELLS) : cell % CELLS;
  return LIMIT * (2 * (along + 0.5) / CELLS - 1);
});

/** What is looked at: the same latents and data at every step, from streams of their own. */
const LOOK = { z: new Random(1001).normals(LATENTS * 800), data: ring(new Random(1002), 400), shown: 400, pushed: 64 };
const PARTNERS = ring(new Random(1003), LOOK.pushed); // real examples that a relativistic loss pairs with the fakes

export function demo(place) {
  const stage = new Stage(place), state = {};
  const plot = stage.plot({ label: "Samples of the generator over the data and the field of the discriminator",
    x: [-LIMIT, LIMIT], y: [-LIMIT, LIMIT], aspect: 1, bare: true });
  const curve = stage.plot({ label: "Modes reached and share of good samples over the steps", x: [0, GOAL], y: [0, 8.5],
    aspect: 1.35, xlabel: "step" });
  const controls = makeControls(stage, () => {
    state.game.tune(settings());
    state.claimed = false;
  });
  const settings = () => {
    const chosen = Object.entries(controls).map(([key, control]) => [key, control.value]);
    return { ...Object.fromEntries(chosen), packing: Number(controls.packing.value) };
  };
  const player = stage.player("Start", (until) => {
    do advance(state); while (performance.now() < until);
    return true;
  });
  const reset = () => begin(state, settings());
  const set = (changed) => {
    for (const [key, value] of Object.entries({ ...DEFAULTS, ...changed })) controls[key].value = value;
    reset();
  };
  stage.button("One step", () => advance(state));
  stage.button("Reset", reset);
  stage.button("Settings: R1", () => set({}));
  stage.button("Settings: momentum, no R1", () => set({ r1: 0, b1G: 0.9, b1D: 0.9 }));
  stage.button("Settings: packing, no R1", () => set({ r1: 0, packing: 4 }));
  for (const key of ["loss", "packing"]) controls[key].addEventListener("change", reset);
  controls.seed.input.addEventListener("input", reset);
  const show = stage.numbers({ step: "Step", modes: "Modes reached", good: "Samples within 3 std of a mode",
    losses: "Losses of D and G", penalty: "R1: mean |∇D|² on the data" });
  reset();
  stage.draw = () => {
    drawPlane(plot, state, player.running);
    drawCurve(curve, state.history);
    report(stage, show, state);
  };
  stage.update();
}

function makeControls(stage, change) {
  const rate = (label, key) => stage.slider({ label, values: RATES, value: DEFAULTS[key], change });
  const momentum = (label, key) => stage.slider({ label, max: 0.9, step: 0.1, value: DEFAULTS[key], change,
    format: (v) => v.toFixed(1) });
  return {
    loss: stage.choice({ label: "Loss", options: LOSSES, value: DEFAULTS.loss }),
    packing: stage.choice({ label: "Packing", options: { 1: "1", 2: "2", 4: "4" }, value: `${DEFAULTS.packing}` }),
    r1: stage.slider({ label: "Weight of R1", values: WEIGHTS, value: DEFAULTS.r1, change }),
    seed: stage.slider({ label: "Seed", min: 1, max: 20, value: DEFAULTS.seed }),
    rateD: rate("Learning rate of D", "rateD"), rateG: rate("Learning rate of G", "rateG"),
    b1D: momentum("Momentum β₁ of D", "b1D"), b1G: momentum("Momentum β₁ of G", "b1G"),
  };
}

/** A new game, with nothing known of it yet. */
function begin(state, settings) {
  const claimed = Object.entries(DEFAULTS).every(([key, value]) => settings[key] === value);
  Object.assign(state, { game: new Game(settings), claimed, field: null, last: null, history: [], best: 0 });
  look(state);
}

function advance(state) {
  state.last = state.game.step();
  if (state.game.steps % EVERY === 0) look(state);
}

/** Counts the modes. */
function look(state) {
  const found = coverage(state.game.sample(LOOK.z));
  state.history.push({ step: state.game.steps, ...found });
  if (state.game.steps <= GOAL && found.highQuality > 0.5) state.best = Math.max(state.best, found.modes);
}

function drawPlane(plot, state, running) {
  const { game } = state, { steps } = game;
  if (!state.field || (running ? steps - state.fieldAt >= 8 : steps !== state.fieldAt)) {
    Object.assign(state, { field: game.logits(GRID), fieldAt: steps });
  }
  plot.kept(state.field, () => {
    const [real, fake] = [[43, 138, 62], [134, 46, 156]];
    plot.field(CELLS, CELLS, (i, rgba, at) => {
      const sure = Math.tanh(state.field[i] / 2);
      rgba.set(sure > 0 ? real : fake, at);
      rgba[at + 3] = 190 * Math.abs(sure);
    });
    plot.dots(LOOK.data, "muted", 1.5, 0.6);
    for (let m = 0; m < MODES; m++) ringAt(plot, MEANS[2 * m], MEANS[2 * m + 1]);
  });
  const samples = game.sample(LOOK.z.subarray(0, LATENTS * LOOK.shown)), pushed = samples.slice(0, 2 * LOOK.pushed);
  const { toFake } = answer(game.discriminator, PARTNERS, pushed, game.settings);
  const packs = LOOK.pushed / game.settings.packing; // whose mean the loss is
  plot.arrows(pushed, toFake.map((v) => 0.4 * Math.tanh(-packs * v)), "ink", { alpha: 0.9 });
  plot.dots(samples, "orange", 2, 0.85);
}

/** A circle of 3 std around a mean. */
function ringAt(plot, x, y) {
  const angles = Array.from({ length: 33 }, (_, i) => 2 * Math.PI * i / 32);
  const [xs, ys] = [angles.map((a) => x + 3 * STD * Math.cos(a)), angles.map((a) => y + 3 * STD * Math.sin(a))];
  plot.line(xs, ys, "muted", { width: 0.8 });
}

function drawCurve(plot, history) {
  const steps = history.map(({ step }) => step);
  const end = Math.max(GOAL, 500 * Math.ceil(steps.at(-1) / 500));
  if (end !== plot.x[1]) {
    plot.x = [0, end];
    plot.begin();
  }
  plot.line(steps, history.map(({ highQuality }) => 8 * highQuality), "green", { width: 1.2 });
  plot.line(steps, history.map(({ modes }) => modes), "orange");
  plot.write("modes reached", plot.px(plot.x[1]) - 4, plot.py(3.2), "right", "orange");
  plot.write("8 × share of good samples", plot.px(plot.x[1]) - 4, plot.py(2.4), "right", "green");
}

function report(stage, show, { game, history, last, best, claimed }) {
  const { modes, highQuality } = history.at(-1), number = (v) => v.toFixed(3);
  show({ step: game.steps.toLocaleString("en"), modes: `${modes} of ${MODES}`,
    good: `${(100 * highQuality).toFixed(0)} %`,
    losses: last ? `${number(last.discriminator)}, ${number(last.generator)}` : "–",
    penalty: last && game.settings.r1 ? number(last.penalty) : "–" });
  const text = `${modes} of ${MODES} modes and ${(100 * highQuality).toFixed(0)} % good samples at step ${game.steps}`;
  if (!claimed) stage.measured(`${text}, with settings other than the claim's`);
  else stage.measured(text, best >= ENOUGH || (game.steps < GOAL ? null : false));
}
