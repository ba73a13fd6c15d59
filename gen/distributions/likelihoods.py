"""Likelihoods p(x|z): Flax modules that turn a decoder's output into a distribution over examples."""

from abc import ABC, abstractmethod
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Positive, Real
from gen.data import RANGES
from gen.distributions.elementary import Bernoulli, Distribution, Normal
from gen.distributions.quantized import (
    LEVELS,
    ConditionalLogisticMixture,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    PixelCategorical,
)


class Likelihood(nn.Module, ABC):
    """p(x|z) from a decoder's output [... channels(c)], as a distribution over [... c].

    Attributes:
      range: of the data, "unit", "symmetric" or "real".
      outputs: decoder outputs per element of x.
      ranges: those that the likelihood can be used with.
      quantized: p(x|z) is a probability of the 256 levels of a pixel themselves, without noise that makes them
        continuous (dequantisation): bits per dimension are -log2 p(x) / dimensions, 8 of them for uniform levels.
    """

    range: str

    outputs: ClassVar[int] = 1
    ranges: ClassVar[tuple[str, ...]] = ("unit", "symmetric", "real")
    quantized: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, out: Float[Array, "..."]) -> Distribution:
        """The distribution of an example, from [... channels(c)]."""

    def channels(self, c: int) -> int:
        """Channels of the decoder's output for examples with c of them (d numbers of a point)."""
        return c * self.outputs

    def log_prob(self, p: Distribution, x: Float[Array, "b ..."], batch_rank: int) -> Float[Array, "..."]:
        """log p(x) summed over the event, which follows `batch_rank` dimensions of p, in nats.

        The event is made one axis first: loops whose last axis is a single channel are ten times slower on a CPU.
        """
        def flat(leaf: Array) -> Array:
            return leaf.reshape(*leaf.shape[:batch_rank], x[0].size, *leaf.shape[batch_rank + x.ndim - 1:])

        return jax.tree.map(flat, p).log_prob(x.reshape(len(x), -1)).sum(-1)

    def output(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        """The decoder's output at which the likelihood has this mean, where one output alone decides it."""
        raise ValueError("its mean is no function of one output of the decoder")

    def split(self, out: Float[Array, "... n"]) -> Float[Array, "k ... c"]:
        """The `outputs` of each element, apart."""
        return jnp.moveaxis(out.reshape(*out.shape[:-1], self.outputs, -1), -2, 0)

    @property
    def low(self) -> float:
        """The least value of the data."""
        return RANGES[self.range]


class BernoulliLikelihood(Likelihood):
    """Bernoulli with the decoder's output as logits; for data in [0, 1]."""

    ranges: ClassVar = ("unit",)

    def __call__(self, out: Float[Array, "..."]) -> Bernoulli:
        return Bernoulli(out)

    def output(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        """The logit, of means kept within [0.001, 0.999]."""
        mean = jnp.clip(mean, 1e-3, 1 - 1e-3)
        return jnp.log(mean) - jnp.log1p(-mean)


class NormalLikelihood(Likelihood):
    """Normal with the decoder's output as mean and a fixed scale, in data units."""

    scale: Positive[float] = 1.0

    def __call__(self, out: Float[Array, "..."]) -> Normal:
        return Normal(out, jnp.full_like(out, jnp.log(self.scale)))

    def output(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        return mean


class SharedNormalLikelihood(Likelihood):
    """Normal with the decoder's output as mean and one learned scale for all elements (Rybkin et al. 2021, eq. 3)."""

    initial_scale: Positive[float] = 1.0

    @nn.compact
    def __call__(self, out: Float[Array, "..."]) -> Normal:
        log_scale = self.param("log_scale", nn.initializers.constant(jnp.log(self.initial_scale)), ())
        return Normal(out, jnp.broadcast_to(log_scale, out.shape))

    def output(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        return mean


class PredictedNormalLikelihood(Likelihood):
    """Normal whose mean and log-scale both come from the decoder; the log-scale is bounded below."""

    smallest_log_scale: Real[float] = -5.0
    outputs: ClassVar = 2

    def __call__(self, out: Float[Array, "..."]) -> Normal:
        loc, log_scale = self.split(out)
        return Normal(loc, self.smallest_log_scale + jax.nn.softplus(log_scale - self.smallest_log_scale))


class DiscretizedLogisticLikelihood(Likelihood):
    """A discretised logistic whose mean and log-scale both come from the decoder (Kingma et al. 2016, eq. 16)."""

    smallest_log_scale: Real[float] = -7.0
    outputs: ClassVar = 2
    ranges: ClassVar = ("unit", "symmetric")
    quantized: ClassVar = True

    def __call__(self, out: Float[Array, "..."]) -> DiscretizedLogistic:
        loc, log_scale = self.split(out)
        return DiscretizedLogistic(loc, _bounded(log_scale, self.smallest_log_scale), self.low)


class DiscretizedLogisticMixtureLikelihood(Likelihood):
    """A mixture of discretised logistics for each element (Salimans et al. 2017, section 2.1, channels independent)."""

    components: Count = 5
    smallest_log_scale: Real[float] = -7.0
    ranges: ClassVar = ("unit", "symmetric")
    quantized: ClassVar = True

    @property
    def outputs(self) -> int:
        return 3 * self.components

    def __call__(self, out: Float[Array, "..."]) -> DiscretizedLogisticMixture:
        logits, loc, log_scale = (jnp.moveaxis(self.split(out)[i::3], 0, -1) for i in range(3))
        return DiscretizedLogisticMixture(logits, loc, _bounded(log_scale, self.smallest_log_scale), self.low)


class ConditionalLogisticMixtureLikelihood(Likelihood):
    """A mixture of discretised logistics for each pixel, each channel's mean linear in the channels before it.

    Salimans et al. 2017, section 2.2 (PixelCNN++, VDVAE). The decoder's channels: m logits, then m means, m log-scales
    and c (c - 1) m / 2 coefficients, here of any number of channels c (10 m of three).
    """

    components: Count = 10
    smallest_log_scale: Real[float] = -7.0
    ranges: ClassVar = ("symmetric",)
    quantized: ClassVar = True

    def channels(self, c: int) -> int:
        return self.components * (1 + 2 * c + c * (c - 1) // 2)

    def __call__(self, out: Float[Array, "..."]) -> ConditionalLogisticMixture:
        m, k = self.components, out.shape[-1] // self.components - 1
        c = next(c for c in range(1, k + 1) if 2 * c + c * (c - 1) // 2 == k)
        logits, loc, log_scale, coefficients = jnp.split(out, [m, m * (1 + c), m * (1 + 2 * c)], axis=-1)
        loc, log_scale, coefficients = (v.reshape(*v.shape[:-1], -1, m) for v in (loc, log_scale, coefficients))
        return ConditionalLogisticMixture(
            logits, loc, _bounded(log_scale, self.smallest_log_scale), jnp.tanh(coefficients), self.low)

    def log_prob(self, p: ConditionalLogisticMixture, x: Float[Array, "b ..."], batch_rank: int) -> Float[Array, "..."]:
        return p.log_prob(x).sum(range(batch_rank, batch_rank + x.ndim - 2))


class CategoricalLikelihood(Likelihood):
    """A softmax over the 256 levels of each element (van den Oord et al. 2016, section 2.2, channels independent)."""

    outputs: ClassVar = LEVELS
    ranges: ClassVar = ("unit", "symmetric")
    quantized: ClassVar = True

    def __call__(self, out: Float[Array, "..."]) -> PixelCategorical:
        return PixelCategorical(jnp.moveaxis(self.split(out), 0, -1), self.low)


def _bounded(log_scale: Float[Array, "..."], smallest: float) -> Float[Array, "..."]:
    return jnp.maximum(log_scale, smallest)


LIKELIHOODS = {
    "bernoulli": BernoulliLikelihood,
    "normal": NormalLikelihood,
    "normal_shared": SharedNormalLikelihood,
    "normal_predicted": PredictedNormalLikelihood,
    "discretized_logistic": DiscretizedLogisticLikelihood,
    "discretized_logistic_mixture": DiscretizedLogisticMixtureLikelihood,
    "conditional_logistic_mixture": ConditionalLogisticMixtureLikelihood,
    "categorical": CategoricalLikelihood,
}
