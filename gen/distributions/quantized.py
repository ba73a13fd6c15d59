"""Distributions on the 256 values of a pixel, in data units: level i is low + i (1 - low) / 255, i = 0..255."""

import flax
import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gen.settled import settled

LEVELS = 256


def to_level(x: Float[Array, "..."], low: float) -> Int[Array, "..."]:
    """The level 0..255 nearest to a value in data units."""
    return jnp.clip(jnp.round((x - low) * ((LEVELS - 1) / (1 - low))), 0, LEVELS - 1).astype(jnp.int32)


def from_level(level: Int[Array, "..."], low: float) -> Float[Array, "..."]:
    """The value in data units of a level 0..255."""
    return low + level * ((1 - low) / (LEVELS - 1))


def _logistic_interval(x: Float[Array, "..."], loc: Float[Array, "..."], log_scale: Float[Array, "..."], low: float
                       ) -> Float[Array, "..."]:
    """log of the logistic's mass on the bin around x; the outermost bins reach to infinity.

    With a, b the standardised edges: log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b)
    + log(1 - exp(b - a)), exact for any scale (Kingma et al. 2016, eq. 16; Salimans et al. 2017, eq. 2).
    """
    half, precision = (1 - low) / (LEVELS - 1) / 2, jnp.exp(-log_scale)
    above = -jax.nn.softplus((loc - x - half) * precision)
    below = -jax.nn.softplus((x - half - loc) * precision)
    middle = above + below + jnp.log(-jnp.expm1(-2 * half * precision))
    return jnp.where(x < low + half, above, jnp.where(x > 1 - half, below, middle))


@flax.struct.dataclass
class DiscretizedLogistic:
    """A logistic variable rounded to the nearest level, per element; `low` and 1 are the ends of the data's range."""

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]
    low: float = flax.struct.field(pytree_node=False, default=0.0)

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability of the level of x, per element, in nats."""
        return _logistic_interval(x, self.loc, self.log_scale, self.low)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "..."]:
        value = self.loc + jnp.exp(self.log_scale) * jax.random.logistic(key, self.loc.shape)
        return from_level(to_level(value, self.low), self.low)

    def mean(self) -> Float[Array, "..."]:
        """The mean but for rounding and for the mass beyond the range."""
        return jnp.clip(self.loc, self.low, 1)


@flax.struct.dataclass
class DiscretizedNormal:
    """A normal variable rounded to the nearest level, per element; `low` and 1 are the ends of the data's range."""

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]
    low: float = flax.struct.field(pytree_node=False, default=0.0)

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """log of the normal's mass on the bin around x; the outermost bins reach to infinity (Ho et al. 2020, eq. 13).

        With a > b the standardised edges, on the lower side of the mean by symmetry, log(Phi(a) - Phi(b)) =
        log Phi(a) + log(1 - exp(log Phi(b) - log Phi(a))): exact far from the mean too.
        """
        half, precision = (1 - self.low) / (LEVELS - 1) / 2, jnp.exp(-self.log_scale)
        above, below = (log_ndtr((edge - jnp.abs(x - self.loc)) * precision) for edge in (half, -half))
        inside = above + jnp.log(-jnp.expm1(below - above))
        lowest, highest = (log_ndtr((half + side * (x - self.loc)) * precision) for side in (1, -1))
        return jnp.where(x < self.low + half, lowest, jnp.where(x > 1 - half, highest, inside))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "..."]:
        value = self.loc + jnp.exp(self.log_scale) * jax.random.normal(key, self.loc.shape)
        return from_level(to_level(value, self.low), self.low)

    def mean(self) -> Float[Array, "..."]:
        """The mean but for rounding and for the mass beyond the range."""
        return jnp.clip(self.loc, self.low, 1)


@flax.struct.dataclass
class DiscretizedLogisticMixture:
    """A mixture of `m` discretised logistics for each element (Salimans et al. 2017, eq. 1-2, channels independent)."""

    logits: Float[Array, "... m"]
    loc: Float[Array, "... m"]
    log_scale: Float[Array, "... m"]
    low: float = flax.struct.field(pytree_node=False, default=0.0)

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability of the level of x, per element, in nats."""
        components = _logistic_interval(x[..., None], self.loc, self.log_scale, self.low)
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + components, axis=-1)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "..."]:
        which_key, logistic_key = jax.random.split(key)
        which = jax.random.categorical(which_key, self.logits)[..., None]
        loc, log_scale = (jnp.take_along_axis(v, which, -1)[..., 0] for v in (self.loc, self.log_scale))
        return DiscretizedLogistic(loc, log_scale, self.low).sample(logistic_key)

    def mean(self) -> Float[Array, "..."]:
        """The mean but for rounding and for the mass beyond the range."""
        return (jax.nn.softmax(self.logits) * jnp.clip(self.loc, self.low, 1)).sum(-1)


@flax.struct.dataclass
class ConditionalLogisticMixture:
    """A mixture of `m` vectors of discretised logistics for each pixel; channels are conditioned on those before.

    Given the component, channel i has the mean loc_i + sum_{j < i} r_ij x_j (Salimans et al. 2017, section 2.2).

    Attributes:
      coefficients: r_ij, in the order r_10, r_20, r_21, ...
    """

    logits: Float[Array, "... m"]
    loc: Float[Array, "... c m"]
    log_scale: Float[Array, "... c m"]
    coefficients: Float[Array, "... r m"]
    low: float = flax.struct.field(pytree_node=False, default=-1.0)

    def means(self, x: Float[Array, "... i n"]) -> Float[Array, "... m"]:
        """loc_i + sum_{j < i} r_ij x_j of every component, given the first i channels (n is m, or 1 for all alike)."""
        i = x.shape[-2]
        first = i * (i - 1) // 2
        return self.loc[..., i, :] + (self.coefficients[..., first:first + i, :] * x).sum(-2)

    def log_prob(self, x: Float[Array, "... c"]) -> Float[Array, "..."]:
        """Log-probability of the levels of a pixel's channels together, in nats."""
        total, x = jax.nn.log_softmax(self.logits), x[..., None]
        for i in range(self.loc.shape[-2]):
            means, log_scale = settled(self.means(x[..., :i, :])), settled(self.log_scale[..., i, :])
            total = total + _logistic_interval(x[..., i, :], means, log_scale, self.low)
        return jax.nn.logsumexp(total, axis=-1)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "... c"]:
        which_key, logistic_key = jax.random.split(key)
        which = jax.random.categorical(which_key, self.logits)[..., None]
        noise = jax.random.logistic(logistic_key, self.loc.shape[:-1])
        x = jnp.zeros((*which.shape[:-1], 0, 1), noise.dtype)
        for i in range(self.loc.shape[-2]):
            loc, log_scale = (jnp.take_along_axis(v, which, -1) for v in (self.means(x), self.log_scale[..., i, :]))
            level = to_level(loc + jnp.exp(log_scale) * noise[..., i, None], self.low)
            x = jnp.concatenate([x, from_level(level, self.low)[..., None, :]], axis=-2)
        return x[..., 0]

    def mean(self) -> Float[Array, "... c"]:
        """The mean but for rounding and for the mass beyond the range."""
        x = jnp.zeros((*self.logits.shape[:-1], 0, self.logits.shape[-1]), self.loc.dtype)
        for _ in range(self.loc.shape[-2]):
            x = jnp.concatenate([x, jnp.clip(self.means(x), self.low, 1)[..., None, :]], axis=-2)
        return (jax.nn.softmax(self.logits)[..., None, :] * x).sum(-1)


@flax.struct.dataclass
class PixelCategorical:
    """Any distribution on the 256 levels, per element."""

    logits: Float[Array, "... 256"]
    low: float = flax.struct.field(pytree_node=False, default=0.0)

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability of the level of x, per element, in nats."""
        log_p = jax.nn.log_softmax(self.logits)
        level = jnp.broadcast_to(to_level(x, self.low), log_p.shape[:-1])
        return jnp.take_along_axis(log_p, level[..., None], -1)[..., 0]

    def sample(self, key: PRNGKeyArray) -> Float[Array, "..."]:
        return from_level(jax.random.categorical(key, self.logits), self.low)

    def mean(self) -> Float[Array, "..."]:
        return jax.nn.softmax(self.logits) @ from_level(jnp.arange(LEVELS), self.low)
