"""LPIPS (Zhang et al. 2018), version 0.1: how different two images look, by the maps of a network trained to classify.

Maps of five layers are scaled to length one at each position; their squared differences are weighted channel by channel
with weights learned from people's judgements, averaged over positions, and added up. Tensors have the names of
torchvision's checkpoints and of lpips's heads.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PyTree

from gen.errors import UserError, lookup
from gen.evaluation.pretrained import weights
from gen.evaluation.pretrained.weights import File, Published
from gen.networks.layers import Conv

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of images in [-1, 1] to ImageNet's mean 0 and deviation 1, as rounded in the released code."""

EPSILON = 1e-10
"""Added to lengths."""


class Layer(NamedTuple):
    """A convolution, then ReLU.

    Attributes:
      index: in the checkpoint's names, `features.0.weight`.
      channels, window, stride, padding: of it.
    """

    index: int
    channels: int
    window: int = 3
    stride: int = 1
    padding: int = 1


class Stage(NamedTuple):
    """Layers whose last map is compared.

    Attributes:
      pool: the window of the maximum before them, in steps of two; 0 for none.
      layers: of the stage.
    """

    pool: int
    layers: tuple[Layer, ...]


TRUNKS = {
    "vgg": (
        Stage(0, (Layer(0, 64), Layer(2, 64))),
        Stage(2, (Layer(5, 128), Layer(7, 128))),
        Stage(2, (Layer(10, 256), Layer(12, 256), Layer(14, 256))),
        Stage(2, (Layer(17, 512), Layer(19, 512), Layer(21, 512))),
        Stage(2, (Layer(24, 512), Layer(26, 512), Layer(28, 512))),
    ),
    "alex": (
        Stage(0, (Layer(0, 64, 11, 4, 2),)),
        Stage(3, (Layer(3, 192, 5, 1, 2),)),
        Stage(3, (Layer(6, 384),)),
        Stage(0, (Layer(8, 256),)),
        Stage(0, (Layer(10, 256),)),
    ),
}
"""VGG16 and AlexNet."""

SMALLEST = {"vgg": 16, "alex": 31}
"""Pixels a side that leave one position in the last map."""


def normalised(x: Float[Array, "*b c"]) -> Float[Array, "*b c"]:
    """x / (|x| + 1e-10); the gradient of zeros is 0, where that of the length is none."""
    squares = (x**2).sum(-1, keepdims=True)
    return jnp.where(squares > 0, x / (jnp.sqrt(jnp.where(squares > 0, squares, 1)) + EPSILON), 0)


class LPIPS(nn.Module):
    """Pairs of images in [-1, 1] to distances."""

    trunk: str

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"], y: Float[Array, "n h w 3"]) -> Float[Array, "n"]:
        both = (jnp.concatenate([x, y]) - jnp.float32(SHIFT)) / jnp.float32(SCALE)
        distance = jnp.zeros(len(x))
        for i, maps in enumerate(self.maps(both)):
            first, second = jnp.split(normalised(maps), 2)
            weight = self.param(f"lin{i}", nn.initializers.ones, (maps.shape[-1],))
            distance += ((first - second) ** 2 @ weight).mean((1, 2))
        return distance

    def maps(self, x: Float[Array, "n h w 3"]) -> list[Float[Array, "n _ _ _"]]:
        """After each stage."""
        found = []
        for pool, layers in TRUNKS[self.trunk]:
            x = nn.max_pool(x, (pool, pool), (2, 2)) if pool else x
            for index, channels, window, stride, padding in layers:
                conv = Conv(channels, (window, window), stride, padding, name=f"features_{index}")
                x = nn.relu(conv(x))
            found.append(x)
        return found


def tensor_shapes(trunk: str) -> dict[str, tuple[int, ...]]:
    """The tensors that the two files must have, by name, with their shapes; they may have others."""
    shapes, before = {}, 3
    for i, stage in enumerate(TRUNKS[trunk]):
        for layer in stage.layers:
            shapes[f"features.{layer.index}.weight"] = (layer.channels, before, layer.window, layer.window)
            shapes[f"features.{layer.index}.bias"] = (layer.channels,)
            before = layer.channels
        shapes[f"lin{i}.model.1.weight"] = (1, before, 1, 1)
    return shapes


def converted(trunk: str, tensors: Mapping[str, np.ndarray]) -> PyTree[np.ndarray]:
    """The parameters of `LPIPS`. A tensor that is missing is a KeyError."""
    params = {}
    for i, stage in enumerate(TRUNKS[trunk]):
        for layer in stage.layers:
            kernel, bias = (np.float32(tensors[f"features.{layer.index}.{part}"]) for part in ("weight", "bias"))
            params[f"features_{layer.index}"] = {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias}
        params[f"lin{i}"] = np.float32(tensors[f"lin{i}.model.1.weight"]).reshape(-1)
    return {"params": params}


def published(trunk: str, title: str, file: str, head: str, head_of_heads: str) -> Published:
    """Torchvision's trunk and the heads of version 0.1."""
    heads = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/"
    return Published(
        f"lpips_{trunk}", f"LPIPS ({title})", trunk, f"lpips/{trunk}.safetensors",
        (File(file, "https://download.pytorch.org/models/", head), File(f"{trunk}.pth", heads, head_of_heads)),
        functools.partial(tensor_shapes, trunk), functools.partial(converted, trunk),
        f"no trunk or heads of LPIPS with {title}")


PUBLISHED = {
    "vgg": published("vgg", "VGG16", "vgg16-397923af.pth", "397923af", "a78928a0af1e5f0f"),
    "alex": published("alex", "AlexNet", "alexnet-owt-7be5be79.pth", "7be5be79", "df73285e35b22355"),
}
"""Trunk to the weights; the heads' hashes are those of the files in lpips 0.1.4."""


@functools.cache
def distances(trunk: str):
    """The compiled function (variables, x, y) -> distances."""
    return jax.jit(LPIPS(trunk).apply)


def lpips(x: Num[Array | np.ndarray, "..."], y: Num[Array | np.ndarray, "..."], trunk: str = "vgg"
          ) -> Float[Array, "n"]:
    """The distance of each pair of images [n h w c] in [-1, 1], of 3 channels, or 1 that is taken three times.

    `trunk`: "vgg" or "alex"; lpips's own metric is "alex", training takes "vgg". Differentiable in both images.
    Raises a UserError for other images or trunks, and where the weights are not prepared.
    """
    lookup(TRUNKS, trunk, "trunk of LPIPS")
    check(x.shape, y.shape, trunk)
    if not all(jnp.issubdtype(image.dtype, jnp.floating) for image in (x, y)):
        raise UserError(f"LPIPS takes floats in [-1, 1], not {x.dtype} and {y.dtype}: bytes are x / 127.5 - 1.")
    x, y = (jnp.repeat(image, 3, -1) if image.shape[-1] == 1 else image for image in (x, y))
    with jax.default_matmul_precision("float32"):  # tensor cores would round to ten bits
        return distances(trunk)(weights.load(PUBLISHED[trunk]).variables, jnp.float32(x), jnp.float32(y))


def check(first: tuple[int, ...], second: tuple[int, ...], trunk: str) -> None:
    """Raises a UserError unless these are shapes of pairs that the trunk can compare."""
    if first != second or len(first) != 4 or first[-1] not in (1, 3):
        raise UserError(f"LPIPS compares images [n, height, width, 1 or 3] of one size; these are {list(first)} and "
                        f"{list(second)}.")
    if min(first[1:3]) < SMALLEST[trunk]:
        raise UserError(f"LPIPS with {trunk} takes images of {SMALLEST[trunk]} pixels a side at least; these are "
                        f"{first[1]}x{first[2]}.")
