"""What the pixels of an image file mean: each of Pillow's modes as eight bits of grey or of sRGB."""

import numpy as np

BACKGROUND = (255, 255, 255, 255)
"""White: what is seen through transparent pixels, whose own colours are hidden."""

DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Modes of grey in 16 bits; "I" has 32, of which files use 16."""


def eight_bits(image, mode: str):
    """A Pillow image in the mode "L" or "RGB".

    Grey of 16 bits is divided by 257, so that 65535 becomes 255; alpha is composited over `BACKGROUND`, a palette's
    or one transparent colour too; CIE Lab (D50) becomes sRGB; other modes are converted as Pillow does.

    Raises ValueError for floats and for integers outside 0..65535: nothing says which value is white.
    """
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are floats, and nothing says which value is white: save it with 8 or 16 bits")
    if image.mode in DEEP:
        image = Image.fromarray(_grey(np.asarray(image)))
    elif image.mode == "LAB":
        image = _lab(image)
    elif image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("LA") if image.mode == "La" else image
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colours.size, BACKGROUND), colours).convert("RGB")
    return image.convert(mode)


def _grey(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"its pixels are integers in {values.min()}..{values.max()}, beyond 16 bits: save it with 16")
    return ((values + 128) // 257).astype(np.uint8)


def _lab(image):
    from PIL import ImageCms

    return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"),
                                     outputMode="RGB")
