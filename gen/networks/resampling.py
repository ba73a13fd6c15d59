"""Maps of half and twice the size by the filter [1, 3, 3, 1], as StyleGAN2 and R3GAN resample (Karras et al. 2020)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Maps = Float[Array, "b h w c"]

TAPS = (1, 3, 3, 1)


def filtered(x: Maps, pad: int, stride: int = 1, gain: float = 1.0) -> Float[Array, "b i j c"]:
    """gain^2 times x filtered by [1, 3, 3, 1] / 8 along both axes, with `pad` zeros beyond each border.

    Of n pixels a side (n + 2 pad - 4) // stride + 1 are left.
    """
    for axis in (1, 2):
        x = jnp.pad(x, [(pad, pad) if a == axis else (0, 0) for a in range(4)])
        last = x.shape[axis] - len(TAPS) + 1
        shifted = [jax.lax.slice_in_dim(x, k, k + last, stride, axis) for k in range(len(TAPS))]
        x = (shifted[0] + 3 * (shifted[1] + shifted[2]) + shifted[3]) * (gain / 8)
    return x


def halve(x: Maps) -> Float[Array, "b h//2 w//2 c"]:
    """Every second pixel of x filtered by [1, 3, 3, 1] / 8 along both axes, 0 beyond the borders."""
    return filtered(x, 1, 2)


def double(x: Maps, border: str = "constant") -> Float[Array, "b 2*h 2*w c"]:
    """x with zeros between its pixels, filtered by [1, 3, 3, 1] / 4 along both axes, 0 beyond the borders.

    With the border "edge", the nearest pixel beyond them, it is bilinear interpolation whose centres stay.
    """
    for axis in (1, 2):
        n = x.shape[axis]
        padded = jnp.pad(x, [(1, 1) if a == axis else (0, 0) for a in range(4)], mode=border)
        before, after = (jax.lax.slice_in_dim(padded, k, k + n, axis=axis) for k in (0, 2))
        pairs = jnp.stack([(before + 3 * x) / 4, (3 * x + after) / 4], axis + 1)
        x = pairs.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1:])
    return x
