"""DINOv2 (Oquab et al. 2024), a vision transformer: 224x224 pixels to the features that Stein et al. 2023 compare.

Patches of 14x14 pixels become tokens, positions are added, blocks of attention and of two dense layers follow, each
behind a layer norm and scaled channel by channel. The features are the class token after the last norm. Tensors have
the names of the published checkpoints.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from gen.networks.layers import Dense

SIDE, PATCH = 224, 14
TRAINED_SIDE = 518
"""Pixels a side for which the published positions are."""

OFFSET = 0.1
"""That is added to the number of patches before it becomes a scale, in the released code."""

CUBIC = -0.75
"""The slope of the cubic kernel at 1, in PyTorch."""

EPSILON = 1e-6
"""Of layer norm."""


class Size(NamedTuple):
    """Of a transformer: numbers of a token, blocks, heads of attention."""

    width: int
    depth: int
    heads: int


SIZES = {"vitb14": Size(768, 12, 12), "vitl14": Size(1_024, 24, 16)}
"""As published; the dense layers within a block are four times as wide."""

Norm = functools.partial(nn.LayerNorm, epsilon=EPSILON, use_fast_variance=False)


def attention(queries: Float[Array, "b h n k"], keys: Float[Array, "b h m k"], values: Float[Array, "b h m k"]
              ) -> Float[Array, "b h n k"]:
    """softmax(q k^T / sqrt k) v, of each head (Vaswani et al. 2017, eq. 1)."""
    logits = queries @ keys.swapaxes(-1, -2) / math.sqrt(queries.shape[-1])
    return jax.nn.softmax(logits) @ values


class Block(nn.Module):
    """x + g1 * attention(norm(x)), then x + g2 * mlp(norm(x))."""

    heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        b, n, d = x.shape
        joined = Dense(3 * d, name="attn_qkv")(Norm(name="norm1")(x))
        parts = joined.reshape(b, n, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        mixed = attention(*parts).transpose(0, 2, 1, 3).reshape(b, n, d)
        x = x + self._scale("ls1_gamma", d) * Dense(d, name="attn_proj")(mixed)
        hidden = nn.gelu(Dense(4 * d, name="mlp_fc1")(Norm(name="norm2")(x)), approximate=False)
        return x + self._scale("ls2_gamma", d) * Dense(d, name="mlp_fc2")(hidden)

    def _scale(self, name: str, d: int) -> Float[Array, "d"]:
        return self.param(name, nn.initializers.ones, (d,))


class DINOv2(nn.Module):
    """Standardised images to the class token after the last norm. All blocks are one program, run `depth` times."""

    size: Size

    @nn.compact
    def __call__(self, x: Float[Array, "b s s 3"]) -> Float[Array, "b d"]:
        b, side, *_ = x.shape
        n, d = side // PATCH, self.size.width
        x = x.reshape(b, n, PATCH, n, PATCH, 3).swapaxes(2, 3).reshape(b, n * n, -1)
        x = Dense(d, name="patch_embed_proj")(x)
        first = self.param("cls_token", nn.initializers.zeros, (1, 1, d))
        x = jnp.concatenate([jnp.broadcast_to(first, (b, 1, d)), x], axis=1)
        x = x + self.param("pos_embed", nn.initializers.zeros, (1, n * n + 1, d))
        blocks = nn.scan(lambda block, x, _: (block(x), None), length=self.size.depth, variable_axes={"params": 0},
                         split_rngs={"params": True})
        x, _ = blocks(Block(self.size.heads, name="blocks"), x, None)
        return Norm(name="norm")(x[:, 0])


def interpolation(n: int, target: int) -> Float[np.ndarray, "t n"]:
    """The matrix that takes n positions of a row to fewer or more, as the released code does.

    Bicubic (Keys 1981, slope -0.75), without antialiasing; the border goes on for ever. Position i lies at
    (i + 1/2) n / (t + 0.1) - 1/2: the scale is that of a tenth of a patch more than there are.
    """
    where = (np.arange(target) + 0.5) * (n / (target + OFFSET)) - 0.5
    low = np.floor(where).astype(int)
    matrix = np.zeros((target, n))
    for tap in range(-1, 3):
        distance = np.abs(where - low - tap)
        near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
        far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
        np.add.at(matrix, (np.arange(target), np.clip(low + tap, 0, n - 1)), np.where(distance <= 1, near, far))
    return matrix


def positions(embedding: Float[np.ndarray, "1 m d"], target: int) -> Float[np.ndarray, "1 p d"]:
    """Embeddings of a class token and n x n patches, as those of target x target patches."""
    n = math.isqrt(embedding.shape[1] - 1)
    if n == target:
        return np.float32(embedding)
    matrix = interpolation(n, target)
    grid = np.float64(embedding[0, 1:]).reshape(n, n, -1)
    grid = np.einsum("in,jm,nmd->ijd", matrix, matrix, grid, optimize=True)
    return np.concatenate([np.float32(embedding[:, :1]), np.float32(grid).reshape(1, target**2, -1)], axis=1)


def block_shapes(d: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a block."""
    vectors = ("norm1.weight", "norm1.bias", "attn.proj.bias", "ls1.gamma", "norm2.weight", "norm2.bias",
               "mlp.fc2.bias", "ls2.gamma")
    return dict.fromkeys(vectors, (d,)) | {
        "attn.qkv.weight": (3 * d, d), "attn.qkv.bias": (3 * d,), "attn.proj.weight": (d, d),
        "mlp.fc1.weight": (4 * d, d), "mlp.fc1.bias": (4 * d,), "mlp.fc2.weight": (d, 4 * d)}


def tensor_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """The tensors that a checkpoint must have, by name, with their shapes; it may have others."""
    d = size.width
    blocks = {f"blocks.{i}.{name}": shape for i in range(size.depth) for name, shape in block_shapes(d).items()}
    return {"cls_token": (1, 1, d), "pos_embed": (1, (TRAINED_SIDE // PATCH) ** 2 + 1, d),
            "patch_embed.proj.weight": (d, 3, PATCH, PATCH), "patch_embed.proj.bias": (d,),
            "norm.weight": (d,), "norm.bias": (d,)} | blocks


def converted(size: Size, tensors: Mapping[str, np.ndarray], side: int = SIDE) -> PyTree[np.ndarray]:
    """The parameters of `DINOv2` for images of so many pixels a side. A tensor that is missing is a KeyError."""
    def stacked(name: str) -> np.ndarray:
        return np.stack([np.float32(tensors[f"blocks.{i}.{name}"]) for i in range(size.depth)])

    kernel = np.float32(tensors["patch_embed.proj.weight"]).transpose(2, 3, 1, 0)
    return {"params": {
        "cls_token": np.float32(tensors["cls_token"]), "pos_embed": positions(tensors["pos_embed"], side // PATCH),
        "patch_embed_proj": {"kernel": kernel.reshape(-1, size.width),
                             "bias": np.float32(tensors["patch_embed.proj.bias"])},
        "blocks": _named(block_shapes(size.width), stacked),
        "norm": {"scale": np.float32(tensors["norm.weight"]), "bias": np.float32(tensors["norm.bias"])},
    }}


def _named(names: Mapping[str, tuple[int, ...]], values: Callable[[str], np.ndarray]) -> PyTree[np.ndarray]:
    """Parameters of a block by the names of Flax: kernels are transposed, weights of norms are scales."""
    found = {}
    for name, shape in names.items():
        *layer, kind = name.split(".")
        if kind == "gamma":
            found["_".join((*layer, kind))] = values(name)
        else:
            matrix = kind == "weight" and len(shape) == 2
            value = values(name).swapaxes(-1, -2) if matrix else values(name)
            kind = "kernel" if matrix else "scale" if kind == "weight" else kind
            found.setdefault("_".join(layer), {})[kind] = value
    return found
