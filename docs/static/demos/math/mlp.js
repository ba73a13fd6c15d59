/**
 * Multi-layer perceptrons with ReLU, and their derivatives by hand: by the weights, by the input, and of the squared
 * norm of the input's gradient by the weights. A batch is one array, row by row; a layer is { weights, bias, inputs,
 * outputs }, the weights row by row [inputs][outputs], as Flax has them.
 */

/** Layers between these widths: weights N(0, 1 / inputs), biases 0. */
export function initial(widths, random) {
  return widths.slice(1).map((outputs, i) => {
    const inputs = widths[i], weights = random.normals(inputs * outputs).map((v) => v / Math.sqrt(inputs));
    return { weights, bias: new Float64Array(outputs), inputs, outputs };
  });
}

/** y = x W, or x W + b. Units that are 0, half of them after a ReLU, cost nothing. */
function multiply(x, { weights, bias, inputs, outputs }, withBias = true) {
  const rows = x.length / inputs, y = new Float64Array(rows * outputs);
  for (let r = 0; r < rows; r++) {
    const at = r * outputs;
    if (withBias) y.set(bias, at);
    for (let i = 0; i < inputs; i++) {
      const v = x[r * inputs + i], row = i * outputs;
      if (v !== 0) for (let j = 0; j < outputs; j++) y[at + j] += v * weights[row + j];
    }
  }
  return y;
}

/** dx = dy W', where `open` is not 0: the rest is stopped by the ReLU. */
function multiplyBack(dy, { weights, inputs, outputs }, open) {
  const rows = dy.length / outputs, dx = new Float64Array(rows * inputs);
  for (let r = 0; r < rows; r++) {
    const at = r * outputs;
    for (let i = 0; i < inputs; i++) {
      if (open && open[r * inputs + i] === 0) continue;
      const row = i * outputs;
      let sum = 0;
      for (let j = 0; j < outputs; j++) sum += dy[at + j] * weights[row + j];
      dx[r * inputs + i] = sum;
    }
  }
  return dx;
}

/** dW += x' dy, and db += sum dy where `bias` is asked for. */
function accumulate(gradient, x, dy, { inputs, outputs }, bias = true) {
  const rows = dy.length / outputs;
  for (let r = 0; r < rows; r++) {
    const at = r * outputs;
    if (bias) for (let j = 0; j < outputs; j++) gradient.bias[j] += dy[at + j];
    for (let i = 0; i < inputs; i++) {
      const v = x[r * inputs + i], row = i * outputs;
      if (v !== 0) for (let j = 0; j < outputs; j++) gradient.weights[row + j] += v * dy[at + j];
    }
  }
}

/** The input of every layer and, last, the output. */
export function forward(layers, x) {
  const values = [x];
  for (const [i, layer] of layers.entries()) {
    const y = multiply(values.at(-1), layer);
    if (i < layers.length - 1) for (let j = 0; j < y.length; j++) if (y[j] < 0) y[j] = 0;
    values.push(y);
  }
  return values;
}

/** The derivatives by the output of every layer before its ReLU, and first, by the input. */
export function backward(layers, values, dOutput) {
  const deltas = [dOutput];
  for (let i = layers.length - 1; i >= 0; i--) deltas.unshift(multiplyBack(deltas[0], layers[i], i > 0 && values[i]));
  return deltas;
}

/** Gradients of 0 for all weights. */
export function zeros(layers) {
  return layers.map(({ weights, bias }) => ({
    weights: new Float64Array(weights.length), bias: new Float64Array(bias.length),
  }));
}

/** Adds the derivatives by the weights that follow from `forward` and `backward`. */
export function addGradients(gradients, layers, values, deltas) {
  layers.forEach((layer, i) => accumulate(gradients[i], values[i], deltas[i + 1], layer));
}

/**
 * Adds those of scale * sum_r |dD(x_r)/dx|^2, D the only output. Returns the sum, without the scale.
 *
 * With v = dD/dx held fixed, d |dD/dx|^2 / dW = 2 d (v . dD/dx) / dW, and v . dD/dx is D's derivative along v, which a
 * pass of the tangent v through the layers gives (forward over reverse). The tangent passes where the ReLU is open,
 * whose own derivative does not change there; so tangents and deltas take the places of values and deltas.
 */
export function addPenaltyGradients(gradients, layers, values, scale) {
  const deltas = backward(layers, values, new Float64Array(values.at(-1).length).fill(1));
  let tangent = deltas[0];
  layers.forEach((layer, i) => {
    const scaled = deltas[i + 1].map((v) => 2 * scale * v);
    accumulate(gradients[i], tangent, scaled, layer, false);
    tangent = multiply(tangent, layer, false);
    if (i < layers.length - 1) tangent = tangent.map((v, j) => (values[i + 1][j] > 0 ? v : 0));
  });
  return deltas[0].reduce((sum, v) => sum + v * v, 0);
}

/** Adam (Kingma & Ba 2015, algorithm 1) on layers in place. */
export class Adam {
  constructor(layers, { rate, b1, b2 = 0.99, eps = 1e-8 }) {
    Object.assign(this, { layers, rate, b1, b2, eps, step: 0, first: zeros(layers), second: zeros(layers) });
  }

  descend(gradients) {
    const { rate, b1, b2, eps } = this;
    this.step += 1;
    const [c1, c2] = [b1, b2].map((b) => 1 - b ** this.step);
    this.layers.forEach((layer, i) => {
      for (const name of ["weights", "bias"]) {
        const [value, g, m, v] = [layer, gradients[i], this.first[i], this.second[i]].map((part) => part[name]);
        for (let j = 0; j < g.length; j++) {
          m[j] = b1 * m[j] + (1 - b1) * g[j];
          v[j] = b2 * v[j] + (1 - b2) * g[j] * g[j];
          value[j] -= rate * (m[j] / c1) / (Math.sqrt(v[j] / c2) + eps);
        }
      }
    });
  }
}
