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
from gen.distributions.quantized import LEVELS, DiscretizedLogistic, DiscretizedLogisticMixture, PixelCategorical


class Likelihood(nn.Module, ABC):
    """p(x|z) from a decoder's output [... c * outputs], as a distribution over [... c].

    Attributes:
      range: of the data, "unit", "symmetric" or "real".
      outputs: decoder outputs per element of x.
      ranges: those that the likelihood can be used with.
      quantized: x has the 256 levels of a pixel, so that bits per dimension are defined.
    """

    range: str

    outputs: ClassVar[int] = 1
    ranges: ClassVar[tuple[str, ...]] = ("unit", "symmetric", "real")
    quantized: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, out: Float[Array, "..."]) -> Distribution:
        """The distribution of an example, from [... c * outputs]."""

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
    "categorical": CategoricalLikelihood,
}
