"""How images of any size become the 299x299 pixels of Inception: the rule decides the number, so it is in each name.

`tf1`: position i of a row is i in / 299, without antialiasing; then (x - 128) / 128. TensorFlow 1, hence TTUR, ADM,
StyleGAN, EDM, torch-fidelity, torchmetrics, and clean-fid's `legacy_tensorflow`.
`half_pixel`: position (i + 1/2) in / 299 - 1/2, without antialiasing; then 2 x / 255 - 1. PyTorch, hence pytorch-fid,
StudioGAN and clean-fid's `legacy_pytorch`.
`clean`: Pillow's bicubic filter, which antialiases, on floats, clipped to 0..255; then (x - 128) / 128. clean-fid.

Images are bytes: what is not is rounded first, x to the nearest of 0..255, and a half to the even one.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, UInt8

from gen.evaluation.inception.network import SIDE

Levels = Float[Array | np.ndarray, "n s s c"]
Bytes = UInt8[Array | np.ndarray, "n h w c"]

THREADS = 4


class Rule(NamedTuple):
    """How images become what the network takes.

    Attributes:
      resized: bytes of one size to grey levels at 299x299.
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


def bicubic(x: Bytes) -> Levels:
    """Pillow's bicubic filter, an image and a channel at a time, in several threads."""
    from PIL import Image

    def one(channel: np.ndarray) -> np.ndarray:
        image = Image.fromarray(channel.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        return np.asarray(image).clip(0, 255)

    channels = np.moveaxis(np.asarray(x), 3, 1).reshape(-1, *x.shape[1:3])
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(one, channels))
    return np.moveaxis(np.stack(found).reshape(len(x), -1, SIDE, SIDE), 1, 3)


def centred(x: Levels) -> Levels:
    """(x - 128) / 128."""
    return (x - 128) / 128


RULES = {
    "tf1": Rule(lambda x: bilinear(x, tf1_positions), centred, True),
    "half_pixel": Rule(lambda x: bilinear(x, half_pixel_positions), lambda x: 2 * (x / 255) - 1, True),
    "clean": Rule(bicubic, centred, False),
}
"""By name, as in the metrics."""
