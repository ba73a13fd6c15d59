"""Convolution, dense and batch-norm layers: Flax's parameters and numbers, XLA:CPU forms that are fast.

On the CPU a convolution becomes slices around matrix products, because XLA:CPU runs those several
times faster than its own convolutions (and their gradients); on every other platform it stays one
`lax.conv_general_dilated`. `lax.platform_dependent` picks the branch when the program is lowered.

The forms are in `gen.networks.matmuls`; where oneDNN serves, they are its (`gen.networks.onednn`).
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
from gen.networks import matmuls, onednn
from gen.networks.matmuls import Pads

Dense = nn.Dense
BatchNorm = nn.BatchNorm

Padding = str | int | Sequence[int | tuple[int, int]]

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
    if not covered or min(matmuls.out_size(x, w, strides, pads)) < 1:
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
        x, w, cpu=partial(matmuls.conv, strides=strides, pads=pads, groups=groups),
        default=partial(_conv_lax, strides=strides, pads=pads, dilation=(1, 1), groups=groups))


def _conv_transpose_vendor(x: Array, w: Array, strides: tuple[int, int], pads: Pads) -> Array:
    size, back = matmuls.image_of(x, w, strides, pads)
    return onednn.conv_transpose(x, w[::-1, ::-1].swapaxes(2, 3), strides, back, size)


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
        x, w, cpu=partial(matmuls.conv_transpose, strides=strides, pads=pads),
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
