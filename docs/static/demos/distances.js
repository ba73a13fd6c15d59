/** Two densities to drag, each a normal or two equal ones, with the distances between them. */

import { PARTS, between, centres, masses } from "./math/distances.js";
import { pair } from "./math/mixtures.js";
import { Stage } from "./stage.js";

const X = centres(-16, 16, 1600);
const SWEPT = centres(-16, 16, 400);
const POSITIONS = Array.from({ length: 61 }, (_, i) => -3 + i / 10);
const ROUNDING = 1e-9;
const NAMES = { forward: "KL(p || q)", reverse: "KL(q || p)", jsd: "JSD(p, q)", tv: "TV(p, q)", w1: "W₁(p, q)" };
const COLOURS = { forward: "blue", reverse: "orange", jsd: "green", tv: "purple", w1: "ink" };
const STARTS = {
  apart: { p: [-1, 0.7, 0], q: [1.5, 1, 0] },
  bimodal: { p: [0, 0.6, 4], q: [2, 0.6, 0] },
  wide: { p: [0, 0.6, 4], q: [0, 2, 0] },
};

export function demo(place) {
  const stage = new Stage(place);
  const plot = stage.plot({ label: "The densities p and q, and what the chosen distance sums up", x: [-6, 6],
    y: [-0.2, 0.75], aspect: 1.35 });
  const curves = stage.plot({ label: "All distances as q moves along the line", x: [-3, 3], y: [0, 5], aspect: 1.35,
    xlabel: "mean of q" });
  const sides = { p: side(stage, plot, "p", "blue"), q: side(stage, plot, "q", "orange") };
  const shaded = stage.choice({ label: "Shaded", options: NAMES, value: "tv" });
  const show = stage.numbers(NAMES, COLOURS);
  const begin = (name) => {
    for (const key of ["p", "q"]) sides[key].set(...STARTS[name][key]);
  };
  stage.button("Two normals", () => begin("apart"));
  stage.button("q in one mode of p", () => begin("bimodal"));
  stage.button("q over both modes", () => begin("wide"));
  begin("apart");
  stage.draw = () => {
    const p = sides.p.mixture(), [first, second] = [p, sides.q.mixture()].map((mixture) => masses(mixture, X));
    const found = between(first, second, X[1] - X[0]);
    drawDensities(plot, first, second, shaded.value);
    drawCurves(curves, p, sides.q, found);
    show(Object.fromEntries(Object.entries(found).map(([name, v]) => [name, v.toFixed(4)])));
    report(stage, found);
  };
  stage.update();
}

/** The sliders and the handle of one density. */
function side(stage, plot, name, colour) {
  const number = (v) => v.toFixed(2);
  const mean = stage.slider({ label: `Mean of ${name}`, min: -3, max: 3, step: 0.01, value: 0, format: number });
  const std = stage.slider({ label: `Width (std) of ${name}`, min: 0.6, max: 2, step: 0.01, value: 1, format: number });
  const apart = stage.slider({ label: `Modes of ${name} apart`, max: 4, step: 0.1, value: 0, format: number });
  const height = () => 1 / (Math.sqrt(2 * Math.PI) * std.value) / (apart.value ? 2 : 1);
  plot.handle({
    label: `Density ${name}: left and right for its mean, up and down for its width`, colour, step: [0.1, 0.02],
    get: () => [mean.value, height()], text: () => `mean ${number(mean.value)}, std ${number(std.value)}`,
    set: (x, y) => {
      mean.value = x;
      std.value = 1 / (Math.sqrt(2 * Math.PI) * Math.max(y, 0.01)) / (apart.value ? 2 : 1);
      stage.update();
    },
  });
  const set = (...values) => [mean, std, apart].forEach((slider, i) => { slider.value = values[i]; });
  return { mean, std, apart, set, mixture: (at = mean.value) => pair(at, std.value, apart.value) };
}

function drawDensities(plot, p, q, shaded) {
  const width = X[1] - X[0], zero = X.map(() => 0);
  plot.area(X, zero, PARTS[shaded](p, q, width).map((v) => v / width), COLOURS[shaded], 0.3);
  for (const [mass, name, colour] of [[p, "p", "blue"], [q, "q", "orange"]]) {
    const density = mass.map((v) => v / width), top = density.indexOf(Math.max(...density));
    plot.line(X, density, colour);
    plot.write(name, plot.px(X[top]) + 14, plot.py(density[top]) - 6, "left", colour);
  }
}

function drawCurves(plot, p, q, found) {
  const shape = JSON.stringify([p, q.std.value, q.apart.value]);
  if (plot.known?.shape !== shape) {
    const own = masses(p, SWEPT), width = SWEPT[1] - SWEPT[0];
    plot.known = { shape, at: POSITIONS.map((x) => between(own, masses(q.mixture(x), SWEPT), width)) };
  }
  plot.rule(plot.px(q.mean.value), plot.py(0), plot.px(q.mean.value), plot.py(5));
  for (const name of Object.keys(NAMES)) {
    plot.line(POSITIONS, plot.known.at.map((values) => values[name]), COLOURS[name], { width: 1.6 });
    plot.dots([q.mean.value, Math.min(found[name], 5)], COLOURS[name], 3.5, 1);
  }
}

function report(stage, { forward, jsd, tv }) {
  const most = Math.min(1, Math.sqrt(forward / 2));
  stage.measured(`JSD ${jsd.toFixed(4)} ≤ ${Math.LN2.toFixed(4)}, TV ${tv.toFixed(4)} ≤ ${most.toFixed(4)}`,
    jsd <= Math.LN2 + ROUNDING && tv <= most + ROUNDING);
}
