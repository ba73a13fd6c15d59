"""Maps of half and twice the size by the filter [1, 3, 3, 1], as StyleGAN2 and R3GAN resample (Karras et al. 2020)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gen.networks import onednn

Maps = Float[Array, "b h w c"]

TAPS = (1, 3, 3, 1)


def filtered(x: Maps, pad: int, stride: int = 1, gain: float = 1.0) -> Float[Array, "b i j c"]:
    """gain^2 times x filtered by [1, 3, 3, 1] / 8 along both axes, with `pad` zeros beyond each border.

    Of n pixels a side (n + 2 pad - 4) // stride + 1 are left.
    """
    return _filtered(x, pad, stride, gain, onednn.serves(x, x))


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _filtered(x: Maps, pad: int, stride: int, gain: float, vendor: bool) -> Float[Array, "b i j c"]:
    """Sums of shifted maps, except where oneDNN convolves each channel: a tenth of the time on a CPU.

    Jitted so that maps of the same shape are not traced again.
    """
    if vendor:
        return onednn.conv(x, _kernel(x, gain / 8), (stride, stride), ((pad, pad),) * 2, x.shape[-1])
    for axis in (1, 2):
        x = jnp.pad(x, _around(axis, pad))
        last = x.shape[axis] - len(TAPS) + 1
        shifted = [lax.slice_in_dim(x, k, k + last, stride, axis) for k in range(len(TAPS))]
        x = (shifted[0] + 3 * (shifted[1] + shifted[2]) + shifted[3]) * (gain / 8)
    return x


def halve(x: Maps) -> Float[Array, "b h//2 w//2 c"]:
    """Every second pixel of x filtered by [1, 3, 3, 1] / 8 along both axes, 0 beyond the borders."""
    return filtered(x, 1, 2)


def double(x: Maps, border: str = "constant") -> Float[Array, "b 2*h 2*w c"]:
    """x with zeros between its pixels, filtered by [1, 3, 3, 1] / 4 along both axes, 0 beyond the borders.

    With the border "edge", the nearest pixel beyond them, it is bilinear interpolation whose centres stay.
    """
    return _doubled(x, border, onednn.serves(x, x))


@partial(jax.jit, static_argnums=(1, 2))
def _doubled(x: Maps, border: str, vendor: bool) -> Float[Array, "b 2*h 2*w c"]:
    """Two sums of neighbours a pixel along each axis, or oneDNN's transposed convolution; jitted as `_filtered`."""
    if vendor:
        pad = int(border != "constant")
        x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=border)
        size = tuple(2 * n for n in x.shape[1:3])
        y = onednn.conv_transpose(x, _kernel(x, 1 / 4), (2, 2), ((1, 1),) * 2, size, x.shape[-1])
        return y[:, 2 * pad:size[0] - 2 * pad, 2 * pad:size[1] - 2 * pad]
    for axis in (1, 2):
        n = x.shape[axis]
        padded = jnp.pad(x, _around(axis, 1), mode=border)
        before, after = (lax.slice_in_dim(padded, k, k + n, axis=axis) for k in (0, 2))
        pairs = jnp.stack([(before + 3 * x) / 4, (3 * x + after) / 4], axis + 1)
        x = pairs.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1:])
    return x


def _kernel(x: Maps, factor: float) -> Float[Array, "4 4 1 c"]:
    """The filter of both axes, for each channel by itself; exact in bfloat16 too."""
    taps = factor * jnp.array(TAPS, x.dtype)
    return jnp.broadcast_to(jnp.outer(taps, taps)[:, :, None, None], (len(TAPS), len(TAPS), 1, x.shape[-1]))


def _around(axis: int, pad: int) -> list[tuple[int, int]]:
    return [(pad, pad) if a == axis else (0, 0) for a in range(4)]
