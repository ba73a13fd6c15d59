"""Images on their way into a model and out of it: uploads, test examples, pixels."""

import io

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image, ImageOps

from gen.data import Dataset, Spec, decoder, to_uint8
from gen.errors import UserError
from gen.runs import Run

MAX_BYTES, MAX_PIXELS = 20_000_000, 25_000_000
"""Of an upload."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MODES = {1: "L", 3: "RGB"}
"""Channels to Pillow's mode."""


def are_images(shape: tuple[int, ...]) -> bool:
    """Whether examples of this shape can be shown as images."""
    return len(shape) == 3 and shape[-1] in MODES


def read_upload(content: bytes, spec: Spec, inverted: bool = False) -> UInt8[np.ndarray, "h w c"]:
    """An uploaded picture as an example of the data: its middle, resized, in the data's channels, colours inverted.

    Raises:
      UserError: it is no picture in one of `FORMATS`, damaged, or too large.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"The file has {len(content) / 1e6:.0f} MB: {MAX_BYTES / 1e6:.0f} MB at most.")
    height, width, channels = spec.shape
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as file:
            if file.width * file.height > MAX_PIXELS:
                raise UserError(f"The picture has {file.width} x {file.height} pixels: {MAX_PIXELS / 1e6:.0f} million "
                                "at most.")
            image = ImageOps.exif_transpose(file).convert("RGBA")
    except UserError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise UserError(f"This is no picture that can be read ({', '.join(FORMATS)}), or it is damaged.") from error
    opaque = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert(MODES[channels])
    fitted = ImageOps.fit(opaque, (width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(ImageOps.invert(fitted) if inverted else fitted)
    return pixels.reshape(height, width, channels)


def example(run: Run, image: UInt8[np.ndarray, "h w c"]) -> Float[Array, "1 h w c"]:
    """An image as the run's model sees it.

    Pixels are not binarised: where the model saw 0 and 1, it is given their probabilities.
    """
    decode = decoder({**run.config.data, "binarize": "none"})
    return decode({"x": jnp.asarray(image)[None]}, jax.random.key(0))["x"]


def test_image(run: Run, dataset: Dataset, i: int) -> tuple[UInt8[np.ndarray, "h w c"], int]:
    """Test example i, counted around, and its label; 0 where there are no labels."""
    i %= len(dataset.test["x"])
    batch = run.decoded({name: values[i:i + 1] for name, values in dataset.test.items()})
    return pixels(run, batch["x"])[0], int(batch["label"][0]) if "label" in batch else 0


def pixels(run: Run, x: Float[Array | np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "n h w c"]:
    """Examples in the units of the data, as pixels."""
    return np.asarray(to_uint8(jnp.asarray(x), run.spec.range))
