/** Mixtures of normals on the line: lists of { weight, mean, std }. */

const LOG_ROOT_2PI = 0.5 * Math.log(2 * Math.PI);

/** log N(x; mean, std^2). */
export function logNormal(x, mean, std) {
  return -0.5 * ((x - mean) / std) ** 2 - Math.log(std) - LOG_ROOT_2PI;
}

export function logSumExp(values) {
  const most = Math.max(...values);
  return most === -Infinity ? most : most + Math.log(values.reduce((sum, v) => sum + Math.exp(v - most), 0));
}

/** p(x) of a mixture. */
export function density(mixture, x) {
  let sum = 0;
  for (const { weight, mean, std } of mixture) sum += weight * Math.exp(logNormal(x, mean, std));
  return sum;
}

/** log p(x) of a mixture, where p(x) itself may be too small for a number. */
export function logDensity(mixture, x) {
  if (mixture.length === 1) return Math.log(mixture[0].weight) + logNormal(x, mixture[0].mean, mixture[0].std);
  return logSumExp(mixture.map(({ weight, mean, std }) => Math.log(weight) + logNormal(x, mean, std)));
}

/** Two equal normals of this std, `apart` from each other around `mean`; one normal where apart is 0. */
export function pair(mean, std, apart) {
  return apart ? [-0.5, 0.5].map((side) => ({ weight: 0.5, mean: mean + side * apart, std }))
    : [{ weight: 1, mean, std }];
}
