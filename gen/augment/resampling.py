"""Images under an affine map of their plane, without aliasing (Karras et al. 2020, appendix B).

An image, which goes on as its reflection beyond the borders, is doubled by an orthogonal lowpass filter (sym6), sampled
bilinearly where the map says, and halved by the same filter. So in NVlabs/stylegan2-ada-pytorch, training/augment.py;
there it ends, in 0, after one reflection or what the batch needs of it.

Maps are given by their inverses; see `gen.augment.maps`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from gen.augment.draws import Images

Inverse = Float[Array, "b 3 3"]
Places = Float[Array, "b i j"]

SYM6 = np.array([
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148])
"""Taps of Daubechies' least asymmetric wavelet with six vanishing moments; their sum is sqrt(2)."""

MARGIN = len(SYM6) // 4
"""Pixels around the image that its halving needs."""


def copied(x: Images, inverse: Inverse) -> Images:
    """Each pixel is the one nearest to its place in the old image."""
    _, h, w, _ = x.shape
    rows, columns = (jnp.floor(place + 0.5).astype(int) for place in places(inverse, np.arange(h), np.arange(w), h, w))
    return jax.vmap(lambda image, i, j: image[i, j])(x, reflected(rows, h), reflected(columns, w))


def resampled(x: Images, inverse: Inverse) -> Images:
    """Images under their maps; where that is the identity, the same bits."""
    _, h, w, _ = x.shape
    rows, columns = (np.arange(2 * (n + 2 * MARGIN)) / 2 - MARGIN for n in (h, w))
    i, j = places(inverse, rows, columns, h, w)
    doubled = along(doubling(w), along(doubling(h), x, 1), 2)
    moved = along(halving(w), along(halving(h), bilinear(doubled, 2 * i, 2 * j), 1), 2)
    return jnp.where((inverse == jnp.eye(3)).all((1, 2))[:, None, None, None], x, moved)


def places(inverse: Inverse, rows: np.ndarray, columns: np.ndarray, h: int, w: int) -> tuple[Places, Places]:
    """The rows and columns in the old images of places in the new ones; pixels are at whole numbers."""
    y, x = rows[:, None] - (h - 1) / 2, columns - (w - 1) / 2
    to_x, to_y, _ = jnp.moveaxis(inverse, 1, 0)[..., None, None]
    return tuple(to[:, 0] * x + to[:, 1] * y + to[:, 2] + (n - 1) / 2 for to, n in ((to_y, h), (to_x, w)))


def reflected(i: int | Int[Array, "..."], n: int) -> int | Int[Array, "..."]:
    """The place within 0, ..., n - 1 of one anywhere: ... 2 1 0 1 2 ... n-2 n-1 n-2 ..."""
    return n - 1 - abs(n - 1 - i % max(2 * n - 2, 1))


def bilinear(x: Float[Array, "b h w c"], rows: Places, columns: Places) -> Float[Array, "b i j c"]:
    """Between the four nearest pixels of images that repeat, their last two rows and columns being the first two.

    The barriers keep XLA from joining sums with gathers and scatters, which is half as fast backwards on a CPU.
    """
    (i, down), (j, right) = ((jnp.floor(place), place - jnp.floor(place)) for place in (rows, columns))
    i, j = (low.astype(int) % max(n - 2, 1) for low, n in ((i, x.shape[1]), (j, x.shape[2])))

    def window(image, i, j):
        return lax.dynamic_slice(image, (i, j, 0), (2, 2, image.shape[-1]))

    corners = lax.optimization_barrier(jax.vmap(jax.vmap(jax.vmap(window, (None, 0, 0)), (None, 0, 0)))(x, i, j))
    of_rows, of_columns = (jnp.stack([1 - part, part], -1) for part in (down, right))
    weighted = corners * (of_rows[..., :, None] * of_columns[..., None, :])[..., None]
    weighted = lax.optimization_barrier(weighted)
    return weighted[..., 0, 0, :] + weighted[..., 0, 1, :] + weighted[..., 1, 0, :] + weighted[..., 1, 1, :]


def along(matrix: np.ndarray, x: Float[Array, "b ..."], axis: int) -> Float[Array, "b ..."]:
    """A linear map of rows (axis 1) or columns (axis 2)."""
    return jnp.einsum(("ph,bhwc->bpwc", "qw,bhwc->bhqc")[axis - 1], jnp.asarray(matrix, x.dtype), x,
                      precision=lax.Precision.HIGHEST)


@functools.cache
def doubling(n: int) -> np.ndarray:
    """[4 n - 2, n]: n pixels and their reflection twice as dense, from pixel 0 on, one period and two places more.

    Place m is at pixel m / 2.
    """
    matrix = np.zeros((4 * n - 2, n))
    for m in range(len(matrix)):
        for k, tap in enumerate(SYM6):
            if (m + 5 - k) % 2 == 0:
                matrix[m, reflected((m + 5 - k) // 2, n)] += np.sqrt(2) * tap
    return matrix


@functools.cache
def halving(n: int) -> np.ndarray:
    """[n, 2 n + 4 MARGIN]: n pixels of twice as many places, from `MARGIN` pixels before the first on."""
    matrix = np.zeros((n, 2 * n + 4 * MARGIN))
    for j in range(n):
        matrix[j, 2 * j + 1:2 * j + 1 + len(SYM6)] = SYM6 / np.sqrt(2)
    return matrix
