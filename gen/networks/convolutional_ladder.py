"""The networks of a convolutional ladder VAE: latents of any number of layers, as addtt/ladder-vae-pytorch has them.

Sonderby et al. 2016 with spatial latents, residual blocks and skip connections past the latents (Maaloe et al. 2019).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.config.ranges import Count, Decay, Natural, NonNegative
from gen.errors import UserError, lookup
from gen.networks import blocks
from gen.networks.hierarchies import Maps, Moments, Networks, moments
from gen.networks.layers import BatchNorm, Conv, ConvTranspose, Dense
from gen.networks.loops import LayerStep, in_turn
from gen.rng import marked

MERGES = ("linear", "residual")
"""How features of x and the state become those of the posterior: a 1x1 convolution, or a gated block after it too."""

kaiming = blocks.initializer("kaiming_normal")


class ChannelDropout(nn.Module):
    """Sets whole channels of an example to zero with probability `rate`, and divides the others by 1 - rate."""

    rate: float

    def __call__(self, h: Maps, *, train: bool) -> Maps:
        if not train or not self.rate or self.is_initializing():
            return h
        lazy = self.scope.rngs["dropout"]  # the key of the pass, and the path that `make_rng` would fold into it
        key = marked(lazy.rng, "/".join(map(str, lazy.suffix)))
        keep = jax.random.uniform(key, (len(h), 1, 1, h.shape[-1])) >= self.rate
        return h * (keep / (1 - self.rate)).astype(h.dtype)


class Style(nn.Module):
    """What all parts of the networks have in common.

    Attributes:
      width: channels of all maps that are not latents.
    """

    width: int
    activation: str
    batch_norm: bool
    dropout: float
    dtype: Any

    def conv(self, features: int, side: int, strides: int = 1, groups: int = 1) -> Conv:
        """A convolution that pads (side - 1) / 2 zeros on each side, as torch's does."""
        return Conv(features, (side, side), strides, padding=side // 2, feature_group_count=groups,
                    kernel_init=kaiming, dtype=self.dtype)

    def normalised(self, h: Maps, train: bool) -> Maps:
        """Batch norm, where there is any."""
        if not self.batch_norm:
            return h
        return BatchNorm(use_running_average=not train, momentum=0.9, dtype=self.dtype)(h)


class Excitation(nn.Module):
    """h times a weight for each channel of an example, sigmoid(V relu(W m)) with m the map's mean.

    Squeeze-and-excitation (Hu et al. 2018), as NVAE has it: W has a row for each `ratio` channels, at least 4.
    """

    ratio: int
    dtype: Any

    @nn.compact
    def __call__(self, h: Maps) -> Maps:
        hidden = nn.relu(Dense(max(h.shape[-1] // self.ratio, 4), dtype=self.dtype)(h.mean((1, 2))))
        return h * jax.nn.sigmoid(Dense(h.shape[-1], dtype=self.dtype)(hidden))[:, None, None]


class Block(Style):
    """A block of a way up or down. The map is first halved (`halve`) or doubled (`double`) by a 3x3 convolution.

    Attributes:
      squeeze: ratio of an `Excitation` at the end of what is added to the map, 0 for none.
    """

    squeeze: int = 0
    gated: bool = False
    halve: bool = False
    double: bool = False

    def resized(self, h: Maps) -> Maps:
        """The map at the block's resolution."""
        if self.halve:
            h = self.conv(self.width, 3, strides=2)(h)
        if self.double:
            h = ConvTranspose(self.width, (3, 3), (2, 2), padding=((1, 2), (1, 2)), kernel_init=kaiming,
                              dtype=self.dtype)(h)
        return h

    def excited(self, r: Maps) -> Maps:
        """The channels weighed, where that is asked for."""
        return Excitation(self.squeeze, self.dtype)(r) if self.squeeze else r


class Residual(Block):
    """h + [batch norm, activation, 3x3 convolution, dropout] twice, then where `gated` act(V h) * sigmoid(W h)."""

    @nn.compact
    def __call__(self, h: Maps, train: bool) -> Maps:
        act = blocks.activation(self.activation)
        r = h = self.resized(h)
        for _ in range(2):
            r = act(self.normalised(r, train))
            r = ChannelDropout(self.dropout)(self.conv(self.width, 3)(r), train=train)
        if self.gated:
            value, gate = jnp.split(self.conv(2 * self.width, 1)(r), 2, axis=-1)
            r = act(value) * jax.nn.sigmoid(gate)
        return h + self.excited(r)


class Depthwise(Block):
    """h + 0.1 [batch norm, 1x1 convolution to `expansion` times the channels, 5x5 of each by itself, 1x1 back].

    Each convolution is followed by batch norm, the first two by the activation too: the cell of NVAE's generative side
    (Vahdat & Kautz 2020, figure 3a, and its released code).
    """

    expansion: int = 6

    @nn.compact
    def __call__(self, h: Maps, train: bool) -> Maps:
        act, wide = blocks.activation(self.activation), self.expansion * self.width
        h = self.resized(h)
        r = self.conv(wide, 1)(self.normalised(h, train))
        r = self.conv(wide, 5, groups=wide)(act(self.normalised(r, train)))
        r = self.conv(self.width, 1)(act(self.normalised(r, train)))
        r = ChannelDropout(self.dropout)(self.normalised(r, train), train=train)
        return h + 0.1 * self.excited(r)


class Merge(Style):
    """Two maps side by side through a 1x1 convolution and, where `residual`, a gated block."""

    residual: bool = True

    @nn.compact
    def __call__(self, a: Maps, b: Maps, train: bool) -> Maps:
        h = self.conv(self.width, 1)(jnp.concatenate([a, b], axis=-1))
        style = (self.width, self.activation, self.batch_norm, self.dropout, self.dtype)
        return Residual(*style, gated=True)(h, train) if self.residual else h


@cache
def _checkpointed(kind: type[Block]) -> type[Block]:
    return nn.remat(kind, static_argnums=(2,))


def _applied(train: bool) -> LayerStep:
    """A block after the other, as a step of `in_turn`."""
    return lambda block, h, _: (block(h, train), None)


class Halves(Style):
    """What both ways share: how many layers, how often each halves the map, and blocks between them.

    Attributes:
      halvings: of the map before each layer, from x on.
      first: whether a convolution of stride 2 comes before them all.
      channels: of the latents.
      count: blocks between layers of latents.
    """

    halvings: tuple[int, ...] = ()
    first: bool = True
    channels: int = 0
    count: int = 0
    gated: bool = False
    squeeze: int = 0
    remat: bool = False

    @property
    def style(self) -> tuple:
        """The options of `Style`, in order."""
        return self.width, self.activation, self.batch_norm, self.dropout, self.dtype

    def residual(self, kind: type[Block] = Residual, **options) -> nn.Module:
        """A block, whose inside is computed again for the gradient where `remat`."""
        kind = _checkpointed(kind) if self.remat else kind
        return kind(*self.style, squeeze=self.squeeze, **options)

    def main(self, **options) -> nn.Module:
        """A block between layers."""
        return self.residual(gated=self.gated, **options)

    def between(self, layer: int, which: str) -> list[nn.Module]:
        """The blocks of a layer, the first ones halving or doubling the map."""
        return [self.main(**{which: i < self.halvings[layer]}) for i in range(self.count)]


class UpLayer(NamedTuple):
    """The modules of a layer's posterior; the top one sees features of x alone."""

    merge: nn.Module | None
    posterior: nn.Module


class DownLayer(NamedTuple):
    """The modules of a layer of the way down; the top one has no prior and nothing to skip."""

    prior: nn.Module | None
    projection: nn.Module
    skip: nn.Module | None
    blocks: Sequence[nn.Module]


class LadderEncoder(Halves):
    """The way up, and the posterior of each layer: of the top one from x alone."""

    merge: str = "residual"

    def setup(self):
        self.input = self.conv(self.width, 5, strides=2 if self.first else 1)
        self.entrance = self.residual()
        self.blocks = [self.between(layer, "halve") for layer in range(len(self.halvings))]
        self.merges = [Merge(*self.style, residual=self.merge == "residual") for _ in self.halvings[:-1]]
        self.posteriors = [self.conv(2 * self.channels, 3) for _ in self.halvings]

    def __call__(self, x: Maps, *, train: bool) -> tuple[Maps, ...]:
        h = self.entrance(blocks.activation(self.activation)(self.input(x)), train)

        def up(part: Sequence[nn.Module], h: Maps, _) -> tuple[Maps, Maps]:
            h, _ = in_turn(_applied(train), part, h)
            return h, h

        return tuple(in_turn(up, self.blocks, h)[1])

    def at(self, layer: int) -> UpLayer:
        """The modules of a layer's posterior."""
        return UpLayer(self.merges[layer] if layer < len(self.merges) else None, self.posteriors[layer])

    def posterior(self, layer: UpLayer, h: Maps, features: Maps, *, train: bool) -> Moments:
        """q(z_l | z_>l, x): mean and half the log-variance."""
        if layer.merge is not None:
            features = layer.merge(features, h, train)
        return moments(layer.posterior(features), 0.5)


class LadderDecoder(Halves):
    """The way down. The state at the top is the prior's own moments; a skip connection leads past each other layer."""

    outputs: int = 1
    top: tuple[int, int] = (1, 1)
    skip: bool = True
    learn_top: bool = True
    expansion: int = 0

    def main(self, **options) -> nn.Module:
        """A block between layers: depthwise where the channels expand in it."""
        if self.expansion:
            return self.residual(Depthwise, expansion=self.expansion, **options)
        return super().main(**options)

    def setup(self):
        n = len(self.halvings)
        if self.learn_top:
            self.top_prior = self.param("top_prior", nn.initializers.zeros, (*self.top, 2 * self.channels))
        self.priors = [self.conv(2 * self.channels, 3) for _ in range(n - 1)]
        self.projections = [self.conv(self.width, 3) for _ in range(n)]
        self.skips = [Merge(*self.style) for _ in range(n - 1)] if self.skip else []
        self.blocks = [self.between(layer, "double") for layer in range(n)]
        self.exits = [self.main() for _ in range(self.count)]
        self.last = self.conv(self.outputs, 3)

    def start(self, n: int) -> Maps:
        """The moments of p(z_L): learned, or those of N(0, I)."""
        top = self.top_prior if self.learn_top else jnp.zeros((*self.top, 2 * self.channels))
        return jnp.broadcast_to(top, (n, *top.shape))

    def at(self, layer: int) -> DownLayer:
        """The modules of a layer."""
        return DownLayer(self.priors[layer] if layer < len(self.priors) else None, self.projections[layer],
                         self.skips[layer] if layer < len(self.skips) else None, self.blocks[layer])

    def arrive(self, side: int, h: Maps) -> Maps:
        """The state as it is: the blocks of each layer end in the resolution of the next."""
        return h

    def prior(self, layer: DownLayer, h: Maps, *, train: bool) -> tuple[Moments, Maps]:
        """p(z_l | z_>l): mean and half the log-variance."""
        return moments(h if layer.prior is None else layer.prior(h), 0.5), h

    def merge(self, layer: DownLayer, h: Maps, z: Maps, *, train: bool) -> Maps:
        """The state with z_l, after the blocks of the layer."""
        out = layer.projection(z)
        if layer.skip is not None:
            out = layer.skip(out, h, train)
        return in_turn(_applied(train), layer.blocks, out)[0]

    def output(self, h: Maps, *, train: bool) -> Maps:
        """The likelihood's parameters at the resolution of the images."""
        if self.first:
            h = jax.image.resize(h, (len(h), 2 * h.shape[1], 2 * h.shape[2], h.shape[3]), "bilinear")
        return self.last(in_turn(_applied(train), self.exits, h)[0])


def convolutional_ladder(
        halvings: tuple[Natural, ...] = (1, 1, 1), first_halving: bool = True, width: Count = 64, blocks: Natural = 4,
        activation: str = "elu", batch_norm: bool = True, dropout: Decay[float] = 0.2, gated: bool = True,
        skip: bool = True, merge: str = "residual", learn_top_prior: bool = True,
        initial_scale: NonNegative[float] = 0.1, patch: Count = 1, remat: bool = False, squeeze: Natural = 0,
        expansion: Natural = 0, relative: bool = False, *, shape: tuple[int, ...], channels: int, outputs: int,
        dtype: Any) -> Networks:
    """A convolutional ladder VAE; the defaults are the released command's for MNIST (addtt/ladder-vae-pytorch).

    Args:
      halvings: of the map before each layer of latents, from x on: (1, 1, 1) is three layers, each at half the
        resolution of the one below.
      first_halving: whether a convolution of stride 2 comes before them.
      width: channels of all maps that are not latents.
      blocks: residual blocks between layers, at least as many as a layer has halvings.
      dropout: probability with which a channel of an example is dropped, in every block.
      gated: whether blocks between layers end in a gate; the posterior's merges always do, depthwise blocks never.
      skip: whether the state goes past each layer's latents too.
      merge: of the features of x and the state, "linear" or "residual".
      learn_top_prior: whether p(z_L) is learned, or N(0, I).
      initial_scale: standard deviation that all convolutions' outputs have on a batch at first; 0 for plain ones.
      patch: side of squares of pixels that the networks see as channels of one position: less work, coarser maps.
      remat: whether the gradient computes the inside of a block again in place of keeping it (`jax.checkpoint`).
      squeeze: channels for each hidden unit of a squeeze-and-excitation at the end of a block, 0 for none.
      expansion: by which the channels of a block of the way down grow inside it, where it is depthwise separable as
        NVAE's (Vahdat & Kautz 2020); 0 for blocks as on the way up.
      relative: whether the posterior is given as what it adds to the prior's mean and log-scale (NVAE, section 3.2).
    """
    lookup(dict.fromkeys(MERGES), merge, "config.hierarchy.merge")
    if len(shape) != 3 or not halvings or max(halvings) > blocks:
        raise UserError(f"config.hierarchy.halvings={halvings} needs images, at least one layer, and no more halvings "
                        f"of a layer than config.hierarchy.blocks={blocks}; examples here have the shape {shape}.")
    unit = patch * 2 ** (sum(halvings) + first_halving)
    side = tuple(-(-n // unit) * unit for n in shape[:2])
    sizes, shrunk = [], patch * 2**first_halving
    for n in halvings:
        shrunk *= 2**n
        sizes.append((side[0] // shrunk, side[1] // shrunk))
    both = (width, activation, batch_norm, dropout, dtype, halvings, first_halving, channels, blocks, gated, squeeze,
            remat)
    decoder = LadderDecoder(*both, patch**2 * outputs, sizes[-1], skip, learn_top_prior, expansion)
    return Networks(LadderEncoder(*both, merge), decoder,
                    tuple((*size, channels) for size in sizes), side, patch, initial_scale, random=dropout > 0,
                    relative=relative)
