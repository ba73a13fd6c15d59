"""Convolutional hierarchies with bidirectional inference: q(z_l | z_>l, x) shares the way down with p(z_l | z_>l).

One loop from the top down (`TopDown.descend`) serves posterior samples, prior samples and densities: they differ in how
the latents of a layer are chosen (Sonderby et al. 2016; Kingma et al. 2016; Child 2021, section 3).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.module import InterceptorContext
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gen.config import make as make_part
from gen.data import Spec
from gen.distributions import Distribution, Normal, kl_normal
from gen.distributions.likelihoods import Likelihood
from gen.errors import UserError
from gen.families import common
from gen.families.types import Batch
from gen.families.vae import one_layer
from gen.families.vae.latent import FREE, Inference, Model, Parameters, Top, apart, joined, scales
from gen.networks.convolutional_ladder import convolutional_ladder
from gen.networks.hierarchies import Maps, Networks, into_patches, out_of_patches
from gen.networks.layers import Conv, ConvTranspose
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

Choose = Callable[[int, Normal, Callable[[], Normal]], Float[Array, "*k b d"]]
"""(layer, p, () -> q) -> latents of the layer, flat like the distributions."""


class TopDown(nn.Module):
    """p(z_1..z_L), p(x|z_1..z_L) and q(z_1..z_L|x) of an encoder and a decoder as `gen.networks.hierarchies` has them.

    Latents and their distributions are flat, [*k b d]; examples have the shape `shape`. Where `relative`, the encoder
    gives what is added to the prior's mean and log-scale: q = N(m + dm, (s ds)^2) for p = N(m, s^2) (Vahdat & Kautz
    2020, section 3.2).
    """

    encoder: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    layers: tuple[tuple[int, ...], ...]
    side: tuple[int, int]
    patch: int
    shape: tuple[int, ...]
    relative: bool = False

    def padded(self, x: Maps) -> Maps:
        """Examples with zeros around them, in patches."""
        extra = [n - m for n, m in zip(self.side, self.shape, strict=False)]
        return into_patches(jnp.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in extra), (0, 0)]), self.patch)

    def cropped(self, out: Float[Array, "..."]) -> Float[Array, "..."]:
        """Outputs as pixels, without those around the example."""
        (top, left), (h, w) = ((n - m) // 2 for n, m in zip(self.side, self.shape, strict=False)), self.shape[:2]
        return out_of_patches(out, self.patch)[..., top:top + h, left:left + w, :]

    def descend(self, batch: tuple[int, ...], choose: Choose, maps: Sequence[Array] = (), *, train: bool
                ) -> Distribution:
        """p(x|z) for the latents that `choose` gives, layer by layer from the top, for batches of these sizes.

        `maps`: the features of x [b h w f] of each layer, where q is asked for.
        """
        like = jnp.zeros((*batch, 1))
        _, put_back = common.as_rows(like)
        n = like.size

        def flat(moments: tuple[Array, Array]) -> Normal:
            return Normal(*(put_back(v.reshape(n, -1)) for v in moments))

        h = self.decoder.start(n)
        for layer in reversed(range(len(self.layers))):
            p, after = self.decoder.prior(layer, h, train=train)

            def q(layer=layer, h=h, p=p) -> Normal:
                features = maps[layer].reshape(len(maps[layer]), -1)
                features, _ = common.as_rows(jnp.broadcast_to(features, (*batch, features.shape[-1])))
                features = features.reshape(n, *maps[layer].shape[1:])
                moments = self.encoder.posterior(layer, h, features, train=train)
                return flat(jax.tree.map(jnp.add, p, moments) if self.relative else moments)

            z, _ = common.as_rows(choose(layer, flat(p), q))
            h = self.decoder.merge(layer, after, z.reshape(n, *self.layers[layer]), train=train)
        out = put_back(self.decoder.output(h, train=train).astype(jnp.float32))
        return self.likelihood(self.cropped(out))

    def infer(self, x: Float[Array, "b h w c"], noise: Sequence[Float[Array, "k b _"]],
              given: Sequence[Float[Array, "k b _"]] | None = None, *, train: bool
              ) -> tuple[list[Array], list[Normal], list[Normal], Distribution]:
        """(z, q, p of each layer, p(x|z)): samples of q with this standard normal noise, or the `given` ones."""
        count = len(self.layers)
        zs, qs, ps = ([None] * count for _ in range(3))

        def choose(layer: int, p: Normal, posterior: Callable[[], Normal]) -> Array:
            q = posterior()
            z = q.loc + jnp.exp(q.log_scale) * noise[layer] if given is None else given[layer]
            zs[layer], qs[layer], ps[layer] = z, q, p
            return z

        p_x = self.descend(noise[0].shape[:-1], choose, self.encoder(self.padded(x), train=train), train=train)
        return zs, qs, ps, p_x

    def generate(self, noise: Sequence[Float[Array, "n _"]], warmth: Sequence[float], top: Top, *, train: bool
                 ) -> list[Array]:
        """Samples of p with this noise, scales times `warmth`; the upper layers as `top` says."""
        zs: list = [None] * len(self.layers)
        held = top.z is not None and apart(top.z, self.layers)

        def choose(layer: int, p: Normal, _) -> Array:
            free = layer < len(self.layers) - top.layers
            zs[layer] = p.loc + warmth[layer] * jnp.exp(p.log_scale) * noise[layer] if free else held[layer]
            return zs[layer]

        self.descend(noise[0].shape[:-1], choose, train=train)
        return zs

    def given(self, z: Float[Array, "*n d"], *, train: bool) -> tuple[Float[Array, "*n"], Distribution]:
        """(log p(z), p(x|z)) of latents of all layers."""
        zs, total = apart(z, self.layers), []

        def choose(layer: int, p: Normal, _) -> Array:
            total.append(p.log_prob(zs[layer]).sum(-1))
            return zs[layer]

        p_x = self.descend(z.shape[:-1], choose, train=train)
        return sum(total), p_x


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
        """Standard normal noise [*batch d] for each layer, the last axis of the batch being that of the examples."""
        def draw(i: int, size: int) -> Array:
            return jax.random.normal(along(stream(key, "noise", i), len(batch) - 1), (*batch, size))

        return tuple(draw(i, h * w * c) for i, (h, w, c) in enumerate(self.networks.layers))

    def init(self, key: PRNGKeyArray, batch: Batch) -> tuple[Parameters, Parameters]:
        """The parameters and variables at first, for the shapes of a batch and, where asked, its statistics."""
        x, scale = batch["x"][:EXAMPLES], self.networks.initial_scale
        keys = {"params": stream(key, "init"), "dropout": stream(key, "init dropout")}

        def run(x: Array, **collections):
            inputs = x, self.noise(key, 1, len(x))
            if not collections:
                return self.plain.init(keys, *inputs, train=True, method=TopDown.infer)
            return self.plain.apply(collections, *inputs, train=True, method=TopDown.infer, rngs=keys, mutable=True)

        collections = dict(run(x[:2]))
        params = collections.pop("params")
        if scale:
            params = normalised(scale, lambda params: run(x, params=params, **collections), params)
        parts = ("encoder", "decoder")
        return params, {part: {name: of[part] for name, of in collections.items() if part in of} for part in parts}

    def infer(self, params: Parameters, variables: Parameters, batch: Batch, key: PRNGKeyArray, k: int, *, train: bool
              ) -> tuple[Inference, Parameters]:
        """k posterior samples of all layers of each example."""
        x, noise = batch["x"], self.noise(key, k, len(batch["x"]))
        dropout = stream(key, "dropout") if train else None

        def posterior(params, given=None):
            return self.apply(params, variables, TopDown.infer, x, noise, given, key=dropout)

        (zs, qs, ps, p_x), after = posterior(params)
        (_, held, _, _), _ = posterior(jax.lax.stop_gradient(params), zs)
        log_p, log_q, log_q_held = (sum(normal.log_prob(z).sum(-1) for normal, z in zip(normals, zs, strict=True))
                                    for normals in (ps, qs, held))
        kl = jnp.stack([kl_normal(q, p).sum(-1).mean(0) for q, p in zip(qs, ps, strict=True)], -1)
        terms = Terms(self.module.likelihood.log_prob(p_x, x, 2), log_p, log_q, log_q_held, kl)
        first = joined([z[0] for z in zs]), _joined(jax.tree.map(lambda v: v[0], qs))
        latents = Latents(*first, self.draw(params, variables, stream(key, "prior"), len(x)))
        return Inference(terms, latents), after

    def encode(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Normal:
        """q of each layer at the means of the layers above."""
        noise = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda: self.noise(jax.random.key(0), 1, len(x))))
        (_, qs, _, _), _ = self.apply(params, variables, TopDown.infer, x, noise)
        return _joined(jax.tree.map(lambda v: v[0], qs))

    def code(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."]) -> Float[Array, "b d"]:
        """The means of that q."""
        return self.encode(params, variables, x).loc

    def decode(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]) -> Distribution:
        """p(x|z)."""
        return self.apply(params, variables, TopDown.given, z)[0][1]

    def log_prior(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"]) -> Float[Array, "*n"]:
        """log p(z) in nats."""
        return self.apply(params, variables, TopDown.given, z)[0][0]

    def draw(self, params: Parameters, variables: Parameters, key: PRNGKeyArray, n: int, top: Top = FREE,
             temperature: float | Sequence[float] = 1.0) -> Float[Array, "n d"]:
        """n samples of p(z), from the top down."""
        warmth = scales(temperature, len(self.networks.layers))
        return joined(self.apply(params, variables, TopDown.generate, self.noise(key, n), warmth, top)[0])


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
