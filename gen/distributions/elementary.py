"""Elementary distributions: element-wise log-densities in nats, reparameterised samples, closed-form KL."""

import math
from typing import Protocol, runtime_checkable

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@runtime_checkable
class Distribution(Protocol):
    """What a likelihood, a prior or a posterior can do; `log_prob` is per element, in nats."""

    def log_prob(self, x: Array) -> Array: ...

    def sample(self, key: PRNGKeyArray) -> Array: ...

    def mean(self) -> Array: ...


@flax.struct.dataclass
class Normal:
    """Independent normal variables N(loc, exp(log_scale)^2)."""

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """-((x - loc) / scale)^2 / 2 - log scale - log(2 pi) / 2, per element, in nats."""
        return -0.5 * jnp.square((x - self.loc) * jnp.exp(-self.log_scale)) - self.log_scale - HALF_LOG_2PI

    def sample(self, key: PRNGKeyArray) -> Float[Array, "..."]:
        """loc + scale * eps: differentiable in both parameters (Kingma & Welling 2014, section 2.4)."""
        shape = jnp.broadcast_shapes(self.loc.shape, self.log_scale.shape)
        return self.loc + jnp.exp(self.log_scale) * jax.random.normal(key, shape, self.loc.dtype)

    def mean(self) -> Float[Array, "..."]:
        return self.loc


@flax.struct.dataclass
class Bernoulli:
    """Independent Bernoulli variables with success probability sigmoid(logits); `x` may be any value in [0, 1]."""

    logits: Float[Array, "..."]

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """x log p + (1 - x) log(1 - p) = x l - max(l, 0) - log(1 + exp(-|l|)), l the logits, per element, in nats.

        The logarithm's absolute error is at most 6e-8; `log1p` would cost three times as much on a CPU.
        """
        positive = jnp.maximum(self.logits, 0)  # l - 2 max(l, 0) is -|l| with the right derivative at 0
        return x * self.logits - positive - jnp.log(1 + jnp.exp(self.logits - 2 * positive))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "..."]:
        return jax.random.bernoulli(key, jax.nn.sigmoid(self.logits)).astype(self.logits.dtype)

    def mean(self) -> Float[Array, "..."]:
        return jax.nn.sigmoid(self.logits)


@flax.struct.dataclass
class NormalMixture:
    """sum_m softmax(logits)_m N(z; loc_m, diag(exp(log_scale_m))^2) on vectors; `log_prob` is per vector."""

    logits: Float[Array, "m"]
    loc: Float[Array, "m d"]
    log_scale: Float[Array, "m d"]

    def log_prob(self, z: Float[Array, "... d"]) -> Float[Array, "..."]:
        """logsumexp over the components, their squared distances expanded so that two matmuls give them all.

        That rounds to about 1e-7 |z - centre|^2 / scale^2 nats: for 40 standard normal coordinates, 0.001 at the scale
        0.1 and 0.1 at 0.01.
        """
        centre = self.loc.mean(0)
        precision, loc, z = jnp.exp(-2 * self.log_scale), self.loc - centre, z - centre
        distance = jnp.square(z) @ precision.T - 2 * z @ (loc * precision).T + (jnp.square(loc) * precision).sum(-1)
        constant = jax.nn.log_softmax(self.logits) - self.log_scale.sum(-1) - HALF_LOG_2PI * self.loc.shape[-1]
        return jax.nn.logsumexp(constant - 0.5 * distance, axis=-1)

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n vectors; not differentiable in the logits."""
        which_key, normal_key = jax.random.split(key)
        which = jax.random.categorical(which_key, self.logits, shape=(n,))
        return Normal(self.loc[which], self.log_scale[which]).sample(normal_key)


def kl_normal(q: Normal, p: Normal) -> Float[Array, "..."]:
    """KL(q || p) of two normals per element, in nats:

    log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2   (Kingma & Welling 2014, appendix B, for p = N(0, 1)).
    """
    variance_ratio = jnp.exp(2 * (q.log_scale - p.log_scale))
    distance = jnp.square((q.loc - p.loc) * jnp.exp(-p.log_scale))
    return 0.5 * (variance_ratio + distance - 1) - (q.log_scale - p.log_scale)


def standard_normal(shape: tuple[int, ...], dtype=jnp.float32) -> Normal:
    """Returns N(0, I) of the given shape."""
    return Normal(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))
