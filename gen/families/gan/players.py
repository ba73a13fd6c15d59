"""The players of a GAN: generator, discriminator with its heads, latents with their codes, and how both are applied."""

import inspect
import math
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gen.config import make as make_part
from gen.data import Spec
from gen.errors import UserError, lookup
from gen.families import common
from gen.families.gan.checks import (
    check_augment,
    check_groups,
    check_mixing,
    check_paths,
    check_reconstruction,
    check_rotation,
)
from gen.families.gan.rotations import TURNS
from gen.networks import DECODERS, ENCODERS, blocks, equalized
from gen.networks.blocks import Condition
from gen.networks.layers import Dense
from gen.precision import policy
from gen.rng import stream

OUTPUT_ACTIVATIONS = {"unit": jax.nn.sigmoid, "symmetric": jnp.tanh, "real": lambda x: x}
"""From a decoder's output to data units, by `Spec.range`."""

LATENTS = {
    "normal": jax.random.normal,
    "uniform": partial(jax.random.uniform, minval=-1.0, maxval=1.0),
}
"""Distributions of z: N(0, 1) or U(-1, 1), (key, shape) -> z."""

BOUNDED = {
    "normal": lambda key, shape, bound: jax.random.truncated_normal(key, -bound, bound, shape),
    "uniform": lambda key, shape, bound: jax.random.uniform(key, shape, minval=-jnp.minimum(bound, 1),
                                                           maxval=jnp.minimum(bound, 1)),
}
"""The same given that |z_i| <= bound: (key, shape, bound) -> z."""


class Judgement(NamedTuple):
    """What the discriminator says of examples, of which it sees m packed as one.

    Attributes:
      logits: real or fake, for each pack.
      classes: logits of the label of each example; of width 0 without such a head.
      codes: prediction of the codes of each example; of width 0 without such a head.
      turns: logits of the quarter turns of each pack; of width 0 without such a head.
    """

    logits: Float[Array, "b"]
    classes: Float[Array, "n k"]
    codes: Float[Array, "n c"]
    turns: Float[Array, "b t"]


class Discriminator(nn.Module):
    """Heads on the features of an encoder, in float32.

    Attributes:
      conditioning: a key of `labels.CONDITIONINGS`, or "" without labels.
      classes, codes: widths of the heads for labels and codes, for each example of a pack; `turns`: for rotations.
      label_size: of the label's embedding, of `product` and `mapped`; `label_depth`: of the mapping of the latter.
      group: size of the groups of minibatch standard deviation, which the encoder puts before its last layer; 0: none.
      reconstruction: of the discriminator's input from a code of `code_size`; a logit is then minus its mean absolute
        error (Berthelot et al. 2017, section 3; the squared one in Zhao et al. 2017). None: a logit is a linear
        function of the features.
    """

    encoder: nn.Module
    kernel_init: str
    spectral_norm: bool
    bias: bool
    packing: int
    conditioning: str
    classes: int
    codes: int
    group: int
    label_size: int = 0
    label_depth: int = 0
    reconstruction: nn.Module | None = None
    code_size: int = 0
    turns: int = 0

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], condition: Condition = None, *, train: bool) -> Judgement:
        shown = condition if self.conditioning == "concatenate" else None
        statistic = {"statistic": partial(with_minibatch_deviation, group=self.group)} if self.group else {}
        h = conditioned(self.encoder, x, shown, train=train, **statistic).astype(jnp.float32)

        def head(name: str, width: int, h: Array, use_bias: bool = True) -> Array:
            if getattr(self.encoder, "EQUALIZED", False):
                return equalized.Dense(width, use_bias, name=name)(h)
            layer = Dense(width, use_bias, kernel_init=blocks.initializer(self.kernel_init), name=name)
            return blocks.constrained(layer, self.spectral_norm, train=train)(h)

        if self.conditioning == "product":
            scale = nn.initializers.variance_scaling(1 / self.label_size, "fan_in", "normal")
            embedded = Dense(self.label_size, False, kernel_init=scale, name="label_embedding")(condition)
            logits = (head("features", self.label_size, h, False) * embedded).sum(-1)
        elif self.conditioning == "mapped":
            label = equalized.Mapping(self.label_size, self.label_depth, name="label_mapping")(None, condition)
            logits = (head("features", self.label_size, h, self.bias) * label).sum(-1) / math.sqrt(self.label_size)
        elif self.reconstruction is None:
            logits = head("logits", 1, h, self.bias)[:, 0]
        else:
            again = self.reconstruction(head("code", self.code_size, h), train=train)
            logits = -jnp.abs(x - again).reshape(len(x), -1).mean(1)
        if self.conditioning == "projection":
            logits += (head("embedding", h.shape[-1], condition, False) * h).sum(-1)
        examples, classes, codes = len(x) * self.packing, jnp.zeros((len(x), 0)), jnp.zeros((len(x), 0))
        if self.conditioning == "auxiliary":
            classes = head("classes", self.packing * self.classes, h).reshape(examples, -1)
        if self.codes:
            hidden = nn.leaky_relu(head("codes_hidden", 128, h), 0.1)
            codes = head("codes", self.packing * self.codes, hidden).reshape(examples, -1)
        turns = head("turns", self.turns, h) if self.turns else jnp.zeros((len(x), 0))
        return Judgement(logits, classes, codes, turns)


def with_minibatch_deviation(h: Float[Array, "b ... c"], group: int) -> Float[Array, "b ... d"]:
    """Appends the standard deviation over a group, averaged over its features (Karras et al. 2018, section 3).

    sqrt(Var + 1e-8) of each feature of each pixel, one mean for all, as StyleGAN2-ADA's MinibatchStdLayer. There the
    rows of a group are b / group apart, here they are in succession, so that real and fake ones of a joint batch never
    meet. Rows beyond the last whole group are a group of their own.
    """
    whole = len(h) - len(h) % group

    def deviations(groups: Float[Array, "g n ... c"]) -> Float[Array, "g"]:
        return jnp.sqrt(groups.astype(jnp.float32).var(1) + 1e-8).mean(range(1, groups.ndim - 1))

    found = jnp.repeat(deviations(h[:whole].reshape(len(h) // group, group, *h.shape[1:])), group)
    if whole < len(h):
        found = jnp.concatenate([found, jnp.repeat(deviations(h[None, whole:]), len(h) - whole)])
    return blocks.join(h, found[:, None])


class Generator(nn.Module):
    """Examples in data units: a decoder and the output activation that the data's range asks for.

    Attributes:
      bounded: whether there is that activation; else the examples are the decoder's output, beyond the range too.
      embedding: width of a learned embedding of the label, which the decoder is given in its place; 0 for none.
      kernel_init: of that embedding.
    """

    decoder: nn.Module
    range: str
    embedding: int = 0
    kernel_init: str = "lecun_normal"
    bounded: bool = True

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool, **options
                 ) -> Float[Array, "b ..."]:
        if self.embedding and condition is not None:
            initializer = blocks.initializer(self.kernel_init)
            condition = Dense(self.embedding, False, kernel_init=initializer, name="label_embedding")(condition)
        x = conditioned(self.decoder, z, condition, train=train, **options).astype(jnp.float32)
        return OUTPUT_ACTIVATIONS[self.range](x) if self.bounded else x


def conditioned(network: nn.Module, x: Array, condition: Condition, *, train: bool, **options) -> Array:
    """The network's output for `x`; a network that takes no condition is a UserError where there is one."""
    if condition is None:
        return network(x, train=train, **options)
    if "condition" not in inspect.signature(type(network).__call__).parameters:
        raise UserError(f"{type(network).__name__} takes no labels: choose another network, or no config.conditioning.")
    return network(x, condition, train=train, **options)


class Codes(NamedTuple):
    """The last entries of z, which InfoGAN recovers: one-hot categories, then values in [-1, 1] (Chen et al. 2016)."""

    categorical: tuple[int, ...]
    continuous: int

    @property
    def width(self) -> int:
        """Entries of z that they take."""
        return sum(self.categorical) + self.continuous

    def draw(self, key: PRNGKeyArray, n: int) -> Float[Array, "n c"]:
        """Uniform categories and values."""
        parts = [jax.nn.one_hot(jax.random.randint(stream(key, "categorical", i), (n,), 0, k), k)
                 for i, k in enumerate(self.categorical)]
        values = jax.random.uniform(stream(key, "continuous"), (n, self.continuous), minval=-1.0, maxval=1.0)
        return jnp.concatenate([*parts, values], axis=-1)

    def negative_log_likelihood(self, prediction: Float[Array, "n c"], codes: Float[Array, "n c"]
                                ) -> Float[Array, "n"]:
        """-log Q(c|x) in nats: categories by softmax, values by N(prediction, 1) without its constant (their eq. 5)."""
        total, first = jnp.zeros(len(codes)), 0
        for k in self.categorical:
            part = slice(first, first + k)
            total -= (jax.nn.log_softmax(prediction[:, part]) * codes[:, part]).sum(-1)
            first += k
        return total + 0.5 * jnp.square(prediction[:, first:] - codes[:, first:]).sum(-1)


class Players(NamedTuple):
    """Both networks of the config and what they need to be applied.

    Attributes:
      generator, discriminator: the modules.
      latents: dimensions of z, codes included; `distribution`: of the other entries, a key of `LATENTS`.
      codes: those at the end of z.
      shape: of an example.
      packing: examples that the discriminator sees as one.
      classes: labels the game is conditioned on, 0 for none.
      joint: real and fake examples go through the discriminator as one batch.
      joint_packs: all examples go through the generator as one batch, else the first of all packs, then the second, ...
      spec: of the data.
    """

    generator: Generator
    discriminator: Discriminator
    latents: int
    distribution: str
    codes: Codes
    shape: tuple[int, ...]
    packing: int
    classes: int
    joint: bool
    joint_packs: bool
    spec: Spec

    def draw_latents(self, key: PRNGKeyArray, n: int, bound: float | None = None) -> Float[Array, "n d"]:
        """z with its codes at the end. Other entries are within `bound`, drawn again until they are: BigGAN's trick."""
        shape = n, self.latents - self.codes.width
        noise = LATENTS[self.distribution](key, shape) if bound is None else BOUNDED[self.distribution](
            key, shape, bound)
        if not self.codes.width:
            return noise
        return jnp.concatenate([noise, self.codes.draw(stream(key, "codes"), n)], axis=-1)

    def draw_labels(self, key: PRNGKeyArray, n: int) -> Int[Array, "n"] | None:
        """Labels as frequent as in the data; None in an unconditional game."""
        return common.draw_labels(stream(key, "labels"), n, self.spec) if self.classes else None

    def condition(self, label: Int[Array, "n"] | None) -> Condition:
        """One-hot labels [n classes]; None in an unconditional game."""
        return jax.nn.one_hot(label, self.classes) if self.classes else None

    @property
    def styled(self) -> bool:
        """Whether the generator has styles, which can be mixed and drawn to their mean."""
        return "truncation" in inspect.signature(type(self.generator.decoder).__call__).parameters

    def generate(self, params: PyTree, variables: PyTree, z: Float[Array, "n d"], condition: Condition, *,
                 train: bool = True, **options) -> tuple[Float[Array, "n ..."], PyTree]:
        """G(z) in data units, and the generator's variables after it. `options`: of a decoder that has any."""
        return common.apply(self.generator, params, variables, z, condition, train=train, **options)

    def generate_packs(self, params: PyTree, variables: PyTree, z: Float[Array, "n d"], condition: Condition
                       ) -> tuple[Float[Array, "n ..."], PyTree]:
        """G(z) in training for m examples in a row of each pack; of m passes the variables are averaged."""
        if self.joint_packs or self.packing == 1:
            return self.generate(params, variables, z, condition)
        packs = jax.tree.map(lambda a: a.reshape(-1, self.packing, *a.shape[1:]), (z, condition))
        passes = jax.vmap(lambda inputs: self.generate(params, variables, *inputs), in_axes=1, out_axes=(1, 0))
        fake, after = passes(packs)
        return fake.reshape(len(z), *fake.shape[2:]), jax.tree.map(lambda v: v.mean(0), after)

    def pack(self, x: Float[Array, "n ..."] | None) -> Float[Array, "b ..."] | None:
        """m examples, or conditions, in a row as one, side by side on the last axis (Lin et al. 2018, section 3)."""
        if self.packing == 1 or x is None:
            return x
        packs = x.reshape(-1, self.packing, *x.shape[1:])
        return jnp.moveaxis(packs, 1, -2).reshape(len(packs), *x.shape[1:-1], -1)

    def judge(self, params: PyTree, variables: PyTree, packs: Float[Array, "b ..."], condition: Condition, *,
              train: bool = True) -> tuple[Judgement, PyTree]:
        """The judgement of packs with their packed conditions, and the discriminator's variables after it."""
        return common.apply(self.discriminator, params, variables, packs, condition, train=train)

    def pack_with_next(self, x: Float[Array, "n ..."] | None) -> Float[Array, "n ..."] | None:
        """Each of n examples, or conditions, packed with the m - 1 after it, the last with the first."""
        return None if x is None else jnp.concatenate([jnp.roll(x, -i, 0) for i in range(self.packing)], axis=-1)

    def judge_both(self, params: PyTree, variables: PyTree, real: Float[Array, "b ..."], fake: Float[Array, "b ..."],
                   condition: Condition) -> tuple[Judgement, Judgement, PyTree]:
        """The judgements of real and fake packs of the same packed conditions, in one batch or one after the other."""
        if not self.joint:
            of_real, variables = self.judge(params, variables, real, condition)
            of_fake, variables = self.judge(params, variables, fake, condition)
            return of_real, of_fake, variables
        both = None if condition is None else jnp.concatenate([condition, condition])
        judged, variables = self.judge(params, variables, jnp.concatenate([real, fake]), both)
        of_real, of_fake = (jax.tree.map(lambda a, i=i: jnp.split(a, 2)[i], judged) for i in range(2))
        return of_real, of_fake, variables


def build(config, spec: Spec) -> Players:
    """The players that the config describes, for examples of `spec`.

    Raises:
      UserError: labels are asked for and there are none, codes do not fit into the latents, or a part's options are
        wrong.
    """
    dtype = policy(config).activations
    conditioning = config.conditioning.name if "conditioning" in config else ""
    if conditioning and not spec.classes:
        raise UserError(f"config.conditioning.name={conditioning!r} needs labels, and the data set has none.")
    codes = Codes(tuple(config.codes.categorical), config.codes.continuous)
    if codes.width > config.latents:
        raise UserError(f"config.latents={config.latents} cannot hold the {codes.width} entries of config.codes.")
    lookup(LATENTS, config.latent_distribution, "latent_distribution")
    check_augment(config, spec)
    check_groups(config)
    check_rotation(config, spec)
    check_mixing(config)
    decoder = make_part(DECODERS, config.generator, "generator", shape=tuple(spec.shape), dtype=dtype)
    encoder = make_part(ENCODERS, config.discriminator, "discriminator", dtype=dtype)
    reconstruction = None
    if "reconstruction" in config:
        shape = (*spec.shape[:-1], config.packing * spec.shape[-1])
        reconstruction = Generator(
            make_part(DECODERS, config.reconstruction, "reconstruction", shape=shape, dtype=dtype), spec.range)
    discriminator = Discriminator(
        encoder, config.discriminator.get("kernel_init", "lecun_normal"),
        config.discriminator.get("spectral_norm", False), config.discriminator_bias,
        config.packing, conditioning, spec.classes, codes.width, config.minibatch_stddev,
        config.get("conditioning", {}).get("size", 0), config.get("conditioning", {}).get("depth", 0), reconstruction,
        config.latents, TURNS if any(config.rotation.values()) else 0)
    embedding = config.label_embedding, config.generator.get("kernel_init", "lecun_normal")
    players = Players(
        Generator(decoder, spec.range, *embedding, config.bounded), discriminator, config.latents,
        config.latent_distribution, codes, tuple(spec.shape), config.packing, spec.classes if conditioning else 0,
        config.joint_batches, config.joint_packs, spec)
    check_paths(config, players.styled)
    check_reconstruction(config)
    return players
