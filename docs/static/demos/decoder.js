/** A decoder of two latents: the pointer moves z over the plane, and the digit follows. */

import { weights as file } from "./decoder_weights.js";
import { decode, difference, pictures, points, unpacked } from "./math/decoder.js";
import { Stage } from "./stage.js";

const LIMIT = 3.2;
const SIDE = 28;
const ALLOWED = 0.05;
const DIGITS = ["#f03e3e", "#228be6", "#37b24d", "#f08c00", "#ae3ec9", "#1098ad", "#b5651d", "#e64980", "#74b816",
  "#868e96"];

export function demo(place) {
  const stage = new Stage(place), layers = unpacked(file), z = [0, 0], data = points(file);
  const plane = stage.plot({ label: "The plane of latents: posterior means of test digits, coloured by digit",
    x: [-LIMIT, LIMIT], y: [-LIMIT, LIMIT], aspect: 1, bare: true });
  const picture = stage.plot({ label: "The decoder's picture of z", x: [0, 1], y: [0, 1], aspect: 1, bare: true });
  const coordinate = (i) => stage.slider({ label: `z${"₁₂"[i]}`, min: -3, max: 3, step: 0.01, value: 0,
    format: (v) => v.toFixed(2), change: (v) => { z[i] = v; } });
  const sliders = [coordinate(0), coordinate(1)];
  const move = (...to) => {
    to.forEach((v, i) => {
      z[i] = Math.min(Math.max(v, -3), 3);
      sliders[i].value = z[i];
    });
    stage.update();
  };
  plane.handle({ label: "The latent z", colour: "ink", step: [0.05, 0.05], get: () => z, set: move,
    text: () => `z1 ${z[0].toFixed(2)}, z2 ${z[1].toFixed(2)}` });
  plane.box.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") move(...plane.at(event));
  });
  plane.box.addEventListener("click", (event) => move(...plane.at(event)));
  stage.button("Origin", () => move(0, 0));
  const show = stage.numbers({ density: "log p(z), the prior's density", nearest: "Nearest test digit" });
  const most = worst(layers);
  stage.draw = () => {
    plane.kept("data", () => drawPlane(plane, data));
    const pixels = decode(layers, z);
    picture.field(SIDE, SIDE, (i, rgba, at) => {
      rgba.fill(255 * pixels[(SIDE - 1 - Math.floor(i / SIDE)) * SIDE + i % SIDE], at, at + 3);
      rgba[at + 3] = 255;
    }, false);
    const [a, b, digit] = nearest(data, z);
    show({ density: (-(z[0] ** 2 + z[1] ** 2) / 2 - Math.log(2 * Math.PI)).toFixed(3),
      nearest: `a ${digit}, at a distance of ${Math.hypot(a - z[0], b - z[1]).toFixed(2)}` });
    stage.measured(`at most ${most.toFixed(4)} in ${file.checked.length} pictures`, most <= ALLOWED);
  };
  stage.update();
}

/** The greatest error of a pixel in the pictures that the library has made. */
function worst(layers) {
  const made = pictures(file.pictures, SIDE * SIDE);
  return Math.max(...file.checked.map((z, i) => difference(decode(layers, z), made[i])));
}

function nearest(data, [x, y]) {
  return data.reduce((best, point) =>
    (Math.hypot(point[0] - x, point[1] - y) < Math.hypot(best[0] - x, best[1] - y) ? point : best));
}

function drawPlane(plot, data) {
  DIGITS.forEach((colour, digit) => {
    const own = data.filter((point) => point[2] === digit);
    plot.dots(own.flatMap(([a, b]) => [a, b]), colour, 2.5, 0.75);
  });
  DIGITS.forEach((colour, digit) => {
    const x = plot.px(-LIMIT) + 14 + 18 * digit;
    plot.write(`${digit}`, x, plot.py(LIMIT) + 16, "center", colour);
  });
}
