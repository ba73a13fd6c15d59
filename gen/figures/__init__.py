"""Pictures: sample grids and scatters during training, curves, latent spaces, animations and the HTML report.

Every picture is a uint8 array [h w c], so that it can be saved (`grids.save_png`), logged or compared.
`grids` and `animation` need numpy and Pillow alone; matplotlib is imported by the functions that draw with it.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Num, UInt8

from gen.data import Spec, to_uint8
from gen.errors import UserError
from gen.figures.grids import image_grid
from gen.figures.points import scatter_picture


def sample_picture(
    samples: Num[np.ndarray, "n ..."], spec: Spec, data: Num[np.ndarray, "m ..."] | None = None, **options
) -> UInt8[np.ndarray, "h w c"]:
    """Draws samples in data units: images as a grid, points of the plane as a scatter.

    Args:
      samples: [n h w c] images in the units of `spec.range` (or uint8 already), or [n 2] points.
      spec: the data set's; its shape decides, (h, w, c) or (2,).
      data: real examples. Points are drawn over them, and they fix the limits, so that pictures of different steps
        can be compared; grids of images do not use them.
      **options: of `image_grid` (rows, padding, scale), or of `scatter_picture` (centres, log_density, limits).

    Raises:
      UserError: examples of any other shape.
    """
    samples = np.asarray(samples)
    if len(spec.shape) == 3:
        images = samples if samples.dtype == np.uint8 else np.asarray(to_uint8(jnp.asarray(samples), spec.range))
        return image_grid(images, **options)
    if tuple(spec.shape) == (2,):
        return scatter_picture(samples, data, **options)
    raise UserError(f"No picture is known for examples of shape {spec.shape}; set config.train.sample_every = 0.")
