"""The networks of the very deep VAE (Child 2021, section 3 and the released code): VDVAE."""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Fraction, Positive, Real
from gen.errors import UserError
from gen.networks.hierarchies import Maps, Moments, Networks, doubled, moments
from gen.networks.layers import Conv
from gen.networks.loops import in_turn

torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): torch's own initial values of a convolution."""

UP = ("32x11", "32d2", "16x6", "16d2", "8x6", "8d2", "4x3", "4d4", "1x3")
DOWN = ("1x1", "4m1", "4x2", "8m4", "8x5", "16m8", "16x10", "32m16", "32x21")

LEARNED_BELOW = 64
"""Resolution up to which the way down begins at a learned map, and not at zero."""


def scaled(factor: float) -> Callable:
    """Torch's initial values times a factor; 0 for none."""
    return lambda *args: factor * torch_uniform(*args)


def gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x Phi(x), with erf as in torch; erfc, which `jax.nn.gelu` has for digits far below zero, is more kernels."""
    return x * (0.5 + 0.5 * jax.lax.erf(x * 2**-0.5))


def of_gelu(layer: nn.Module, x: Maps) -> Maps:
    """layer(gelu(x)), of which nothing but x is kept for the gradient, in place of three arrays of its size.

    Stacked for all layers of a resolution by their loop, these two more were two thirds of the memory of a step.
    """
    if layer.is_mutable_collection("params"):
        return layer(gelu(x))
    module, variables = layer.unbind()
    return jax.checkpoint(lambda variables, x: module.apply(variables, gelu(x)), prevent_cse=False)(variables, x)


class Bottleneck(nn.Module):
    """GELU and convolution four times: 1x1 to `middle` channels, twice 3x3 (1x1 on maps of 1 or 2), 1x1 to `out`.

    Added to its input where `residual`. `last`: factor on the last kernel at first.
    """

    middle: int
    out: int
    residual: bool = False
    last: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, h: Maps) -> Maps:
        size = (3, 3) if h.shape[1] > 2 else (1, 1)
        conv, r = partial(Conv, dtype=self.dtype), h
        for layer in (conv(self.middle, (1, 1), kernel_init=torch_uniform, name="c1"),
                      conv(self.middle, size, kernel_init=torch_uniform, name="c2"),
                      conv(self.middle, size, kernel_init=torch_uniform, name="c3"),
                      conv(self.out, (1, 1), kernel_init=scaled(self.last), name="c4")):
            r = of_gelu(layer, r)
        return h + r if self.residual else r


class VeryDeepEncoder(nn.Module):
    """The way up, and the posterior of each layer of the way down.

    `up`: (resolution, pooling after it) of each block; `down`: the resolution of each layer, from the top.
    """

    up: tuple[tuple[int, int], ...]
    down: tuple[int, ...]
    width: int
    middle: int
    channels: int
    mean: float
    scale: float
    block: Callable
    dtype: Any

    def setup(self):
        self.input = Conv(self.width, (3, 3), kernel_init=torch_uniform, dtype=self.dtype)
        last = len(self.up) ** -0.5
        self.blocks = [self.block(self.middle, self.width, True, last, self.dtype) for _ in self.up]
        self.posteriors = [self.block(self.middle, 2 * self.channels, dtype=self.dtype) for _ in self.down]

    def __call__(self, x: Maps, *, train: bool) -> tuple[Maps, ...]:
        h = self.input((x - self.mean) / self.scale).astype(jnp.float32)
        found = {}
        for side, part in groupby(zip(self.up, self.blocks, strict=True), lambda each: each[0][0]):
            pools, run = zip(*[(pool, block) for (_, pool), block in part], strict=True)
            (h, before), _ = in_turn(lambda block, maps, _: ((block(maps[0]), maps[0]), None), run, (h, h))
            found[side], pool = before if pools[-1] > 1 else h, pools[-1]
            h = nn.avg_pool(h, (pool, pool), (pool, pool))
            found.setdefault(h.shape[1], h)
        return tuple(found[side] for side in reversed(self.down))

    def at(self, layer: int) -> nn.Module:
        """The modules of a layer's posterior."""
        return self.posteriors[layer]

    def posterior(self, layer: nn.Module, h: Maps, features: Maps, *, train: bool) -> Moments:
        """q(z_l | z_>l, x) from the state and the features of x at its resolution."""
        return moments(layer(jnp.concatenate([h, features], axis=-1)))


class DownLayer(NamedTuple):
    """The modules of a layer of the way down."""

    prior: nn.Module
    projection: nn.Module
    block: nn.Module


class VeryDeepDecoder(nn.Module):
    """The way down: at each layer prior, latents and a residual block; the state's resolution grows between them.

    The state stays in float32: 43 layers and more add to it.
    """

    down: tuple[int, ...]
    width: int
    middle: int
    channels: int
    outputs: int
    block: Callable
    dtype: Any

    def setup(self):
        last = len(self.down) ** -0.5
        self.priors = [self.block(self.middle, 2 * self.channels + self.width, last=0.0, dtype=self.dtype)
                       for _ in self.down]
        small = scaled(last)
        self.projections = [Conv(self.width, (1, 1), kernel_init=small, dtype=self.dtype) for _ in self.down]
        self.blocks = [self.block(self.middle, self.width, True, last, dtype=self.dtype) for _ in self.down]
        self.starts = {str(side): self.param(f"start_{side}", nn.initializers.zeros, (side, side, self.width))
                       for side in sorted(set(self.down)) if side <= LEARNED_BELOW}
        self.gain = self.param("gain", nn.initializers.ones, (self.width,))
        self.bias = self.param("bias", nn.initializers.zeros, (self.width,))
        self.last = Conv(self.outputs, (1, 1), kernel_init=torch_uniform, dtype=self.dtype)

    def begun(self, side: int) -> Maps:
        """What the state begins with at a resolution."""
        start = self.starts.get(str(side))
        return jnp.zeros((1, 1, 1, 1)) if start is None else start[None]

    def start(self, n: int) -> Maps:
        """The learned map of the top, for n rows."""
        side = self.down[0]
        return jnp.broadcast_to(self.begun(side), (n, side, side, self.width))

    def at(self, layer: int) -> DownLayer:
        """The modules of a layer."""
        return DownLayer(self.priors[layer], self.projections[layer], self.blocks[layer])

    def arrive(self, side: int, h: Maps) -> Maps:
        """The state in a resolution, copied from coarser pixels and with what it begins with there."""
        return h if side == h.shape[1] else self.begun(side) + doubled(h, side // h.shape[1])

    def prior(self, layer: DownLayer, h: Maps, *, train: bool) -> tuple[Moments, Maps]:
        """p(z_l | z_>l); the block that gives it adds to the state too."""
        out, more = jnp.split(layer.prior(h), [2 * self.channels], axis=-1)
        return moments(out), h + more

    def merge(self, layer: DownLayer, h: Maps, z: Maps, *, train: bool) -> Maps:
        """The state with z_l, after a residual block."""
        return layer.block(h + layer.projection(z))

    def output(self, h: Maps, *, train: bool) -> Maps:
        """The likelihood's parameters, linear in the state."""
        return self.last(h * self.gain + self.bias)


def very_deep(up: tuple[str, ...] = UP, down: tuple[str, ...] = DOWN, width: Count = 384,
              bottleneck: Fraction[float] = 0.25, mean: Real[float] = 0.0, scale: Positive[float] = 1.0,
              patch: Count = 1, remat: bool = False, *, shape: tuple[int, ...], channels: int, outputs: int, dtype: Any
              ) -> Networks:
    """VDVAE (Child 2021) in the notation of its released code; the defaults are those of its CIFAR-10.

    Args:
      up: "32x11" is eleven blocks at resolution 32, "32d2" one that ends in pooling by 2.
      down: layers of latents from the top: "8x5" is five at resolution 8; "8m4" one that begins with the state of 4.
      width: channels of the state and of the features of x.
      bottleneck: channels within a block, of `width`.
      mean, scale: the encoder sees (x - mean) / scale.
      patch: side of squares of pixels that are channels of one position to the networks; resolutions count them.
      remat: whether the gradient computes the inside of a block again in place of keeping it (`jax.checkpoint`).
    """
    blocks, layers = parsed(up, "d"), parsed(down, "m")
    check(blocks, layers, shape, patch)
    sides, middle = tuple(side for side, _ in layers), int(width * bottleneck)
    block = nn.remat(Bottleneck) if remat else Bottleneck
    encoder = VeryDeepEncoder(tuple((side, pool or 1) for side, pool in blocks), sides, width, middle, channels, mean,
                              scale, block, dtype)
    decoder = VeryDeepDecoder(sides, width, middle, channels, patch**2 * outputs, block, dtype)
    return Networks(encoder, decoder, tuple((side, side, channels) for side in reversed(sides)), shape[:2], patch)


def parsed(architecture: tuple[str, ...], mark: str) -> list[tuple[int, int | None]]:
    """(resolution, number after the mark) of each block: None for those of "8x5", which are five.

    Raises:
      UserError: an entry that is none of "8", "8x5" and, for the mark "d", "8d2".
    """
    found = []
    for entry in architecture:
        numbers = [part for part in entry.replace("x", mark).split(mark) if part.isdecimal() and int(part)]
        if len(numbers) != 1 + ("x" in entry or mark in entry) or ("x" in entry and mark in entry):
            raise UserError(f"config.hierarchy: {entry!r} is no part of an architecture: write 8x5, 8{mark}2 or 8.")
        side, other = int(numbers[0]), int(numbers[-1])
        found += [(side, None)] * other if "x" in entry else [(side, other if mark in entry else None)]
    return found


def check(up: list[tuple[int, int | None]], down: list[tuple[int, int | None]], shape: tuple[int, ...], patch: int
          ) -> None:
    """Raises a UserError where the ways up and down do not lead from the image to the top and back."""
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] % patch:
        raise UserError(f"A very deep VAE needs square images in patches of {patch} x {patch}, not examples of shape "
                        f"{shape}.")
    side = finest = shape[0] // patch
    seen = {finest}
    for block, pool in up:
        if block != side or side % (pool or 1):
            raise UserError(f"config.hierarchy.up: a block at resolution {block}, where the way up is at {side} "
                            f"{f'and cannot be pooled by {pool}' if pool else ''}.")
        side //= pool or 1
        seen.add(side)
    side = down[0][0] if down else 0
    for layer, below in down:
        if layer not in seen or (below or layer) != side or layer % side:
            raise UserError(f"config.hierarchy.down: a layer at resolution {layer}, where the way down is at {side}: "
                            f"it is one of {sorted(seen)} and is reached by e.g. {2 * side}m{side}.")
        side = layer
    if side != finest:
        raise UserError(f"config.hierarchy.down ends at resolution {side}, and the images have {finest}.")
