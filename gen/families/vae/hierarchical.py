"""L layers of latents, z_1 next to x: p(z_L) p(z_{L-1}|z_L) ... p(z_1|z_2) p(x|z_1), with two kinds of posterior."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
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
from gen.families.vae.latent import FREE, Inference, Model, Parameters, Temperature, Top, apart, joined, scales
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

    @property
    def shapes(self) -> tuple[tuple[int], ...]:
        """Of the latents of each layer."""
        return tuple((d,) for d in self.layers)

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
        ps = self.prior_normals(params, zs)
        p_x, decoder_variables = common.apply(
            self.p_x, params["decoder"], variables["decoder"], zs[0], train=train)

        def densities(normals):
            return [normal.log_prob(z).sum(-1) for normal, z in zip(normals, zs, strict=True)]

        def log_q_held():
            (_, held), _ = posterior(jax.lax.stop_gradient(params), zs)
            return sum(densities(held))

        log_p, log_q = densities(ps), densities(qs)
        if self.config.hierarchy.name == "ladder":
            kl = [kl_normal(a, b).sum(-1) for a, b in zip(qs, ps, strict=True)]
        else:
            kl = [a - b for a, b in zip(log_q, log_p, strict=True)]
        kl = jnp.stack([jnp.atleast_2d(layer).mean(0) for layer in kl], -1)
        terms = Terms(self.p_x.likelihood.log_prob(p_x, x, 2), sum(log_p), sum(log_q), log_q_held, kl)
        latents = Latents(joined([z[0] for z in zs]), _firsts(qs, zs),
                          lambda: self.draw(params, variables, stream(key, "prior"), len(x)))
        return Inference(terms, latents), variables | {"encoder": encoder_variables, "decoder": decoder_variables}

    def encode(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Normal:
        """q of each layer at the mean of the layers that it is conditioned on."""
        noise = tuple(jnp.zeros((1, len(x), d)) for d in self.layers)
        (zs, qs), _ = common.apply(
            self.q, params["encoder"], variables["encoder"], x, noise, self.descent(params), train=False)
        return _firsts(qs, zs)

    def decode(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]) -> Distribution:
        """p(x|z_1)."""
        z = z[..., :self.layers[0]]
        return common.apply(self.p_x, params["decoder"], variables["decoder"], z, train=False)[0]

    def draw(self, params: Parameters, variables: Parameters, key: PRNGKeyArray, n: int, top: Top = FREE,
             temperature: Temperature = 1.0) -> Float[Array, "n d"]:
        """n samples of p(z), from the top down."""
        count, zs = len(self.layers), []
        held, warmth = top.z is not None and apart(top.z, self.shapes), scales(temperature, count)
        for layer in reversed(range(count)):
            if layer >= count - top.layers:
                zs.insert(0, held[layer])
            elif layer == count - 1:
                zs.insert(0, warmth[layer] * jax.random.normal(stream(key, "top"), (n, self.layers[-1])))
            else:
                p, noise = self.descent(params)(layer, zs[0]), stream(key, "layer", layer)
                zs.insert(0, p.replace(log_scale=p.log_scale + jnp.log(warmth[layer])).sample(noise))
        return joined(zs)

    def log_prior(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]) -> Float[Array, "*n"]:
        """log p(z) in nats."""
        zs = tuple(apart(z, self.shapes))
        return sum(p.log_prob(z).sum(-1) for p, z in zip(self.prior_normals(params, zs), zs, strict=True))

    def code(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Float[Array, "b d"]:
        """The means of that q."""
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
    return Model(m.shapes, m.init, m.infer, m.encode, m.code, m.decode, m.draw, m.log_prior, m.p_x.likelihood)


def _firsts(qs: Sequence[Normal], zs: Samples) -> Normal:
    """The normals of the first of k samples of all layers as one, each [b d] or [k b d]."""
    firsts = [jax.tree.map(lambda v, z=z: jnp.broadcast_to(v, z.shape)[0], q) for q, z in zip(qs, zs, strict=True)]
    return jax.tree.map(lambda *layers: joined(layers), *firsts)
