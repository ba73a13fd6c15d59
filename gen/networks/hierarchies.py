"""What the networks of a convolutional hierarchy of latents are to the model that descends through them.

Layers are counted from 0, next to x, to the top; equal ones of the way down may be a loop (`gen.networks.loops`).
`Networks.encoder` is a module with

* `__call__(x, *, train)` -> feature maps [b h w f] of x, one for each layer: the way up;
* `at(number)` -> a layer's modules, in any structure;
* `posterior(layer, h, features, *, train)` -> the moments of q(z_l | z_>l, x), h being the state of the way down.

`Networks.decoder` is a module with

* `start(n)` -> the state at the top, [n h w f];
* `at(number)` -> a layer's modules, beside what else differs between layers;
* `arrive(side, h)` -> the state as layers of this resolution begin with it, once before them;
* `prior(layer, h, *, train)` -> (the moments of p(z_l | z_>l), the state that goes on);
* `merge(layer, h, z, *, train)` -> the state for the layer below, with z_l in it;
* `output(h, *, train)` -> the likelihood's parameters, [n h w c].
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

Maps = Float[Array, "n _h _w _f"]
"""Of n examples; height, width and channels differ from place to place."""

Moments = tuple[Maps, Maps]
"""Mean and log-scale of a diagonal normal, float32."""


class Networks(NamedTuple):
    """A way up and a way down, and what they are for.

    Attributes:
      encoder, decoder: modules as above.
      layers: shapes (h, w, c) of the latents, from the layer next to x to the top.
      side: height and width of the images that the networks see; smaller ones are padded with zeros, and cropped after.
      patch: side of the squares of pixels that are channels of one position to the networks.
      initial_scale: standard deviation that the outputs of all convolutions have at first, on a batch; 0 leaves them.
      random: whether training draws noise (dropout).
      relative: whether the posterior's moments are added to the prior's mean and log-scale.
    """

    encoder: nn.Module
    decoder: nn.Module
    layers: tuple[tuple[int, int, int], ...]
    side: tuple[int, int]
    patch: int = 1
    initial_scale: float = 0.0
    random: bool = False
    relative: bool = False


def moments(out: Maps, per_log_scale: float = 1.0) -> Moments:
    """Two halves of the channels as mean and `per_log_scale` times the log-scale, in float32."""
    loc, log_scale = jnp.split(out.astype(jnp.float32), 2, axis=-1)
    return loc, per_log_scale * log_scale


def into_patches(x: Maps, side: int) -> Maps:
    """Squares of pixels as channels of one position: [n h s w s c] -> [n h w s s c]."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // side, side, w // side, side, c).swapaxes(2, 3)
    return x.reshape(n, h // side, w // side, side * side * c)


def out_of_patches(x: Float[Array, "*n _h _w _f"], side: int) -> Float[Array, "*n _s _t _c"]:
    """The inverse of `into_patches`."""
    *n, h, w, f = x.shape
    x = x.reshape(*n, h, w, side, side, f // side**2).swapaxes(-4, -3)
    return x.reshape(*n, h * side, w * side, f // side**2)


def doubled(h: Maps, factor: int = 2) -> Maps:
    """Nearest-neighbour upsampling by a whole factor."""
    return jnp.repeat(jnp.repeat(h, factor, axis=1), factor, axis=2)
