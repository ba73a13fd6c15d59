"""Convolution, dense and batch-norm layers: Flax's parameters and numbers, XLA:CPU forms that are fast.

On the CPU a convolution becomes slices around matrix products, because XLA:CPU runs those several
times faster than its own convolutions (and their gradients); on every other platform it stays one
`lax.conv_general_dilated`. `lax.platform_dependent` picks the branch when the program is lowered.

The CPU forms, chosen from static shapes by `_conv_matmul`:

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
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float

from gen.errors import UserError
from gen.networks import onednn

Dense = nn.Dense
BatchNorm = nn.BatchNorm

Pads = tuple[tuple[int, int], ...]
Matrix = tuple[tuple[int | float, ...], ...]
Padding = str | int | Sequence[int | tuple[int, int]]

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


def _pad_to(x: Array, pads: Pads, size: Sequence[int]) -> Array:
    """Pads (or, when negative, crops) the image by `pads` low, and to `size` in all."""
    config = [(lo, s - n - lo, 0) for (lo, _), n, s in zip(pads, x.shape[1:3], size, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *config, (0, 0, 0)])


def _cells(w: Array, strides: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the window in cells of `strides` pixels."""
    return tuple(-(-k // s) for k, s in zip(w.shape, strides, strict=False))


def _kernel_grid(w: Array, strides: tuple[int, int]) -> list[list[Array]]:
    """The kernel over cells, transformed: one (sh, sw, c, o) array for each matmul of the minimal algorithm."""
    (sh, sw), (rh, rw), (kh, kw, c, o) = strides, _cells(w, strides), w.shape
    w = jnp.pad(w, ((0, rh * sh - kh), (0, rw * sw - kw), (0, 0), (0, 0))).reshape(rh, sh, rw, sw, c, o)
    return _combine_grid((_KERNEL[rh], _KERNEL[rw]), [[w[i, :, j] for j in range(rw)] for i in range(rh)])


def _winograd(x: Array, w: Array, strides: tuple[int, int], pads: Pads, out: tuple[int, int]) -> Array:
    """Convolution by F(2, r) x F(2, r): tiles of 2x2 outputs read (r + 1) x (r + 1) cells."""
    (sh, sw), (rh, rw), (b, _, _, c), o = strides, _cells(w, strides), x.shape, w.shape[-1]
    th, tw = (-(-n // 2) for n in out)
    x = _pad_to(x, pads, (2 * sh * (th + 1), 2 * sw * (tw + 1)))
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
    (sh, sw), (rh, rw), (b, h, width, c), o = strides, _cells(w, strides), x.shape, w.shape[-1]
    th, tw = -(-h // 2), -(-width // 2)
    x = _pad_to(x, ((0, 0), (0, 0)), (2 * th, 2 * tw)).reshape(b, th, 2, tw, 2, c)
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
    return _pad_to(y, tuple((-low, 0) for low, _ in pads), out)


def _taps(x: Array, w: Array, strides: tuple[int, int], pads: Pads, out: tuple[int, int]) -> Array:
    """All taps of the window side by side, then one matmul."""
    (kh, kw, c, o), (sh, sw), (rh, rw), b = w.shape, strides, _cells(w, strides), x.shape[0]
    x = _pad_to(x, pads, (sh * (out[0] + rh - 1), sw * (out[1] + rw - 1)))
    x = x.reshape(b, out[0] + rh - 1, sh, out[1] + rw - 1, sw, c)
    columns = [x[:, i // sh:i // sh + out[0], i % sh, j // sw:j // sw + out[1], j % sw]
               for i in range(kh) for j in range(kw)]
    y = jnp.concatenate(columns, -1).reshape(-1, kh * kw * c) @ w.reshape(-1, o)
    return y.reshape(b, *out, o)


def _products(x: Array, w: Array, pads: Pads, out: tuple[int, int]) -> Array:
    """One matmul to the products of all taps, then their shifted sum: its arrays have kh kw o channels, not kh kw c."""
    (kh, kw, c, o), (b, height, width, _) = w.shape, x.shape
    products = (x.reshape(-1, c) @ w.transpose(2, 0, 1, 3).reshape(c, -1)).reshape(b, height, width, -1)
    taps = iter(lax.split(products, (o,) * (kh * kw), axis=3))
    (top, _), (left, _) = pads
    return sum(_pad_to(next(taps), ((top - i, 0), (left - j, 0)), out) for i in range(kh) for j in range(kw))


def _minimal(w: Array, strides: tuple[int, int]) -> bool:
    """Whether the window has 2 or 3 cells a side, and channels enough to pay for the transforms."""
    return all(r in (2, 3) for r in _cells(w, strides)) and min(w.shape[2:]) >= 16


def _conv_matmul(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> Array:
    out = _out_size(x, w, strides, pads)
    if out == (1, 1):
        return (_pad_to(x, pads, w.shape[:2]).reshape(len(x), -1) @ w.reshape(-1, w.shape[-1]))[:, None, None]
    if _minimal(w, strides):
        return _winograd(x, w, strides, pads, out)
    if strides == (1, 1) and w.shape[3] < w.shape[2]:
        return _products(x, w, pads, out)
    return _taps(x, w, strides, pads, out)


def _grouped_matmul(x: Array, w: Array, strides: tuple[int, int], pads: Pads, groups: int) -> Array:
    if groups == 1:
        return _conv_matmul(x, w, strides, pads)
    narrowest = min(w.shape[2], w.shape[3] // groups)
    together = next(n for n in range(1, groups + 1) if groups % n == 0 and (n * narrowest >= 32 or n == groups))

    kh, kw, c, _ = w.shape

    def joined(part: Array, kernel: Array) -> Array:
        kernel = jnp.eye(together, dtype=w.dtype)[:, None, :, None] * kernel.reshape(kh, kw, 1, c, together, -1)
        return _conv_matmul(part, kernel.reshape(kh, kw, together * c, -1), strides, pads)

    if together == groups:
        return joined(x, w)
    y = jax.vmap(joined, (3, 3), 3)(*(a.reshape(*a.shape[:3], groups // together, -1) for a in (x, w)))
    return y.reshape(*y.shape[:3], -1)


def _out_size(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> tuple[int, int]:
    sizes = zip(x.shape[1:3], w.shape, strides, pads, strict=False)
    return tuple((n + lo + hi - k) // s + 1 for n, k, s, (lo, hi) in sizes)


def _explicit(padding: Padding, rank: int) -> str | Pads:
    """`padding` as 'SAME', 'VALID' or (low, high) pairs."""
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise UserError(f"padding {padding!r}: use 'SAME', 'VALID', an int, or one (low, high) pair per dimension")
        return padding.upper()
    if isinstance(padding, int):
        return ((padding, padding),) * rank
    pads = tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
    if len(pads) != rank or any(len(p) != 2 for p in pads):
        raise UserError(f"padding {padding!r}: needs one int or (low, high) pair for each of {rank} dimensions")
    return pads


def _per_dim(value: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    return (1 if value is None else value,) * rank if value is None or isinstance(value, int) else tuple(value)


def conv(x: Float[Array, "b *space c"], w: Float[Array, "..."], strides: int | Sequence[int] | None = 1,
         padding: Padding = "SAME", dilation: int | Sequence[int] | None = 1, groups: int = 1
         ) -> Float[Array, "b *out o"]:
    """y[b, p, o] = sum_{k, c} x[b, p * strides + k - low, c] w[k, c, o], as `lax.conv_general_dilated`, channels last.

    Args: `w` is (*kernel_size, c / groups, o); `padding` 'SAME', 'VALID', an int or (low, high) pairs.
    Two spatial dimensions, strides 1 and 2 and no dilation have matmul forms on the CPU; the rest is lax's.
    """
    rank = w.ndim - 2
    strides, dilation, pads = _per_dim(strides, rank), _per_dim(dilation, rank), _explicit(padding, rank)
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape, dilation, strict=False)]
    if isinstance(pads, str):
        pads = tuple(lax.padtype_to_pads(x.shape[1:-1], spans, strides, pads))
    covered = rank == 2 and set(dilation) == {1} and {*strides} <= {1, 2}
    if not covered or min(_out_size(x, w, strides, pads)) < 1:
        return _conv_lax(x, w, strides, pads, dilation, groups)
    return _conv_by_platform(x, w, strides, pads, groups, onednn.serves(x, w))


def _conv_lax(x: Array, w: Array, strides: Sequence[int], pads: Pads, dilation: Sequence[int], groups: int) -> Array:
    space = "DHW"[2 - w.ndim:] if w.ndim <= 5 else None
    return lax.conv_general_dilated(x, w, strides, pads, rhs_dilation=dilation, feature_group_count=groups,
                                    dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"))


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _conv_by_platform(x: Array, w: Array, strides: tuple[int, int], pads: Pads, groups: int, vendor: bool) -> Array:
    """Jitted so that a network applied again, or a layer of the same shapes, is not traced again."""
    if vendor:
        return onednn.conv(x, w, strides, pads, groups)
    return lax.platform_dependent(
        x, w, cpu=partial(_grouped_matmul, strides=strides, pads=pads, groups=groups),
        default=partial(_conv_lax, strides=strides, pads=pads, dilation=(1, 1), groups=groups))


def _image_of(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> tuple[tuple[int, int], Pads]:
    """Size and padding of the images whose convolution has the size of `x`: a transposed convolution's result."""
    sizes = zip(x.shape[1:3], w.shape, strides, pads, strict=False)
    size = tuple((n - 1) * s + 2 + lo + hi - k for n, k, s, (lo, hi) in sizes)
    return size, tuple((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(w.shape, pads, strict=False))


def _conv_transpose_vendor(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> Array:
    size, back = _image_of(x, w, strides, pads)
    return onednn.conv_transpose(x, w[::-1, ::-1].swapaxes(2, 3), strides, back, size)


def _conv_transpose_matmul(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> Array:
    if set(strides) == {1} and x.shape[1:3] != (1, 1):
        return _conv_matmul(x, w, strides, pads)
    size, back = _image_of(x, w, strides, pads)
    w = w[::-1, ::-1]
    if _minimal(w, strides) and x.shape[1:3] != (1, 1):
        return _winograd_transpose(x, w, strides, back, size)
    forward = partial(_conv_matmul, w=w.swapaxes(2, 3), strides=strides, pads=back)
    image = jax.ShapeDtypeStruct((len(x), *size, w.shape[-1]), x.dtype)
    return jax.linear_transpose(forward, image)(x)[0]


def conv_transpose(x: Float[Array, "b *space c"], w: Float[Array, "..."], strides: int | Sequence[int] | None = 1,
                   padding: Padding = "SAME", dilation: int | Sequence[int] | None = 1) -> Float[Array, "b *out o"]:
    """Convolution of `x` dilated by `strides`, as `lax.conv_transpose`: w is (*kernel_size, c, o), not flipped.

    Two spatial dimensions, strides 1 and 2 and no dilation have matmul forms on the CPU; the rest is lax's.
    """
    rank = w.ndim - 2
    strides, dilation, pads = _per_dim(strides, rank), _per_dim(dilation, rank), _explicit(padding, rank)
    if rank != 2 or set(dilation) != {1} or not {*strides} <= {1, 2}:
        return lax.conv_transpose(x, w, strides, pads, rhs_dilation=dilation)
    return _conv_transpose_by_platform(x, w, strides, pads, onednn.serves(x, w))


@partial(jax.jit, static_argnums=(2, 3, 4))
def _conv_transpose_by_platform(x: Array, w: Array, strides: tuple[int, int], padding: str | Pads, vendor: bool
                                ) -> Array:
    pads = tuple(_transpose_pads(k, s, padding if isinstance(padding, str) else padding[i])
                 for i, (k, s) in enumerate(zip(w.shape, strides, strict=False)))
    if vendor:
        return _conv_transpose_vendor(x, w, strides, pads)
    return lax.platform_dependent(
        x, w, cpu=partial(_conv_transpose_matmul, strides=strides, pads=pads),
        default=partial(lax.conv_transpose, strides=strides, padding=padding))


def _transpose_pads(k: int, s: int, padding: str | tuple[int, int]) -> tuple[int, int]:
    """Padding of the dilated input, by the rule of `lax.conv_transpose`."""
    if padding == "SAME":
        total = k + s - 2
        low = k - 1 if s > k - 1 else -(-total // 2)
        return low, total - low
    if padding == "VALID":
        return k - 1, k + s - 2 + max(k - s, 0) - (k - 1)
    return padding


def _shifted_sum(w: Float[Array, "kh kw i o"]) -> Float[Array, "kh+1 kw+1 i o"]:
    """The sum of the kernel at the four places of a 2x2 square."""
    return sum(jnp.pad(w, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in range(2) for j in range(2))


def _halved(x: Float[Array, "b h w c"], w: Float[Array, "kh kw c o"]) -> Float[Array, "b h//2 w//2 o"]:
    """Means of 2x2 outputs of the kernel, "SAME", whose `_shifted_sum` is w: 4 products for 9 if it had 3x3."""
    return conv(x, w / 4, 2, [(k // 2 - 1,) * 2 for k in w.shape[:2]])


def _doubled(x: Float[Array, "b h w c"], w: Float[Array, "kh kw c o"]) -> Float[Array, "b 2*h 2*w o"]:
    """Outputs of the kernel whose `_shifted_sum` is w for x with each pixel twice a side: 4 products for 9 again."""
    return conv_transpose(x, w, 2, [(k // 2,) * 2 for k in w.shape[:2]])


RESIZING = {"halve": _halved, "double": _doubled}
"""What a convolution can do beside: means of 2x2 of its outputs, or each of its inputs twice along both axes."""


class Conv(nn.Module):
    """Drop-in for `nn.Conv`: the same fields, parameters and numbers; `conv` underneath.

    `resize` ("halve", "double"): one of `RESIZING` with a kernel of odd sides, stride 1 and padding "SAME".
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] | None = 1
    padding: Padding = "SAME"
    kernel_dilation: int | Sequence[int] | None = 1
    feature_group_count: int = 1
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    resize: str = ""

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Maps (*batch, *space, channels) to (*batch, *space', features)."""
        size = (self.kernel_size,) if isinstance(self.kernel_size, int) else tuple(self.kernel_size)
        if x.shape[-1] % self.feature_group_count or self.features % self.feature_group_count:
            raise UserError(f"A convolution of {x.shape[-1]} to {self.features} channels has no "
                            f"{self.feature_group_count} groups: their number must divide both.")
        shape = (*size, x.shape[-1] // self.feature_group_count, self.features)
        if self.resize:
            x, w, bias = _arguments(self, x, shape, _shifted_sum)
            return _over_images(lambda v: RESIZING[self.resize](v, w), x, len(size), bias)
        x, w, bias = _arguments(self, x, shape)
        return _over_images(lambda v: conv(v, w, self.strides, self.padding, self.kernel_dilation,
                                           self.feature_group_count), x, len(size), bias)


class ConvTranspose(nn.Module):
    """Drop-in for `nn.ConvTranspose`: the same fields, parameters and numbers; `conv_transpose` underneath."""

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: Padding = "SAME"
    kernel_dilation: int | Sequence[int] | None = None
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    transpose_kernel: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Maps (*batch, *space, channels) to (*batch, *space', features)."""
        size = (self.kernel_size,) if isinstance(self.kernel_size, int) else tuple(self.kernel_size)
        channels = (self.features, x.shape[-1]) if self.transpose_kernel else (x.shape[-1], self.features)
        x, w, bias = _arguments(self, x, (*size, *channels))
        if self.transpose_kernel:
            w = jnp.flip(w, range(len(size))).swapaxes(-1, -2)
        return _over_images(lambda v: conv_transpose(v, w, self.strides, self.padding, self.kernel_dilation),
                            x, len(size), bias)


def _arguments(layer: nn.Module, x: Array, shape: tuple[int, ...], change: Callable[[Array], Array] = lambda w: w
               ) -> tuple[Array, Array, Array | None]:
    """The input and the changed kernel of `shape`, in the dtype of the computation, and the bias in its own."""
    kernel = change(layer.param("kernel", layer.kernel_init, shape, layer.param_dtype))
    bias = layer.param("bias", layer.bias_init, (layer.features,), layer.param_dtype) if layer.use_bias else None
    x, kernel, _ = promote_dtype(x, kernel, bias, dtype=layer.dtype)
    return x, kernel, bias


def _over_images(apply: Callable, x: Array, rank: int, bias: Array | None) -> Array:
    """Applies to (b, *space, c) whatever the number of batch dimensions, then adds the bias.

    The bias is laid over the images before it is rounded to their dtype, so that its gradient is a sum in its own:
    thousands of pixels, each of them small, do not add up in bfloat16.
    """
    batch = x.shape[:-rank - 1]
    y = apply(x.reshape(-1, *x.shape[-rank - 1:]))
    y = y if bias is None else y + jnp.broadcast_to(bias, y.shape).astype(y.dtype)
    return y.reshape(*batch, *y.shape[1:])
