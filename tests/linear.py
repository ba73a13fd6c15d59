"""A linear-Gaussian VAE (probabilistic principal components) whose likelihood and posterior are known exactly."""

import jax
import jax.numpy as jnp
import numpy as np

from gen.data import Spec
from gen.families import vae
from gen.probability.linear_gaussian import LinearGaussian
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
        self.exact = LinearGaussian(self.w, self.m, SCALE)
        slopes, covariance = self.exact.posterior(self.m + np.eye(D))
        self.a, self.s = slopes.T, np.sqrt(np.diag(covariance))
        self.x = jnp.float32(self.exact.sample(rng, 6)[1])
        self.family = vae.make(config(**overrides), SPEC)
        state = jax.jit(self.family.init)(jax.random.key(0), {"x": self.x})
        encoder = {"loc": {"kernel": jnp.float32(self.a.T), "bias": jnp.float32(-self.a @ self.m + error)},
                   "log_scale": {"kernel": jnp.zeros((D, LATENTS)), "bias": jnp.float32(np.log(self.s) + error)}}
        output = {"kernel": jnp.float32(self.w.T), "bias": jnp.float32(self.m)}
        decoder = state.params["decoder"] | {"network": {"output": output}}
        self.state = state.replace(params={"encoder": encoder, "decoder": decoder})

    def log_likelihood(self) -> np.ndarray:
        """log p(x) of the examples."""
        return self.exact.log_likelihood(np.asarray(self.x))

    def gradients(self, n: int, first: int = 0, step: int = 0):
        """Gradients [n ...] of the mean bound at a step of training, from n independent updates."""
        state = self.state.replace(step=jnp.int32(step))

        def one(key):
            after, _ = self.family.update(state, {"x": self.x}, key)
            return jax.tree.map(lambda a, b: a - b, after.params, state.params)

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(first), n))
