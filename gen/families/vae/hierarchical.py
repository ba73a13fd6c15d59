"""L layers of latents, z_1 next to x: p(z_L) p(z_{L-1}|z_L) ... p(z_1|z_2) p(x|z_1), with two kinds of posterior."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gen.config import make as make_part
from gen.config.ranges import Count
from gen.data import Spec
from gen.distributions import Distribution, Normal, kl_normal, standard_normal
from gen.distributions.posteriors import DiagonalNormal
from gen.errors import UserError
from gen.families import common
from gen.families.types import Batch
from gen.families.vae import one_layer
from gen.families.vae.latent import Inference, Model, Parameters
from gen.networks import VAE_ENCODERS
from gen.networks.mlp import MLPEncoder
from gen.objectives.bounds import Terms
from gen.objectives.regularizers import Latents
from gen.precision import policy
from gen.rng import along, stream

Samples = tuple[Float[Array, "k b _"], ...]
"""Latents of all layers, from z_1 to z_L."""

Descend = Callable[[int, Array], Normal]
"""(l, z_{l+1}) -> p(z_l | z_{l+1}), layers counted from 0."""


class Conditional(nn.Module):
    """A diagonal normal given a vector, by an MLP."""

    latents: int
    hidden: tuple[int, ...]
    activation: str
    kernel_init: str
    dtype: Any

    def setup(self):
        mlp = MLPEncoder(self.hidden, self.activation, kernel_init=self.kernel_init, dtype=self.dtype)
        self.normal = DiagonalNormal(mlp, self.latents, self.kernel_init)

    def __call__(self, h: Float[Array, "*n d"]) -> tuple[Normal, Float[Array, "*n f"]]:
        """Returns (the normal, the MLP's features), with any number of batch dimensions."""
        rows, put_back = common.as_rows(h)
        return jax.tree.map(put_back, self.normal(rows, train=True))


class Descent(nn.Module):
    """p(z_l | z_{l+1}) for l < L."""

    latents: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: str
    kernel_init: str
    dtype: Any

    def setup(self):
        options = (self.hidden, self.activation, self.kernel_init, self.dtype)
        self.blocks = [Conditional(d, *options) for d in self.latents[:-1]]

    def __call__(self, layer: int, z: Float[Array, "*n d"]) -> Normal:
        return self.blocks[layer](z)[0]

    def all(self) -> None:
        """Touches every layer: for initial values."""
        for layer, d in enumerate(self.latents[1:]):
            self(layer, jnp.zeros((1, d)))


class Ascent(nn.Module, ABC):
    """What the two kinds of posterior share: q(z_1..z_L | x) from an encoder of x and MLPs above it.

    `latents` (of the layers above the first), `hidden`, `activation` and `kernel_init` serve the posterior's MLPs and
    those of p(z_l | z_{l+1}).
    """

    encoder: nn.Module
    first: int
    latents: tuple[Count, ...] = (50,)
    hidden: tuple[Count, ...] = (100, 100)
    activation: str = "tanh"
    kernel_init: str = "glorot_uniform"
    dtype: Any = jnp.float32

    def setup(self):
        self.bottom = DiagonalNormal(self.encoder, self.first, self.kernel_init)
        self.blocks = [Conditional(d, self.hidden, self.activation, self.kernel_init, self.dtype) for d in self.latents]

    @abstractmethod
    def __call__(self, x: Float[Array, "b ..."], noise: Samples, descend: Descend, given: Samples | None = None, *,
                 train: bool) -> tuple[Samples, tuple[Normal, ...]]:
        """Samples with this standard normal noise, or the `given` ones, and the normal of each layer."""


class Chain(Ascent):
    """q(z_1|x) q(z_2|z_1) ... q(z_L|z_{L-1}) (Burda et al. 2016, section 5)."""

    def __call__(self, x, noise, descend, given=None, *, train):
        q = self.bottom(x, train=train)[0]
        zs, qs = [given[0] if given else _sample(q, noise[0])], [q]
        for layer, block in enumerate(self.blocks, 1):
            qs.append(block(zs[-1])[0])
            zs.append(given[layer] if given else _sample(qs[-1], noise[layer]))
        return tuple(zs), tuple(qs)


class Ladder(Ascent):
    """A deterministic way up, then q(z_l | z_{l+1}, x) on the way down, merged with p(z_l | z_{l+1}) by precision.

    Sonderby et al. 2016, eq. 11-15.
    """

    def __call__(self, x, noise, descend, given=None, *, train):
        q, h = self.bottom(x, train=train)
        upward = [q]
        for block in self.blocks:
            q, h = block(h)
            upward.append(q)
        top = len(upward) - 1
        zs, qs = [], []
        for layer in range(top, -1, -1):
            q = upward[layer] if layer == top else merged(upward[layer], descend(layer, zs[0]))
            qs.insert(0, q)
            zs.insert(0, given[layer] if given else _sample(q, noise[layer]))
        return tuple(zs), tuple(qs)


HIERARCHIES = {"chain": Chain, "ladder": Ladder}
SUPPLIED = frozenset({"encoder", "first", "dtype"})


def _sample(q: Normal, noise: Float[Array, "k b d"]) -> Float[Array, "k b d"]:
    return q.loc + jnp.exp(q.log_scale) * noise


def merged(q: Normal, p: Normal) -> Normal:
    """The normalised product of two normals: precisions add, means are weighted by them."""
    a, b = jnp.exp(-2 * q.log_scale), jnp.exp(-2 * p.log_scale)
    return Normal((q.loc * a + p.loc * b) / (a + b), -0.5 * jnp.log(a + b))


class Hierarchy(NamedTuple):
    """The modules of p(z_1..z_L), p(x|z_1) and q. All methods are pure functions; `Model` says what they give.

    Attributes:
      layers: widths of the latents, from z_1 to z_L.
    """

    config: ConfigDict
    layers: tuple[int, ...]
    q: Ascent
    p_z: Descent
    p_x: one_layer.Generative

    def descent(self, params: Parameters) -> Descend:
        """p(z_l | z_{l+1}) with these parameters."""
        return lambda layer, z: self.p_z.apply({"params": params["prior"]}, layer, z)

    def init(self, key: PRNGKeyArray, batch: Batch) -> tuple[Parameters, Parameters]:
        """The parameters and variables at first, for the shapes of a batch and, where asked, its statistics."""
        prior = self.p_z.init(stream(key, "init prior"), method="all")["params"]
        noise = tuple(jnp.zeros((1, 2, d)) for d in self.layers)
        inputs = batch["x"][:2], noise, self.descent({"prior": prior})
        variables = dict(self.q.init(stream(key, "init encoder"), *inputs, train=True))
        params = {"encoder": variables.pop("params"), "prior": prior}
        params["decoder"], decoder_variables = common.initial(
            self.p_x, stream(key, "init decoder"), jnp.zeros((2, self.config.latents)))
        if self.config.output_bias == "data_mean":
            params["decoder"] = one_layer.set_output_bias(params["decoder"], self.p_x.likelihood, batch["x"])
        return params, {"encoder": variables, "decoder": decoder_variables}

    def prior_normals(self, params: Parameters, zs: Samples) -> list[Normal]:
        """p of each layer given the one above, at these samples."""
        below = [self.descent(params)(layer, z) for layer, z in enumerate(zs[1:])]
        return [*below, standard_normal(self.layers[-1:])]

    def infer(self, params: Parameters, variables: Parameters, batch: Batch, key: PRNGKeyArray, k: int, *, train: bool
              ) -> tuple[Inference, Parameters]:
        """k posterior samples of all layers of each example."""
        x = batch["x"]
        noise = tuple(jax.random.normal(along(stream(key, "noise", i), 1), (k, len(x), d))
                      for i, d in enumerate(self.layers))

        def posterior(params, given=None):
            return common.apply(
                self.q, params["encoder"], variables["encoder"], x, noise, self.descent(params), given, train=train)

        (zs, qs), encoder_variables = posterior(params)
        (_, held), _ = posterior(jax.lax.stop_gradient(params), zs)
        ps = self.prior_normals(params, zs)
        likelihood, decoder_variables = common.apply(
            self.p_x, params["decoder"], variables["decoder"], zs[0], train=train)
        log_p, log_q, log_q_held = (
            [p.log_prob(z).sum(-1) for p, z in zip(normals, zs, strict=True)] for normals in (ps, qs, held))
        if self.config.hierarchy.name == "ladder":
            kl = [kl_normal(a, b).sum(-1) for a, b in zip(qs, ps, strict=True)]
        else:
            kl = [a - b for a, b in zip(log_q, log_p, strict=True)]
        kl = jnp.stack([jnp.atleast_2d(layer).mean(0) for layer in kl], -1)
        terms = Terms(one_layer.event_log_prob(likelihood, x, 2), sum(log_p), sum(log_q), sum(log_q_held), kl)
        latents = Latents(zs[0][0], _first(qs[0], zs[0]), self.draw(params, variables, stream(key, "prior"), len(x)))
        return Inference(terms, latents), variables | {"encoder": encoder_variables, "decoder": decoder_variables}

    def encode(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Normal:
        """q of the latents next to x, in a ladder at the mean of the layers above."""
        noise = tuple(jnp.zeros((1, len(x), d)) for d in self.layers)
        (zs, qs), _ = common.apply(
            self.q, params["encoder"], variables["encoder"], x, noise, self.descent(params), train=False)
        return _first(qs[0], zs[0])

    def decode(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]) -> Distribution:
        """p(x|z_1)."""
        return common.apply(self.p_x, params["decoder"], variables["decoder"], z, train=False)[0]

    def draw(self, params: Parameters, variables: Parameters, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n samples of p(z_1), from the top down."""
        z = jax.random.normal(stream(key, "top"), (n, self.layers[-1]))
        for layer in reversed(range(len(self.layers) - 1)):
            z = self.descent(params)(layer, z).sample(stream(key, "layer", layer))
        return z

    def code(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Float[Array, "b d"]:
        """The mean of that q."""
        return self.encode(params, variables, x).loc


def build(config, spec: Spec) -> Model:
    """Builds the modules of the hierarchy that the config describes, for examples of `spec`.

    Raises:
      UserError: parts that need one layer of latents, or see `one_layer.build`.
    """
    if config.conditional or config.prior.name != "standard_normal" or config.posterior.name != "normal":
        raise UserError("A VAE with config.hierarchy is unconditional, with prior.name=standard_normal and "
                        "posterior.name=normal.")
    part, layers = config.hierarchy, (config.latents, *config.hierarchy.latents)
    dtype = policy(config).activations
    encoder = make_part(VAE_ENCODERS, config.encoder, "encoder", dtype=dtype)
    q = make_part(HIERARCHIES, part, "hierarchy", encoder=encoder, first=config.latents, dtype=dtype)
    p_z = Descent(layers, part.hidden, part.activation, part.kernel_init, dtype)
    m = Hierarchy(config, layers, q, p_z, one_layer.generative(config, spec))
    return Model(m.init, m.infer, m.encode, m.code, m.decode, m.draw, None, m.p_x.likelihood)


def _first(q: Normal, z: Float[Array, "k b d"]) -> Normal:
    """The normal of the first of k samples, from [b d] or [k b d]."""
    return jax.tree.map(lambda v: jnp.broadcast_to(v, z.shape)[0], q)
