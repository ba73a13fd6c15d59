"""Pictures: sample grids and scatters during training, curves, latent spaces, animations and the HTML report.

Every picture is a uint8 array [h w c], so that it can be saved (`grids.save_png`), logged or compared.
`grids` and `animation` need numpy and Pillow alone; matplotlib is imported by the functions that draw with it.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Num, UInt8

from gen.data import Spec, mixtures, to_uint8
from gen.errors import UserError
from gen.figures.grids import image_grid
from gen.figures.lines import histogram_picture
from gen.figures.points import scatter_picture


def sample_picture(
    samples: Num[np.ndarray, "n ..."], spec: Spec, data: Num[np.ndarray, "m ..."] | None = None, **options
) -> UInt8[np.ndarray, "h w c"]:
    """Draws samples in data units: images as a grid, points of the plane as a scatter, of a line as a histogram.

    Args:
      samples: [n h w c] images in the units of `spec.range` (or uint8 already), or [n 2] or [n 1] points.
      spec: the data set's; its shape decides, (h, w, c), (2,) or (1,).
      data: real examples. Points are drawn over them, and they fix the limits, so that pictures of different steps
        can be compared; grids of images do not use them.
      **options: of `image_grid` (rows, padding, scale), of `scatter_picture` (centres, log_density, discriminator,
        limits, colours) or of `histogram_picture` (log_density, discriminator).

    Raises:
      UserError: examples of any other shape.
    """
    samples = np.asarray(samples)
    if len(spec.shape) == 3:
        images = samples if samples.dtype == np.uint8 else np.asarray(to_uint8(jnp.asarray(samples), spec.range))
        return image_grid(images, **options)
    if tuple(spec.shape) == (2,):
        return scatter_picture(samples, data, **options)
    if tuple(spec.shape) == (1,) and data is not None:
        return histogram_picture(samples, data, **options)
    raise UserError(f"No picture is known for examples of shape {spec.shape}; set config.train.sample_every = 0.")


def data_picture(
    data: Num[np.ndarray, "n ..."], spec: Spec, log_density: Callable | None = None
) -> UInt8[np.ndarray, "h w c"]:
    """Draws real examples alone: images as a grid, points in the data's colour under contours of their density.

    Raises:
      UserError: examples of a shape that has no picture.
    """
    if len(spec.shape) == 3:
        return sample_picture(data, spec)
    drawn = {(2,): scatter_picture, (1,): histogram_picture}.get(tuple(spec.shape))
    return drawn(None, data, log_density=log_density) if drawn else sample_picture(data, spec)


def scene(config, methods: Mapping[str, Callable], state, data: Num[np.ndarray, "m ..."]) -> dict:
    """What a picture of a run's points shows beside the samples, as options of `sample_picture`; {} for images.

    The data, its density where it is known, and the logits of an unconditional model that can `discriminate`.
    """
    if data.ndim != 2:
        return {}
    shown = {"data": data}
    if config.data.name in mixtures.MIXTURES and config.data.std > 0:
        shown["log_density"] = mixtures.log_density(config.data)
    if "discriminate" in methods and "conditioning" not in config:
        shown["discriminator"] = lambda x: np.asarray(jax.jit(methods["discriminate"])(state, x), np.float64)
    return shown
