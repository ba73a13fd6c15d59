"""Convolutional hierarchies with bidirectional inference: q(z_l | z_>l, x) shares the way down with p(z_l | z_>l).

One way down (`TopDown.descend`) serves posterior samples, prior samples and densities: they differ in where the latents
of a layer come from (Sonderby et al. 2016; Kingma et al. 2016; Child 2021, section 3).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.module import InterceptorContext
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Int, PRNGKeyArray
from ml_collections import ConfigDict

from gen.config import make as make_part
from gen.data import Spec
from gen.distributions import Distribution, Normal
from gen.errors import UserError
from gen.families.types import FOR_SHAPES, Batch
from gen.families.vae import one_layer
from gen.families.vae.latent import FREE, Inference, Model, Parameters, Temperature, Top, apart, joined, scales
from gen.families.vae.top_down import Layer, Source, TopDown
from gen.networks.convolutional_ladder import convolutional_ladder
from gen.networks.hierarchies import Networks
from gen.networks.layers import Conv, ConvTranspose
from gen.networks.loops import stacked
from gen.networks.very_deep import very_deep
from gen.objectives.bounds import Terms
from gen.objectives.regularizers import Latents
from gen.precision import policy
from gen.rng import along, stream

NETWORKS = {"convolutional_ladder": convolutional_ladder, "very_deep": very_deep}
"""Name to function(**options) -> `Networks`."""

SUPPLIED = frozenset({"shape", "channels", "outputs", "dtype"})

EXAMPLES = 64
"""Of the batch that initial values look at."""


def normalised(scale: float, run: Callable[[Parameters], object], params: Parameters) -> Parameters:
    """The parameters with which each convolution's outputs have mean 0 and this standard deviation, channel by channel.

    Salimans & Kingma 2016, section 3, as the released code of the convolutional ladder has it: each convolution is
    corrected before the next one sees its outputs. `run`: applies the network to a batch, unjitted or traced once.
    """
    found = flatten_dict(params)

    def note(call: Callable, inputs: tuple, options: dict, context: InterceptorContext):
        y = call(*inputs, **options)
        if not isinstance(context.module, Conv | ConvTranspose) or context.method_name != "__call__":
            return y
        wide = y.astype(jnp.float32).reshape(-1, y.shape[-1])
        mean, factor = wide.mean(0), scale / jnp.sqrt(wide.var(0) + 1e-5)
        kernel, bias = ((*context.module.path, name) for name in ("kernel", "bias"))
        found[kernel], found[bias] = found[kernel] * factor, (found[bias] - mean) * factor
        return ((y - mean) * factor).astype(y.dtype)

    with nn.intercept_methods(note):
        run(params)
    return unflatten_dict(found)


class Bidirectional(NamedTuple):
    """The pure functions of `Model` for a `TopDown`.

    Attributes:
      networks: without rematerialisation, for initial values.
      plain: the module of these, `module` that of the config.
    """

    config: ConfigDict
    networks: Networks
    plain: TopDown
    module: TopDown

    def apply(self, params: Parameters, variables: Parameters, method: Callable, *args, key: PRNGKeyArray | None = None
              ) -> tuple:
        """A method of the module with `key` for dropout in training, without it in evaluation: (result, variables)."""
        collections: dict = {}
        for part, of in variables.items():
            for name, values in of.items():
                collections.setdefault(name, {})[part] = values
        if key is None:
            return self.module.apply({"params": params, **collections}, *args, train=False, method=method), variables
        result, after = self.module.apply({"params": params, **collections}, *args, train=True, method=method,
                                          mutable=list(collections), rngs={"dropout": key})
        return result, variables | {part: {name: after[name][part] for name in of} for part, of in variables.items()}

    def noise(self, key: PRNGKeyArray, *batch: int) -> tuple[Array, ...]:
        """Standard normal noise [*batch d] for each layer, the last axis of the batch being that of the examples.

        Layers of one size draw together, each from its own stream: the numbers are those of one by one, the program is
        one draw for each size.
        """
        def draw(i: Int[Array, ""], size: int) -> Array:
            return jax.random.normal(along(stream(key, "noise", i), len(batch) - 1), (*batch, size))

        sizes, found = [math.prod(shape) for shape in self.networks.layers], {}
        for size in set(sizes):
            of_size = [i for i, other in enumerate(sizes) if other == size]
            found |= dict(zip(of_size, jax.vmap(partial(draw, size=size))(jnp.array(of_size)), strict=True))
        return tuple(found[i] for i in range(len(sizes)))

    def init(self, key: PRNGKeyArray, batch: Batch) -> tuple[Parameters, Parameters]:
        """The parameters and variables at first, for the shapes of a batch and, where asked, its statistics."""
        x, scale = batch["x"][:EXAMPLES], self.networks.initial_scale
        keys = {"params": stream(key, "init"), "dropout": stream(key, "init dropout")}

        def run(x: Array, **collections):
            inputs = (1, len(x)), [Source(noise=each) for each in self.noise(key, 1, len(x))], x
            if not collections:
                return self.plain.init(keys, *inputs, train=True, method=TopDown.descend)
            return self.plain.apply(collections, *inputs, train=True, method=TopDown.descend, rngs=keys, mutable=True)

        collections = dict(run(x[:FOR_SHAPES]))
        if scale and len(x) > FOR_SHAPES:
            params = normalised(scale, lambda params: run(x, **collections | {"params": params}), collections["params"])
            collections["params"] = params
        collections = stacked(collections)
        params = collections.pop("params")
        parts = ("encoder", "decoder")
        return params, {part: {name: of[part] for name, of in collections.items() if part in of} for part in parts}

    def infer(self, params: Parameters, variables: Parameters, batch: Batch, key: PRNGKeyArray, k: int, *, train: bool
              ) -> tuple[Inference, Parameters]:
        """k posterior samples of all layers of each example."""
        x, noise = batch["x"], self.noise(key, k, len(batch["x"]))
        dropout = stream(key, "dropout") if train else None

        def posterior(params, sources):
            return self.apply(params, variables, TopDown.descend, (k, len(x)), sources, x, key=dropout)

        (layers, p_x), after = posterior(params, [Source(noise=each) for each in noise])
        zs, qs, ps, kls = zip(*layers, strict=True)

        def density(normals):
            return sum(normal.log_prob(z).sum(-1) for normal, z in zip(normals, zs, strict=True))

        def log_q_held():
            (again, _), _ = posterior(jax.lax.stop_gradient(params), [Source(z) for z in zs])
            return density([layer.q for layer in again])

        kl = jax.lax.optimization_barrier(jnp.stack([each.mean(0) for each in kls], -1))  # XLA would unroll its sums
        terms = Terms(self.module.likelihood.log_prob(p_x, x, 2), density(ps), density(qs), log_q_held, kl)
        first = joined([z[0] for z in zs]), _joined(jax.tree.map(lambda v: v[0], qs))
        latents = Latents(*first, lambda: self.draw(params, variables, stream(key, "prior"), len(x)))
        return Inference(terms, latents), after

    def encode(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Normal:
        """q of each layer at the means of the layers above."""
        sources = [Source(noise=jnp.zeros((1, len(x), math.prod(shape)))) for shape in self.networks.layers]
        (layers, _), _ = self.apply(params, variables, TopDown.descend, (1, len(x)), sources, x)
        return _joined([jax.tree.map(lambda v: v[0], layer.q) for layer in layers])

    def code(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Float[Array, "b d"]:
        """The means of that q."""
        return self.encode(params, variables, x).loc

    def decode(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]) -> Distribution:
        """p(x|z)."""
        return self.given(params, variables, z)[1]

    def log_prior(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]) -> Float[Array, "*n"]:
        """log p(z) in nats."""
        layers, _ = self.given(params, variables, z)
        return sum(layer.p.log_prob(layer.z).sum(-1) for layer in layers)

    def given(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]
              ) -> tuple[list[Layer], Distribution]:
        """(the layers, p(x|z)) of latents of all layers."""
        return self.apply(params, variables, TopDown.descend, z.shape[:-1], self.held(z))[0]

    def held(self, z: Float[Array, "*n d"]) -> list[Source]:
        """Each layer's own of latents of all."""
        return [Source(each) for each in apart(z, self.networks.layers)]

    def draw(self, params: Parameters, variables: Parameters, key: PRNGKeyArray, n: int, top: Top = FREE,
             temperature: Temperature = 1.0) -> Float[Array, "n d"]:
        """n samples of p(z), from the top down."""
        free = len(self.networks.layers) - top.layers
        sources = [Source(noise=noise, warmth=jnp.asarray(warmth)) for noise, warmth in zip(
            self.noise(key, n), scales(temperature, len(self.networks.layers)), strict=True)]
        if top.z is not None:
            sources[free:] = self.held(top.z)[free:]
        (layers, _), _ = self.apply(params, variables, TopDown.descend, (n,), sources)
        return joined([layer.z for layer in layers])


def _joined(normals: Sequence[Normal]) -> Normal:
    return jax.tree.map(lambda *layers: joined(layers), *normals)


def build(config, spec: Spec) -> Model:
    """Builds the modules of the convolutional hierarchy that the config describes, for examples of `spec`.

    Raises:
      UserError: parts of a VAE of one layer, or an architecture that does not fit the examples.
    """
    if config.conditional or config.prior.name != "standard_normal" or config.posterior.name != "normal":
        raise UserError("A VAE with config.hierarchy is unconditional, with prior.name=standard_normal and "
                        "posterior.name=normal.")
    if config.output_bias != "zero":
        raise UserError(f"config.output_bias={config.output_bias}: a {config.hierarchy.name} begins at zero.")
    likelihood = one_layer.likelihood_of(config, spec)

    def networks(**options) -> Networks:
        return make_part(NETWORKS, dict(config.hierarchy) | options, "hierarchy", shape=spec.shape,
                         channels=config.latents, outputs=likelihood.channels(spec.shape[-1]),
                         dtype=policy(config).activations)

    def module(of: Networks) -> TopDown:
        return TopDown(of.encoder, of.decoder, likelihood, of.layers, of.side, of.patch, spec.shape, of.relative)

    made = networks()
    if made.random and config.samples > 1 and config.train.microbatches > 1:
        raise UserError("config.hierarchy.dropout with config.samples above 1 cannot be split into "
                        "config.train.microbatches: set one of them to its default.")
    m = Bidirectional(config, made, module(networks(remat=False)), module(made))
    return Model(made.layers, m.init, m.infer, m.encode, m.code, m.decode, m.draw, m.log_prior, likelihood)
