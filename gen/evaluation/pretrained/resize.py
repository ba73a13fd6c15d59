"""How images of any size become the pixels that a network takes: the rule decides the number, so it is in each name.

Inception, 299x299:
`tf1`: position i of a row is i in / 299, without antialiasing; then (x - 128) / 128. TensorFlow 1, hence TTUR, ADM,
StyleGAN, EDM, torch-fidelity, torchmetrics, and clean-fid's `legacy_tensorflow`.
`half_pixel`: position (i + 1/2) in / 299 - 1/2, without antialiasing; then 2 x / 255 - 1. PyTorch, hence pytorch-fid,
StudioGAN and clean-fid's `legacy_pytorch`.
`clean`: Pillow's bicubic filter, which antialiases, on floats, clipped to 0..255; then (x - 128) / 128. clean-fid.

DINOv2, 224x224, then x / 255 less ImageNet's mean, over its standard deviation (Stein et al. 2023, dgm-eval):
`pillow`: Pillow's bicubic filter on bytes, whose result is bytes. dgm-eval's own, through torchvision's Resize.
`clean`: the same on floats, as above. dgm-eval's `--clean_resize`.
`unclipped`: the same, not clipped. PyTorch's antialiased bicubic, hence EDM2.

Images are bytes: what is not is rounded first, x to the nearest of 0..255, and a half to the even one.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, UInt8

from gen.evaluation.pretrained import dinov2
from gen.evaluation.pretrained.inception import SIDE

Levels = Float[Array | np.ndarray, "n s s c"]
Bytes = UInt8[Array | np.ndarray, "n h w c"]

THREADS = 4

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Rule(NamedTuple):
    """How images become what the network takes.

    Attributes:
      resized: bytes of one size to levels, black 0 and white 255, of the network's size.
      scaled: those to what the network takes.
      traced: `resized` is made of array operations alone, and so may be compiled.
    """

    resized: Callable[[Bytes], Levels]
    scaled: Callable[[Levels], Levels]
    traced: bool


def tf1_positions(n: int, side: int = SIDE) -> Float[np.ndarray, "s"]:
    """Where each of `side` pixels lies among n."""
    return np.arange(side, dtype=np.float32) * np.float32(n / side)


def half_pixel_positions(n: int, side: int = SIDE) -> Float[np.ndarray, "s"]:
    """The same where the centres of pixels lie at halves; multiplied and subtracted with one rounding, as PyTorch."""
    where = (np.arange(side) + 0.5) * np.float64(np.float32(n / side)) - 0.5
    return np.float32(np.maximum(where, 0))


def bilinear(x: Bytes, positions: Callable[[int], Float[np.ndarray, "s"]]) -> Levels:
    """Interpolates between the pixels around each position, rows of pixels first; the last pixel goes on for ever."""
    x = x.astype(np.float32)
    for axis in (2, 1):
        where = positions(x.shape[axis])
        low = where.astype(np.int32)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        part = (where - np.float32(low)).reshape([-1 if i == axis else 1 for i in range(4)])
        below, above = (x[:, :, at] if axis == 2 else x[:, at] for at in (low, high))
        x = below + (above - below) * part
    return x


def unclipped(x: Bytes, side: int) -> Levels:
    """Pillow's bicubic filter on floats, an image and a channel at a time; it goes beyond 0..255 beside edges."""
    channels = np.moveaxis(np.asarray(x), 3, 1).reshape(-1, *x.shape[1:3])
    found = _filtered(channels.astype(np.float32), side)
    return np.moveaxis(found.reshape(len(x), -1, side, side), 1, 3)


def bicubic(x: Bytes, side: int = SIDE) -> Levels:
    """The same, clipped to 0..255."""
    return unclipped(x, side).clip(0, 255)


def bicubic_bytes(x: UInt8[np.ndarray, "n h w 3"], side: int) -> Levels:
    """Pillow's bicubic filter on bytes, rounded and clipped as it does."""
    return _filtered(np.asarray(x), side).astype(np.float32)


def _filtered(images: np.ndarray, side: int) -> np.ndarray:
    """Images [n h w], or of bytes [n h w 3], in several threads."""
    from PIL import Image

    def one(image: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))

    with ThreadPoolExecutor(THREADS) as pool:
        return np.stack(list(pool.map(one, images)))


def centred(x: Levels) -> Levels:
    """(x - 128) / 128."""
    return (x - 128) / 128


def standardised(x: Levels) -> Levels:
    """(x / 255 - mean) / deviation, of ImageNet's channels."""
    return (x / 255 - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_DEVIATION)


RULES = {
    "tf1": Rule(lambda x: bilinear(x, tf1_positions), centred, True),
    "half_pixel": Rule(lambda x: bilinear(x, half_pixel_positions), lambda x: 2 * (x / 255) - 1, True),
    "clean": Rule(bicubic, centred, False),
}
"""Of Inception, by name, as in the metrics."""

DINOV2_RULES = {
    "pillow": Rule(partial(bicubic_bytes, side=dinov2.SIDE), standardised, False),
    "clean": Rule(partial(bicubic, side=dinov2.SIDE), standardised, False),
    "unclipped": Rule(partial(unclipped, side=dinov2.SIDE), standardised, False),
}
"""Of DINOv2."""
