"""Convolutions of images as slices around matrix products, which XLA:CPU runs well, and which any platform can run.

The forms, chosen from static shapes by `_one_group`:

1. a window that covers the whole padded image is a dense layer: one matmul;
2. stride 2 is space-to-depth: cells of 2x2 pixels and a stride-1 window of ceil(k / 2) cells;
3. a window of 2 or 3 cells a side with enough channels uses the minimal filtering algorithm F(2, r)
   in both directions (Winograd 1980; Lavin & Gray 2016, eq. 5-9): 9 matmuls instead of 16 for r = 2,
   16 instead of 36 for r = 3, all coefficients in {0, 1, -1, 1/2};
4. stride 1 to fewer channels, as a generator's last layer, multiplies first and adds the shifted products;
5. everything else concatenates the taps into one matmul.

Groups are one convolution under `vmap`, so that its products are products of batches and the program stays a third as
long as with a convolution for each; of groups of fewer than 32 channels, as many as have 32 together are one whose
kernel is zero between them, because a matmul of few columns takes as long as one of 32.

A transposed convolution is the transpose of the convolution with the flipped kernel, so it has the same forms and costs
the same; the transpose of form 3 is written out, because what `jax.linear_transpose` makes of it copies twice as
much. All of it is built of slices, sums and matmuls: JAX differentiates it as often as one likes.
"""
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

Pads = tuple[tuple[int, int], ...]
Matrix = tuple[tuple[int | float, ...], ...]

_INPUT = {2: ((1, -1, 0), (0, 1, 0), (0, 1, -1)), 3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))}
_KERNEL = {2: ((1, 0), (1, 1), (0, 1)), 3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))}
_OUTPUT = {2: ((1, 1, 0), (0, 1, -1)), 3: ((1, 1, 1, 0), (0, 1, -1, -1))}


def _combine(rows: Matrix, parts: Sequence[Array]) -> list[Array]:
    """sum_j rows[i][j] * parts[j] for each row i, skipping zeros."""
    def one(row: tuple[int | float, ...]) -> Array:
        terms = [part if c == 1 else -part if c == -1 else c * part for c, part in zip(row, parts, strict=True) if c]
        return sum(terms[1:], terms[0])
    return [one(row) for row in rows]


def _combine_grid(rows: tuple[Matrix, Matrix], grid: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """The same along both axes of a grid of arrays: rows[0] @ grid @ rows[1].T."""
    columns = [_combine(rows[0], column) for column in zip(*grid, strict=True)]
    return [_combine(rows[1], row) for row in zip(*columns, strict=True)]


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def pad_to(x: Array, pads: Pads, size: Sequence[int]) -> Array:
    """Pads (or, when negative, crops) the image by `pads` low, and to `size` in all."""
    config = [(lo, s - n - lo, 0) for (lo, _), n, s in zip(pads, x.shape[1:3], size, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *config, (0, 0, 0)])


def window_cells(w: Array, strides: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the window in cells of `strides` pixels."""
    return tuple(-(-k // s) for k, s in zip(w.shape, strides, strict=False))


def _over_cells(w: Array, strides: tuple[int, int]) -> Array:
    """The kernel (kh, kw, c, o) as (rh, sh, rw, sw, c, o), zeros where its last cells are not full."""
    (sh, sw), (rh, rw), (kh, kw, c, o) = strides, window_cells(w, strides), w.shape
    return jnp.pad(w, ((0, rh * sh - kh), (0, rw * sw - kw), (0, 0), (0, 0))).reshape(rh, sh, rw, sw, c, o)


def kernel_of_cells(w: Array, strides: tuple[int, int]) -> Array:
    """The kernel of stride 1, (rh, rw, sh sw c, o), over cells whose channels are those of all their pixels."""
    cells = _over_cells(w, strides).transpose(0, 2, 1, 3, 4, 5)
    return cells.reshape(*cells.shape[:2], -1, w.shape[-1])


def _kernel_grid(w: Array, strides: tuple[int, int]) -> list[list[Array]]:
    """The kernel over cells, transformed: one (sh, sw, c, o) array for each matmul of the minimal algorithm."""
    (rh, rw), cells = window_cells(w, strides), _over_cells(w, strides)
    return _combine_grid((_KERNEL[rh], _KERNEL[rw]), [[cells[i, :, j] for j in range(rw)] for i in range(rh)])


def _winograd(x: Array, w: Array, strides: tuple[int, int], pads: Pads, out: tuple[int, int]) -> Array:
    """Convolution by F(2, r) x F(2, r): tiles of 2x2 outputs read (r + 1) x (r + 1) cells."""
    (sh, sw), (rh, rw), (b, _, _, c), o = strides, window_cells(w, strides), x.shape, w.shape[-1]
    th, tw = (-(-n // 2) for n in out)
    x = pad_to(x, pads, (2 * sh * (th + 1), 2 * sw * (tw + 1)))
    x = x.reshape(b, th + 1, 2, sh, tw + 1, 2, sw, c)
    x = [[part.squeeze((2, 5)) for part in lax.split(row, (1, 1), axis=5)] for row in lax.split(x, (1, 1), axis=2)]
    cells = [[x[i % 2][j % 2][:, i // 2:i // 2 + th, :, j // 2:j // 2 + tw] for j in range(rw + 1)]
             for i in range(rh + 1)]
    cells = _combine_grid((_INPUT[rh], _INPUT[rw]), cells)
    products = [[v.transpose(0, 1, 3, 2, 4, 5).reshape(b * th * tw, -1) @ u.reshape(-1, o)
                 for v, u in zip(*rows, strict=True)] for rows in zip(cells, _kernel_grid(w, strides), strict=True)]
    y = jnp.stack([jnp.stack(row, 1) for row in _combine_grid((_OUTPUT[rh], _OUTPUT[rw]), products)], 1)
    y = y.reshape(b, th, tw, 2, 2, o).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * th, 2 * tw, o)
    return y[:, :out[0], :out[1]]


def _winograd_transpose(x: Array, w: Array, strides: tuple[int, int], pads: Pads, out: tuple[int, int]) -> Array:
    """The transpose of `_winograd` in its input: tiles of 2x2 pixels spread over (r + 1) x (r + 1) cells that overlap.

    Args: `w` is (kh, kw, c, o), from the c channels of `x`, the output of that convolution, to the o of its input;
    `pads` and `out` are that input's padding and size.
    """
    (sh, sw), (rh, rw), (b, h, width, c), o = strides, window_cells(w, strides), x.shape, w.shape[-1]
    th, tw = -(-h // 2), -(-width // 2)
    x = pad_to(x, ((0, 0), (0, 0)), (2 * th, 2 * tw)).reshape(b, th, 2, tw, 2, c)
    pixels = [[x[:, :, i, :, j].reshape(-1, c) for j in range(2)] for i in range(2)]
    pixels = _combine_grid((_transposed(_OUTPUT[rh]), _transposed(_OUTPUT[rw])), pixels)
    products = [[(v @ u.transpose(2, 0, 1, 3).reshape(c, -1)).reshape(b, th, tw, sh, sw, o)
                 for v, u in zip(*rows, strict=True)] for rows in zip(pixels, _kernel_grid(w, strides), strict=True)]
    cells = _combine_grid((_transposed(_INPUT[rh]), _transposed(_INPUT[rw])), products)

    def placed(i: int, j: int) -> Array:
        spread = [(i // 2, 1 - i // 2, 0), (j // 2, 1 - j // 2, 0)]
        return lax.pad(cells[i][j], jnp.zeros((), x.dtype), [(0, 0, 0), *spread, *[(0, 0, 0)] * 3])

    y = [[sum(placed(i, j) for i in range(p, rh + 1, 2) for j in range(q, rw + 1, 2)) for q in range(2)]
         for p in range(2)]
    y = jnp.stack([jnp.stack(row, 3) for row in y], 2).transpose(0, 1, 2, 5, 3, 4, 6, 7)
    y = y.reshape(b, 2 * sh * (th + 1), 2 * sw * (tw + 1), o)
    return pad_to(y, tuple((-low, 0) for low, _ in pads), out)


def _taps(x: Array, w: Array, strides: tuple[int, int], pads: Pads, out: tuple[int, int]) -> Array:
    """All taps of the window side by side, then one matmul."""
    (kh, kw, c, o), (sh, sw), (rh, rw), b = w.shape, strides, window_cells(w, strides), x.shape[0]
    x = pad_to(x, pads, (sh * (out[0] + rh - 1), sw * (out[1] + rw - 1)))
    x = x.reshape(b, out[0] + rh - 1, sh, out[1] + rw - 1, sw, c)
    columns = [x[:, i // sh:i // sh + out[0], i % sh, j // sw:j // sw + out[1], j % sw]
               for i in range(kh) for j in range(kw)]
    y = jnp.concatenate(columns, -1).reshape(-1, kh * kw * c) @ w.reshape(-1, o)
    return y.reshape(b, *out, o)


def shifted_products(x: Array, w: Array, pads: Pads, out: tuple[int, int]) -> Array:
    """One matmul to the products of all taps, then their shifted sum: its arrays have kh kw o channels, not kh kw c."""
    (kh, kw, c, o), (b, height, width, _) = w.shape, x.shape
    products = (x.reshape(-1, c) @ w.transpose(2, 0, 1, 3).reshape(c, -1)).reshape(b, height, width, -1)
    taps = iter(lax.split(products, (o,) * (kh * kw), axis=3))
    (top, _), (left, _) = pads
    return sum(pad_to(next(taps), ((top - i, 0), (left - j, 0)), out) for i in range(kh) for j in range(kw))


def _minimal(w: Array, strides: tuple[int, int]) -> bool:
    """Whether the window has 2 or 3 cells a side, and channels enough to pay for the transforms."""
    return all(r in (2, 3) for r in window_cells(w, strides)) and min(w.shape[2:]) >= 16


def _one_group(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> Array:
    out = out_size(x, w, strides, pads)
    if out == (1, 1):
        return (pad_to(x, pads, w.shape[:2]).reshape(len(x), -1) @ w.reshape(-1, w.shape[-1]))[:, None, None]
    if _minimal(w, strides):
        return _winograd(x, w, strides, pads, out)
    if strides == (1, 1) and w.shape[3] < w.shape[2]:
        return shifted_products(x, w, pads, out)
    return _taps(x, w, strides, pads, out)


def conv(x: Array, w: Array, strides: tuple[int, int], pads: Pads, groups: int) -> Array:
    """The convolution, as `gen.networks.layers.conv`: images (b, h, w, c), kernel (kh, kw, c / groups, o)."""
    if groups == 1:
        return _one_group(x, w, strides, pads)
    narrowest = min(w.shape[2], w.shape[3] // groups)
    together = next(n for n in range(1, groups + 1) if groups % n == 0 and (n * narrowest >= 32 or n == groups))

    kh, kw, c, _ = w.shape

    def joined(part: Array, kernel: Array) -> Array:
        kernel = jnp.eye(together, dtype=w.dtype)[:, None, :, None] * kernel.reshape(kh, kw, 1, c, together, -1)
        return _one_group(part, kernel.reshape(kh, kw, together * c, -1), strides, pads)

    if together == groups:
        return joined(x, w)
    y = jax.vmap(joined, (3, 3), 3)(*(a.reshape(*a.shape[:3], groups // together, -1) for a in (x, w)))
    return y.reshape(*y.shape[:3], -1)


def out_size(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> tuple[int, int]:
    """Height and width of the convolution's outputs."""
    sizes = zip(x.shape[1:3], w.shape, strides, pads, strict=False)
    return tuple((n + lo + hi - k) // s + 1 for n, k, s, (lo, hi) in sizes)


def image_of(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> tuple[tuple[int, int], Pads]:
    """Size and padding of the images whose convolution has the size of `x`: a transposed convolution's result."""
    sizes = zip(x.shape[1:3], w.shape, strides, pads, strict=False)
    size = tuple((n - 1) * s + 2 + lo + hi - k for n, k, s, (lo, hi) in sizes)
    return size, tuple((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(w.shape, pads, strict=False))


def conv_transpose(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> Array:
    """The convolution of `x` dilated by `strides` and padded by `pads`, as `gen.networks.layers.conv_transpose`."""
    if set(strides) == {1} and x.shape[1:3] != (1, 1):
        return _one_group(x, w, strides, pads)
    size, back = image_of(x, w, strides, pads)
    w = w[::-1, ::-1]
    if _minimal(w, strides) and x.shape[1:3] != (1, 1):
        return _winograd_transpose(x, w, strides, back, size)
    forward = partial(_one_group, w=w.swapaxes(2, 3), strides=strides, pads=back)
    image = jax.ShapeDtypeStruct((len(x), *size, w.shape[-1]), x.dtype)
    return jax.linear_transpose(forward, image)(x)[0]
