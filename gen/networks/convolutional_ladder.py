"""The networks of a convolutional ladder VAE: latents of any number of layers, as addtt/ladder-vae-pytorch has them.

Sonderby et al. 2016 with spatial latents, residual blocks and skip connections past the latents (Maaloe et al. 2019).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.config.ranges import Count, Decay, Natural, NonNegative
from gen.errors import UserError, lookup
from gen.networks import blocks
from gen.networks.hierarchies import Maps, Moments, Networks, moments
from gen.networks.layers import BatchNorm, Conv, ConvTranspose

MERGES = ("linear", "residual")
"""How features of x and the state become those of the posterior: a 1x1 convolution, or a gated block after it too."""

kaiming = blocks.initializer("kaiming_normal")


class ChannelDropout(nn.Module):
    """Sets whole channels of an example to zero with probability `rate`, and divides the others by 1 - rate."""

    rate: float

    def __call__(self, h: Maps, *, train: bool) -> Maps:
        if not train or not self.rate or self.is_initializing():
            return h
        keep = jax.random.uniform(self.make_rng("dropout"), (len(h), 1, 1, h.shape[-1])) >= self.rate
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

    def conv(self, features: int, side: int, strides: int = 1) -> Conv:
        """A convolution that pads (side - 1) / 2 zeros on each side, as torch's does."""
        return Conv(features, (side, side), strides, padding=side // 2, kernel_init=kaiming, dtype=self.dtype)


class Residual(Style):
    """h + [batch norm, activation, 3x3 convolution, dropout] twice, then where `gated` act(V h) * sigmoid(W h).

    Before it the map is halved (`halve`) or doubled (`double`) by a 3x3 convolution of stride 2.
    """

    gated: bool = False
    halve: bool = False
    double: bool = False

    @nn.compact
    def __call__(self, h: Maps, train: bool) -> Maps:
        act = blocks.activation(self.activation)
        if self.halve:
            h = self.conv(self.width, 3, strides=2)(h)
        if self.double:
            h = ConvTranspose(self.width, (3, 3), (2, 2), padding=((1, 2), (1, 2)), kernel_init=kaiming,
                              dtype=self.dtype)(h)
        r = h
        for _ in range(2):
            if self.batch_norm:
                r = BatchNorm(use_running_average=not train, momentum=0.9, dtype=self.dtype)(r)
            r = ChannelDropout(self.dropout)(self.conv(self.width, 3)(act(r)), train=train)
        if self.gated:
            value, gate = jnp.split(self.conv(2 * self.width, 1)(r), 2, axis=-1)
            r = act(value) * jax.nn.sigmoid(gate)
        return h + r


class Merge(Style):
    """Two maps side by side through a 1x1 convolution and, where `residual`, a gated block."""

    residual: bool = True

    @nn.compact
    def __call__(self, a: Maps, b: Maps, train: bool) -> Maps:
        h = self.conv(self.width, 1)(jnp.concatenate([a, b], axis=-1))
        style = (self.width, self.activation, self.batch_norm, self.dropout, self.dtype)
        return Residual(*style, gated=True)(h, train) if self.residual else h


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
    remat: bool = False

    @property
    def style(self) -> tuple:
        """The options of `Style`, in order."""
        return self.width, self.activation, self.batch_norm, self.dropout, self.dtype

    def residual(self, **options) -> nn.Module:
        """A residual block, whose inside is computed again for the gradient where `remat`."""
        kind = nn.remat(Residual, static_argnums=(2,)) if self.remat else Residual
        return kind(*self.style, **options)

    def between(self, layer: int, which: str) -> list[nn.Module]:
        """The blocks of a layer, the first ones halving or doubling the map."""
        return [self.residual(gated=self.gated, **{which: i < self.halvings[layer]}) for i in range(self.count)]


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
        found = []
        for part in self.blocks:
            for block in part:
                h = block(h, train)
            found.append(h)
        return tuple(found)

    def posterior(self, layer: int, h: Maps, features: Maps, *, train: bool) -> Moments:
        """q(z_l | z_>l, x): mean and half the log-variance."""
        if layer < len(self.halvings) - 1:
            features = self.merges[layer](features, h, train)
        return moments(self.posteriors[layer](features), 0.5)


class LadderDecoder(Halves):
    """The way down. The state at the top is the prior's own moments; a skip connection leads past each other layer."""

    outputs: int = 1
    top: tuple[int, int] = (1, 1)
    skip: bool = True
    learn_top: bool = True

    def setup(self):
        n = len(self.halvings)
        if self.learn_top:
            self.top_prior = self.param("top_prior", nn.initializers.zeros, (*self.top, 2 * self.channels))
        self.priors = [self.conv(2 * self.channels, 3) for _ in range(n - 1)]
        self.projections = [self.conv(self.width, 3) for _ in range(n)]
        self.skips = [Merge(*self.style) for _ in range(n - 1)] if self.skip else []
        self.blocks = [self.between(layer, "double") for layer in range(n)]
        self.exits = [self.residual(gated=self.gated) for _ in range(self.count)]
        self.last = self.conv(self.outputs, 3)

    def start(self, n: int) -> Maps:
        """The moments of p(z_L): learned, or those of N(0, I)."""
        top = self.top_prior if self.learn_top else jnp.zeros((*self.top, 2 * self.channels))
        return jnp.broadcast_to(top, (n, *top.shape))

    def prior(self, layer: int, h: Maps, *, train: bool) -> tuple[Moments, Maps]:
        """p(z_l | z_>l): mean and half the log-variance."""
        return moments(h if layer == len(self.priors) else self.priors[layer](h), 0.5), h

    def merge(self, layer: int, h: Maps, z: Maps, *, train: bool) -> Maps:
        """The state with z_l, after the blocks of the layer."""
        out = self.projections[layer](z)
        if self.skips and layer < len(self.skips):
            out = self.skips[layer](out, h, train)
        for block in self.blocks[layer]:
            out = block(out, train)
        return out

    def output(self, h: Maps, *, train: bool) -> Maps:
        """The likelihood's parameters at the resolution of the images."""
        if self.first:
            h = jax.image.resize(h, (len(h), 2 * h.shape[1], 2 * h.shape[2], h.shape[3]), "bilinear")
        for block in self.exits:
            h = block(h, train)
        return self.last(h)


def convolutional_ladder(
        halvings: tuple[Natural, ...] = (1, 1, 1), first_halving: bool = True, width: Count = 64, blocks: Natural = 4,
        activation: str = "elu", batch_norm: bool = True, dropout: Decay[float] = 0.2, gated: bool = True,
        skip: bool = True, merge: str = "residual", learn_top_prior: bool = True,
        initial_scale: NonNegative[float] = 0.1, patch: Count = 1, remat: bool = False, *, shape: tuple[int, ...],
        channels: int, outputs: int, dtype: Any) -> Networks:
    """A convolutional ladder VAE; the defaults are the released command's for MNIST (addtt/ladder-vae-pytorch).

    Args:
      halvings: of the map before each layer of latents, from x on: (1, 1, 1) is three layers, each at half the
        resolution of the one below.
      first_halving: whether a convolution of stride 2 comes before them.
      width: channels of all maps that are not latents.
      blocks: residual blocks between layers, at least as many as a layer has halvings.
      dropout: probability with which a channel of an example is dropped, in every block.
      gated: whether blocks between layers end in a gate; the posterior's merges always do.
      skip: whether the state goes past each layer's latents too.
      merge: of the features of x and the state, "linear" or "residual".
      learn_top_prior: whether p(z_L) is learned, or N(0, I).
      initial_scale: standard deviation that all convolutions' outputs have on a batch at first; 0 for plain ones.
      patch: side of squares of pixels that the networks see as channels of one position: less work, coarser maps.
      remat: whether the gradient computes the inside of a block again in place of keeping it (`jax.checkpoint`).
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
    both = (width, activation, batch_norm, dropout, dtype, halvings, first_halving, channels, blocks, gated, remat)
    decoder = LadderDecoder(*both, patch**2 * outputs, sizes[-1], skip, learn_top_prior)
    return Networks(LadderEncoder(*both, merge), decoder,
                    tuple((*size, channels) for size in sizes), side, patch, initial_scale, random=dropout > 0)
