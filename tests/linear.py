"""A linear-Gaussian VAE (probabilistic principal components) whose likelihood and posterior are known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from gen.data import Spec
from gen.families import vae
from tests.helpers import vae_config

D, LATENTS, SCALE = 5, 2, 0.5
SPEC = Spec((D,), 0, "real")


def config(**overrides):
    """The config of the linear VAE with gradient descent of rate 1, so that an update is a gradient."""
    return vae_config(**{
        "data__name": "ring", "data__binarize": "none", "encoder__hidden": (), "decoder__hidden": (),
        "likelihood__name": "normal", "likelihood__scale": SCALE, "optimizer__name": "sgd",
        "optimizer__learning_rate": 1.0} | overrides)


class Linear:
    """x = W z + m + SCALE eps: its exact posterior N(A (x - m), S), and a family whose q is off by `error`."""

    def __init__(self, error: float = 0.0, **overrides):
        rng = np.random.default_rng(0)
        orthogonal, self.m = np.linalg.qr(rng.normal(size=(D, LATENTS)))[0], rng.normal(size=D)
        self.w = orthogonal * [1.5, 0.7]  # so that the exact posterior is diagonal
        precision = np.eye(LATENTS) + self.w.T @ self.w / SCALE**2
        self.a, self.s = np.linalg.solve(precision, self.w.T) / SCALE**2, np.sqrt(1 / np.diag(precision))
        self.x = jnp.float32(rng.normal(size=(6, LATENTS)) @ self.w.T + self.m + SCALE * rng.normal(size=(6, D)))
        self.family = vae.make(config(**overrides), SPEC)
        state = jax.jit(self.family.init)(jax.random.key(0), {"x": self.x})
        encoder = {"loc": {"kernel": jnp.float32(self.a.T), "bias": jnp.float32(-self.a @ self.m + error)},
                   "log_scale": {"kernel": jnp.zeros((D, LATENTS)), "bias": jnp.float32(np.log(self.s) + error)}}
        output = {"kernel": jnp.float32(self.w.T), "bias": jnp.float32(self.m)}
        decoder = state.params["decoder"] | {"network": {"output": output}}
        self.state = state.replace(params={"encoder": encoder, "decoder": decoder})

    def log_likelihood(self) -> np.ndarray:
        """log p(x) of the examples."""
        covariance = self.w @ self.w.T + SCALE**2 * np.eye(D)
        return stats.multivariate_normal(self.m, covariance).logpdf(np.asarray(self.x))

    def gradients(self, n: int, first: int = 0):
        """Gradients [n ...] of the mean bound, from n independent updates."""
        def one(key):
            after, _ = self.family.update(self.state, {"x": self.x}, key)
            return jax.tree.map(lambda a, b: a - b, after.params, self.state.params)

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(first), n))
