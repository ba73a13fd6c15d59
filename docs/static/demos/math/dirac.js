/**
 * The Dirac-GAN (Mescheder et al. 2018, section 2): a real point at 0, a fake point theta, the discriminator
 * D(x) = sigmoid(psi x). Both players descend their losses by steps of the same rate.
 */

const sigmoid = (t) => 1 / (1 + Math.exp(-t));

/**
 * Loss to [of the generator, of the discriminator] of the fake logit t = psi theta: minus the derivative of the first,
 * and the derivative of the second. Their value at t = 0 is the speed of the game near its equilibrium.
 */
export const SLOPES = {
  minimax: [sigmoid, sigmoid],
  non_saturating: [(t) => sigmoid(-t), sigmoid],
  wasserstein: [() => 1, () => 1],
};

/** [theta', psi'] of the gradient flow; R1 is the penalty weight * psi^2. */
export function field(theta, psi, { loss, r1 }) {
  const [generator, discriminator] = SLOPES[loss], t = psi * theta;
  return [generator(t) * psi, -discriminator(t) * theta - 2 * r1 * psi];
}

/** The point after one step of each player: of both at once, or of the discriminator and then of the generator. */
export function step([theta, psi], game) {
  const [dTheta, dPsi] = field(theta, psi, game), next = psi + game.rate * dPsi;
  return [theta + game.rate * (game.alternating ? field(theta, next, game)[0] : dTheta), next];
}

/** The points after 0, 1, ..., n steps, [theta_0, psi_0, theta_1, psi_1, ...]; it ends early where they run away. */
export function trajectory(start, game, n) {
  const points = [...start];
  for (let i = 0, at = start; i < n && Math.hypot(...at) < 1e3; i++) {
    at = step(at, game);
    points.push(...at);
  }
  return points;
}

/** The Jacobian of `step` at the equilibrium (0, 0), [[dtheta/dtheta, dtheta/dpsi], [dpsi/dtheta, dpsi/dpsi]]. */
export function jacobian({ loss, r1, rate, alternating }) {
  const [g, d] = SLOPES[loss].map((slope) => rate * slope(0)), psi = [-d, 1 - 2 * rate * r1];
  return alternating ? [[1 + g * psi[0], g * psi[1]], psi] : [[1, g], psi];
}

/** Both eigenvalues of a matrix of 2 x 2, [[real, imaginary], [real, imaginary]], the greater real part first. */
export function eigenvalues([[a, b], [c, d]]) {
  const middle = (a + d) / 2, square = middle * middle - (a * d - b * c), root = Math.sqrt(Math.abs(square));
  return square < 0 ? [[middle, root], [middle, -root]] : [[middle + root, 0], [middle - root, 0]];
}

/** The greatest absolute eigenvalue. */
export function radius(game) {
  return Math.max(...eigenvalues(jacobian(game)).map((value) => Math.hypot(...value)));
}

/**
 * The mean factor by which a step of the game itself, not of its Jacobian, changes the distance to the equilibrium,
 * over n steps near it: the point is set back to a distance of 1e-6 after each.
 */
export function measuredRadius(game, n = 20000) {
  let at = [1e-6, 0], sum = 0;
  const skipped = n / 2;
  for (let i = 0; i < n; i++) {
    const next = step(at, game), factor = Math.hypot(...next) / 1e-6;
    if (i >= skipped) sum += Math.log(factor);
    at = [next[0] / factor, next[1] / factor];
  }
  return Math.exp(sum / (n - skipped));
}
