"""Priors p(z) on vectors: Flax modules with `log_prob`, `sample` and, where there is a closed form, `kl`.

All methods take `encode`, x -> q(z|x), which only the VampPrior looks at.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.config.ranges import Count
from gen.data import RANGES
from gen.distributions.elementary import Normal, NormalMixture, kl_normal, standard_normal
from gen.distributions.flows import RealNVP
from gen.errors import UserError

Encode = Callable[[Array], Normal]


class Prior(nn.Module, ABC):
    """p(z) on vectors of `latents` numbers, for examples of `shape` in the units of `range`."""

    latents: int
    shape: tuple[int, ...]
    range: str

    @abstractmethod
    def log_prob(self, z: Float[Array, "... d"], encode: Encode) -> Float[Array, "..."]:
        """log p(z) in nats, per vector."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray, n: int, encode: Encode) -> Float[Array, "n d"]:
        """n vectors."""

    def kl(self, q: Normal) -> Float[Array, "b d"] | None:
        """KL(q || p) per dimension in nats; None where there is no closed form."""
        return None


class StandardNormal(Prior):
    """N(0, I) (Kingma & Welling 2014)."""

    def log_prob(self, z: Float[Array, "... d"], encode: Encode) -> Float[Array, "..."]:
        return standard_normal((self.latents,)).log_prob(z).sum(-1)

    def sample(self, key: PRNGKeyArray, n: int, encode: Encode) -> Float[Array, "n d"]:
        return jax.random.normal(key, (n, self.latents))

    def kl(self, q: Normal) -> Float[Array, "b d"]:
        return kl_normal(q, standard_normal((self.latents,)))


class MixturePrior(Prior):
    """A mixture of normals with learned weights, means and scales (Tomczak & Welling 2018, section 2: MoG)."""

    components: Count = 500

    def setup(self):
        shape = (self.components, self.latents)
        self.logits = self.param("logits", nn.initializers.zeros_init(), shape[:1])
        self.loc = self.param("loc", nn.initializers.normal(1.0), shape)
        self.log_scale = self.param("log_scale", nn.initializers.zeros_init(), shape)

    def log_prob(self, z: Float[Array, "... d"], encode: Encode) -> Float[Array, "..."]:
        return NormalMixture(self.logits, self.loc, self.log_scale).log_prob(z)

    def sample(self, key: PRNGKeyArray, n: int, encode: Encode) -> Float[Array, "n d"]:
        return NormalMixture(self.logits, self.loc, self.log_scale).sample(key, n)


class VampPrior(Prior):
    """(1 / K) sum_k q(z | u_k) with learned pseudo-inputs u_k (Tomczak & Welling 2018, eq. 9).

    u = low + (1 - low) sigmoid(v) keeps them within the range of the data; `set_examples` puts them on examples.
    """

    components: Count = 500

    def setup(self):
        if self.range not in RANGES:
            raise UserError("The vamp prior's pseudo-inputs are images; with points use a mixture or real_nvp prior.")
        self.pseudo_inputs = self.param("pseudo_inputs", nn.initializers.normal(1.0), (self.components, *self.shape))

    def mixture(self, encode: Encode) -> NormalMixture:
        """The mixture of the posteriors at the pseudo-inputs."""
        low = RANGES[self.range]
        q = encode(low + (1 - low) * jax.nn.sigmoid(self.pseudo_inputs))
        return NormalMixture(jnp.zeros(self.components), q.loc, q.log_scale)

    def log_prob(self, z: Float[Array, "... d"], encode: Encode) -> Float[Array, "..."]:
        return self.mixture(encode).log_prob(z)

    def sample(self, key: PRNGKeyArray, n: int, encode: Encode) -> Float[Array, "n d"]:
        return self.mixture(encode).sample(key, n)

    def set_examples(self, x: Float[Array, "n ..."]) -> dict[str, Array]:
        """Parameters whose pseudo-inputs are examples, drawn a tenth towards grey so that they can still move."""
        low = RANGES[self.range]
        unit = (x[jnp.arange(self.components) % len(x)] - low) / (1 - low)
        unit = 0.05 + 0.9 * unit
        return {"pseudo_inputs": jnp.log(unit) - jnp.log1p(-unit)}


class RealNVPPrior(Prior):
    """The density of z for which RealNVP(z) ~ N(0, I) (Dinh et al. 2017, eq. 2); begins as N(0, I)."""

    layers: Count = 8
    hidden: tuple[Count, ...] = (128, 128)
    activation: str = "relu"

    def setup(self):
        self.flow = RealNVP(self.latents, self.layers, self.hidden, self.activation)

    def log_prob(self, z: Float[Array, "... d"], encode: Encode) -> Float[Array, "..."]:
        u, log_det = self.flow(z)
        return standard_normal((self.latents,)).log_prob(u).sum(-1) + log_det

    def sample(self, key: PRNGKeyArray, n: int, encode: Encode) -> Float[Array, "n d"]:
        return self.flow.inverse(jax.random.normal(key, (n, self.latents)))


PRIORS = {"standard_normal": StandardNormal, "mixture": MixturePrior, "vamp": VampPrior, "real_nvp": RealNVPPrior}
