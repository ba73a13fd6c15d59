"""Approximate posteriors q(z|x): Flax modules on top of an encoder."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Real
from gen.distributions.elementary import Normal
from gen.distributions.flows import InverseAutoregressiveFlow
from gen.errors import lookup
from gen.networks import blocks
from gen.networks.layers import Dense


def log_softplus(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log log(1 + exp(x)), which is x to the last bit of float32 where exp(x) is below 1e-7."""
    return jnp.where(x < -16, x, jnp.log(jax.nn.softplus(jnp.maximum(x, -16))))


LOG_SCALES = {"exp": lambda x: x, "softplus": log_softplus}
"""From a network's output to the logarithm of a scale."""


class DiagonalNormal(nn.Module):
    """A diagonal normal, its mean and what gives its scale linear in the encoder's features.

    `scale`: "exp" of that, or "softplus", log(1 + exp), which grows on a line (Sonderby et al. 2016 have the variance
    so). `normal`: whether q(z|x) is that normal, and not what a flow makes of it. `log_variance_bounds`: least and
    largest value that the log-variance is clipped to, none if empty (-6 and 2 in the released code of Tomczak & Welling
    2018); a clipped one has no gradient.
    """

    normal = True
    encoder: nn.Module
    latents: int
    kernel_init: str = "lecun_normal"
    log_variance_bounds: tuple[Real[float], ...] = ()
    scale: str = "exp"

    def setup(self):
        init = blocks.initializer(self.kernel_init)
        self.loc = Dense(self.latents, kernel_init=init)
        self.log_scale = Dense(self.latents, kernel_init=init)

    def __call__(self, x: Float[Array, "b ..."], *condition: Array, train: bool) -> tuple[Normal, Float[Array, "b f"]]:
        """Returns (the normal before any flow, the encoder's features)."""
        h = self.encoder(x, *condition, train=train).astype(jnp.float32)
        log_scale = lookup(LOG_SCALES, self.scale, "config.posterior.scale")(self.log_scale(h))
        if self.log_variance_bounds:
            log_scale = jnp.clip(log_scale, *(bound / 2 for bound in self.log_variance_bounds))
        return Normal(self.loc(h), log_scale), h

    def transform(self, z: Float[Array, "k b d"], features: Float[Array, "b f"]
                  ) -> tuple[Float[Array, "k b d"], Float[Array, "k b"] | None]:
        """Returns (z after the flow, its log-determinant); None where there is no flow."""
        return z, None


class Point(DiagonalNormal):
    """The encoder's code, with a noise of standard deviation e^-9 = 1.2e-4 that is none: autoencoders.

    What depends on its entropy, the KL and the ELBO, is 9 nats a latent away from anything that says something.
    """

    def setup(self):
        self.loc = Dense(self.latents, kernel_init=blocks.initializer(self.kernel_init))

    def __call__(self, x: Float[Array, "b ..."], *condition: Array, train: bool) -> tuple[Normal, Float[Array, "b f"]]:
        """Returns (a normal as narrow as that around the code, the encoder's features)."""
        h = self.encoder(x, *condition, train=train).astype(jnp.float32)
        loc = self.loc(h)
        return Normal(loc, jnp.full_like(loc, -9.0)), h


class InverseAutoregressive(DiagonalNormal):
    """A diagonal normal followed by an inverse autoregressive flow (Kingma et al. 2016, algorithm 1)."""

    normal = False
    steps: Count = 2
    hidden: tuple[Count, ...] = (320,)
    activation: str = "elu"

    def setup(self):
        super().setup()
        self.flow = InverseAutoregressiveFlow(self.steps, self.hidden, self.activation)

    def __call__(self, x: Float[Array, "b ..."], *condition: Array, train: bool) -> tuple[Normal, Float[Array, "b f"]]:
        q, h = super().__call__(x, *condition, train=train)
        if self.is_initializing():
            self.transform(q.loc[None], h)
        return q, h

    def transform(self, z: Float[Array, "k b d"], features: Float[Array, "b f"]
                  ) -> tuple[Float[Array, "k b d"], Float[Array, "k b"] | None]:
        return self.flow(z, features)


POSTERIORS = {"normal": DiagonalNormal, "iaf": InverseAutoregressive, "point": Point}
