/** Diffusion on the ring: data under noise, and the way back by two samplers with the exact score. */

import { STD, SCHEDULES, alpha, score, sigma, travel } from "./math/diffusion.js";
import { coverage, ring } from "./math/gan.js";
import { Random } from "./math/random.js";
import { Stage } from "./stage.js";

const POINTS = 300;
const TRACED = 6;
const LIMIT = 2.6;
const ENOUGH = { steps: 20, good: 0.85 }; // what the claim is about
const STEPS = [1, 2, 3, 5, 10, 20, 50, 100];
const SWEEP = 4000; // ms from t = 1 to t = 0
const SAMPLERS = { ddpm: "DDPM: new noise", ddim: "DDIM: no new noise" };
const LOOK = { data: ring(new Random(1), POINTS, STD), noise: new Random(2).normals(2 * POINTS) };
const GRID = Float64Array.from({ length: 2 * 169 }, (_, i) => {
  const cell = Math.floor(i / 2), along = i % 2 ? Math.floor(cell / 13) : cell % 13;
  return LIMIT * (along - 6) / 6.5;
});

export function demo(place) {
  const stage = new Stage(place), state = {};
  const square = (label) => stage.plot({ label, x: [-LIMIT, LIMIT], y: [-LIMIT, LIMIT], aspect: 1, bare: true });
  const forth = square("Data under noise: samples of q(x_t), with the score as arrows");
  const back = square("Samples on their way back: points at this noise level, some with their paths");
  const level = stage.slider({ label: "Noise level t", max: 1, step: 0.005, value: 0.15, format: (v) => v.toFixed(3) });
  const refresh = () => { state.levels = null; };
  const sampler = stage.choice({ label: "Sampler", options: SAMPLERS, value: "ddpm", change: refresh });
  const steps = stage.slider({ label: "Steps", values: STEPS, value: 50, change: refresh });
  const schedule = stage.choice({ label: "Noise schedule", options: { cosine: "cosine", linear: "linear" },
    value: "cosine", change: refresh });
  const seed = stage.slider({ label: "Seed", min: 1, max: 20, value: 1, change: refresh });
  const player = stage.player("Remove the noise", () => sweep(level, state));
  const show = stage.numbers({ snr: "log SNR", scales: "α, σ", modes: "Modes reached at t = 0",
    good: "Samples within 3 std of a mode at t = 0" });
  stage.draw = () => {
    if (!player.running) state.since = null;
    if (!state.levels) {
      state.levels = run({ sampler: sampler.value, steps: steps.value, schedule: schedule.value }, seed.value);
      state.found = coverage(state.levels.at(-1), STD);
    }
    const logSNR = SCHEDULES[schedule.value](level.value), { found } = state;
    drawForth(forth, logSNR);
    drawBack(back, state.levels, level.value);
    show({ snr: logSNR.toFixed(2), scales: `${alpha(logSNR).toFixed(3)}, ${sigma(logSNR).toFixed(3)}`,
      modes: `${found.modes} of 8`, good: `${(100 * found.highQuality).toFixed(1)} %` });
    const text = `${found.modes} of 8 modes and ${(100 * found.highQuality).toFixed(0)} % with ${steps.value} steps`;
    if (steps.value < ENOUGH.steps) stage.measured(`${text}, fewer than the claim's`);
    else stage.measured(text, found.modes === 8 && found.highQuality >= ENOUGH.good);
  };
  stage.update();
}

function run(settings, seed) {
  const random = new Random(seed);
  return travel(random.normals(2 * POINTS), settings, random);
}

/** Moves the level by the time since the last frame; from 1 again where it had come to 0. */
function sweep(level, state) {
  const now = performance.now();
  if (!state.since && level.value === 0) level.value = 1;
  level.value -= Math.min(100, now - (state.since ?? now)) / SWEEP;
  state.since = now;
  return level.value > 0;
}

function drawForth(plot, logSNR) {
  const [a, s] = [alpha(logSNR), sigma(logSNR)], ways = score(GRID, logSNR);
  const by = ways.map((v, i) => 0.3 * v / (2 + Math.hypot(ways[i - i % 2], ways[i - i % 2 + 1])));
  plot.dots(LOOK.data.map((v, i) => a * v + s * LOOK.noise[i]), "blue", 2, 0.8);
  plot.arrows(GRID, by, "muted", { alpha: 0.9 });
  plot.write("data under noise, and the score", plot.px(-LIMIT) + 6, plot.py(LIMIT) + 16);
}

/** The points between the two levels next to t, and the paths of some of them up to there. */
function drawBack(plot, levels, t) {
  const at = (1 - t) * (levels.length - 1), before = Math.min(Math.floor(at), levels.length - 2), part = at - before;
  const points = levels[before].map((v, i) => v + part * (levels[before + 1][i] - v));
  for (let i = 0; i < TRACED; i++) {
    const [xs, ys] = [0, 1].map((side) =>
      [...levels.slice(0, before + 1).map((level) => level[2 * i + side]), points[2 * i + side]]);
    plot.line(xs, ys, "muted", { width: 1, alpha: 0.8 });
  }
  plot.dots(points, "orange", 2, 0.85);
  plot.write("samples on their way back", plot.px(-LIMIT) + 6, plot.py(LIMIT) + 16);
}
