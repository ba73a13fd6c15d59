/** A normal q to drag over a posterior: the ELBO, what it misses, and the evidence that both add up to. */

import { ascended, elbo, gap, gradient, logEvidence, posterior, prior } from "./math/elbo.js";
import { density } from "./math/mixtures.js";
import { Stage } from "./stage.js";

const Z = Float64Array.from({ length: 401 }, (_, i) => -5 + i / 40);
const NOISES = [0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.3, 1.6, 2];
const HIGH = 1.5;

const clamp = (v, low, high) => Math.min(Math.max(v, low), high);

export function demo(place) {
  const stage = new Stage(place), q = { mean: -1.5, std: 0.8 };
  const plot = stage.plot({ label: "Prior p(z), posterior p(z|x) and q(z) over the latent z", x: [-5, 5], y: [0, HIGH],
    aspect: 1.35, xlabel: "z" });
  const bars = stage.plot({ label: "log p(x), the ELBO, and the KL divergence between them", x: [0, 3], y: [-12, 0.5],
    aspect: 1.35, bare: true });
  const number = (v) => v.toFixed(2);
  const x = stage.slider({ label: "Observation x", min: -3, max: 3, step: 0.05, value: 1, format: number });
  const noise = stage.slider({ label: "Noise of p(x|z), std", values: NOISES, value: 0.8, format: number });
  const apart = stage.slider({ label: "Modes of p(z) apart", max: 5, step: 0.1, value: 0, format: number });
  const limits = (...to) => Object.assign(q, { mean: clamp(to[0], -4, 4), std: clamp(to[1], 0.27, 3) });
  const mean = stage.slider({ label: "Mean of q", min: -4, max: 4, step: 0.01, value: q.mean, format: number,
    change: (v) => limits(v, q.std) });
  const std = stage.slider({ label: "Width (std) of q", min: 0.27, max: 3, step: 0.01, value: q.std, format: number,
    change: (v) => limits(q.mean, v) });
  const height = () => 1 / (Math.sqrt(2 * Math.PI) * q.std);
  plot.handle({
    label: "q: left and right for its mean, up and down for its width", colour: "orange", step: [0.1, 0.02],
    get: () => [q.mean, height()], text: () => `mean ${number(q.mean)}, std ${number(q.std)}`,
    set: (at, top) => {
      limits(at, 1 / (Math.sqrt(2 * Math.PI) * Math.max(top, 0.01)));
      stage.update();
    },
  });
  const model = () => ({ noise: noise.value, apart: apart.value });
  stage.player("Climb the ELBO", () => {
    const by = gradient(model(), x.value, q), next = ascended(model(), x.value, q);
    limits(next.mean, next.std);
    return Math.hypot(by.mean, by.logStd) > 1e-4;
  });
  stage.button("Reset", () => {
    limits(-1.5, 0.8);
    [x.value, noise.value, apart.value] = [1, 0.8, 0];
  });
  const show = stage.numbers({ elbo: "ELBO", gap: "KL(q(z) || p(z|x))", sum: "Their sum",
    evidence: "log p(x), closed form" });
  stage.draw = () => {
    [mean.value, std.value] = [q.mean, q.std];
    const at = [model(), x.value], found = { elbo: elbo(...at, q), gap: gap(...at, q), evidence: logEvidence(...at) };
    drawDensities(plot, ...at, q);
    drawBars(bars, found);
    found.sum = found.elbo + found.gap;
    const off = Math.abs(found.sum - found.evidence);
    show(Object.fromEntries(Object.entries(found).map(([name, v]) => [name, v.toFixed(6)])));
    stage.measured(`they differ by ${off.toExponential(1)} nats`, off < 1e-8);
  };
  stage.update();
}

function drawDensities(plot, model, x, q) {
  const of = (mixture) => Z.map((z) => density(mixture, z)), zero = Z.map(() => 0);
  const exact = posterior(model, x), fitted = [{ weight: 1, ...q }];
  const curves = [[prior(model), "muted", "p(z)"], [exact, "blue", "p(z|x)"], [fitted, "orange", "q(z)"]];
  plot.area(Z, zero, of(exact), "blue");
  curves.forEach(([mixture, colour, name], i) => {
    plot.line(Z, of(mixture), colour, { dash: i ? [] : [5, 4] });
    plot.write(name, plot.px(-4.8), plot.py(HIGH) + 16 + 15 * i, "left", colour);
  });
  plot.rule(plot.px(x), plot.py(0), plot.px(x), plot.py(HIGH));
  plot.write("x", plot.px(x) + 4, plot.py(HIGH) + 12);
}

/** Down from 0: log p(x) beside the ELBO, with the divergence below it. */
function drawBars(plot, { elbo: bound, gap: rest, evidence }) {
  plot.y = [Math.min(-6, Math.floor(bound - 1)), 0.5];
  const bar = (at, from, to, colour, text) => {
    plot.area([at, at + 0.9], [from, from], [to, to], colour, 0.55);
    plot.write(text, plot.px(at + 0.45), plot.py(Math.min(from, to)) + 14, "center", "ink");
  };
  bar(0.3, 0, evidence, "blue", `log p(x) = ${evidence.toFixed(3)}`.replace("-", "−"));
  bar(1.8, 0, evidence, "blue", "");
  bar(1.8, evidence, bound, "orange", `ELBO = ${bound.toFixed(3)}`.replace("-", "−"));
  plot.line([0.1, 2.9], [evidence, evidence], "ink", { width: 1, dash: [4, 4] });
  plot.line([0.1, 2.9], [0, 0], "muted", { width: 1 });
  plot.write(`KL = ${rest.toFixed(3)}`, plot.px(2.25), (plot.py(evidence) + plot.py(bound)) / 2 + 4, "center", "ink");
}
