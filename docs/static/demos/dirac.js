/** The Dirac-GAN in its phase plane: field, trajectory, penalty, rate, and the exact eigenvalues beside them. */

import { eigenvalues, field, jacobian, measuredRadius, radius, trajectory } from "./math/dirac.js";
import { Stage } from "./stage.js";

const STEPS = 600;
const LIMIT = 2;
const LOSSES = { minimax: "minimax", non_saturating: "non-saturating", wasserstein: "Wasserstein" };
const ORDERS = { simultaneous: "both at once", alternating: "discriminator first" };
const RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1];

export function demo(place) {
  const stage = new Stage(place), state = { start: [1, 0.5], at: STEPS };
  const plot = stage.plot({ x: [-LIMIT, LIMIT], y: [-LIMIT, LIMIT], aspect: 1.15, xlabel: "θ", ylabel: "ψ",
    label: "Phase plane of the Dirac-GAN: theta across, psi upwards, the field of the gradients, the trajectory" });
  const restart = () => { state.at = STEPS; };
  const loss = stage.choice({ label: "Loss", options: LOSSES, value: "minimax", change: restart });
  const order = stage.choice({ label: "Steps", options: ORDERS, value: "simultaneous", change: restart });
  const r1 = stage.slider({ label: "Weight of R1", max: 2, step: 0.01, value: 0, format: (v) => v.toFixed(2),
    change: restart });
  const rate = stage.slider({ label: "Learning rate", values: RATES, value: 0.2, change: restart });
  const show = stage.numbers({ eigenvalues: "Eigenvalues λ of a step at (0, 0)", radius: "Greatest |λ|, exact",
    measured: "Factor of a step near (0, 0), measured", end: "Distance to (0, 0) after 600 steps" });
  const player = stage.player("Play the steps", () => {
    if (state.at >= STEPS) state.at = 0;
    state.at += 1;
    return state.at < STEPS;
  });
  stage.button("Reset", () => {
    player.stop();
    state.start = [1, 0.5];
    [loss.value, order.value, r1.value, rate.value] = ["minimax", "simultaneous", 0, 0.2];
    restart();
  });
  const clamp = (v) => Math.min(Math.max(v, -LIMIT), LIMIT);
  plot.handle({
    label: "Start of both players", colour: "blue", step: [0.05, 0.05], get: () => state.start,
    text: () => `theta ${state.start[0].toFixed(2)}, psi ${state.start[1].toFixed(2)}`,
    set: (x, y) => {
      state.start = [clamp(x), clamp(y)];
      stage.update();
    },
  });
  stage.draw = () => {
    const game = { loss: loss.value, alternating: order.value === "alternating", r1: r1.value, rate: rate.value };
    const key = JSON.stringify(game), path = key + state.start;
    if (state.known?.key !== key) state.known = { key, measured: measuredRadius(game) };
    if (state.path?.key !== path) state.path = { key: path, points: trajectory(state.start, game, STEPS) };
    const { points } = state.path, upTo = points.slice(0, 2 * state.at + 2);
    plot.kept(key, () => drawField(plot, game));
    const [xs, ys] = [0, 1].map((side) => upTo.filter((_, i) => i % 2 === side));
    plot.line(xs, ys, "orange", { width: 1.5 });
    plot.dots(upTo, "orange", 2, 0.7);
    plot.dots(upTo.slice(-2), "orange", 5, 1);
    plot.dots([0, 0], "ink", 4, 1);
    report(stage, show, game, points, state.known.measured);
  };
  stage.update();
}

function drawField(plot, game) {
  const at = [], by = [];
  for (let i = -9; i <= 9; i++) {
    for (let j = -9; j <= 9; j++) {
      const x = i * LIMIT / 9.5, y = j * LIMIT / 9.5, [u, v] = field(x, y, game), long = Math.hypot(u, v);
      const scale = 0.16 / (0.35 + long);
      at.push(x, y);
      by.push(u * scale, v * scale);
    }
  }
  plot.arrows(at, by, "muted", { alpha: 0.75 });
}

function report(stage, show, game, points, measured) {
  const [[real, imaginary], [other]] = eigenvalues(jacobian(game));
  const exact = radius(game), end = Math.hypot(...points.slice(-2));
  const [a, b, c] = [real, imaginary, other].map((v) => v.toFixed(4));
  const written = imaginary ? `${a} ± ${b} i` : `${a}, ${c}`;
  const way = Math.abs(exact - 1) < 1e-12 ? "keeps its distance" : exact > 1 ? "moves outwards" : "moves inwards";
  show({ eigenvalues: written, radius: `${exact.toFixed(5)}: the game ${way}`, measured: measured.toFixed(5),
    end: points.length < 2 * STEPS + 2 ? "above 1,000" : end.toFixed(4) });
  stage.measured(`${measured.toFixed(5)} a step, |λ| = ${exact.toFixed(5)}`, Math.abs(measured - exact) < 1e-3);
}
