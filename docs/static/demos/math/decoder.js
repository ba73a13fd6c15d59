/**
 * The decoder of a VAE of MNIST's digits with two latents: dense layers with tanh, the last one linear, its outputs the
 * logits of the pixels. Weights are integers of 8 bits, times one scale for each unit.
 */

/** The integers of a text in base64. */
function integers(text) {
  const bytes = atob(text), found = new Int8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) found[i] = bytes.charCodeAt(i);
  return found;
}

/** Layers { weights, bias, inputs, outputs } of what the file of weights has. */
export function unpacked(file) {
  return file.layers.map(({ inputs, outputs, scale, bias, weights }) => {
    const whole = integers(weights), values = new Float32Array(whole.length);
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < outputs; j++) values[i * outputs + j] = whole[i * outputs + j] * scale[j];
    }
    return { inputs, outputs, bias: Float32Array.from(bias), weights: values };
  });
}

/** Pixels in [0, 1] of z: the means of p(x|z). */
export function decode(layers, z) {
  let h = Float32Array.from(z);
  layers.forEach(({ inputs, outputs, weights, bias }, l) => {
    const y = bias.slice();
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < outputs; j++) y[j] += h[i] * weights[i * outputs + j];
    }
    h = l < layers.length - 1 ? y.map(Math.tanh) : y.map((v) => 1 / (1 + Math.exp(-v)));
  });
  return h;
}

/** Pictures that the library made of latents, as bytes in base64. */
export function pictures(text, size) {
  const all = Float32Array.from(integers(text), (v) => (v & 255) / 255);
  return Array.from({ length: all.length / size }, (_, i) => all.subarray(i * size, (i + 1) * size));
}

/** The greatest difference of two pictures in a pixel. */
export function difference(a, b) {
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);
}

/** Posterior means of test digits, [[z1, z2, digit], ...]: coordinates in thousandths. */
export function points(file) {
  return file.points.map(([a, b, digit]) => [a / 1000, b / 1000, digit]);
}
