"""Training as an animated GIF: one frame per sample grid."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from gen.errors import UserError
from gen.figures.grids import load_png, to_pillow
from gen.run_folder import sample_files

CAPTION = 22  # pixels: height of the strip below a frame that has a caption


def captioned(frame: UInt8[np.ndarray, "h w c"], text: str) -> Image.Image:
    """The frame with `text` in a white strip of 22 pixels below it."""
    height, width, channels = frame.shape
    image = Image.new("L" if channels == 1 else "RGB", (width, height + CAPTION), "white")
    image.paste(to_pillow(frame))
    font = ImageFont.load_default(12)
    ImageDraw.Draw(image).text((6, height + 3), text, fill="black", font=font)
    return image


def spread(n: int, most: int) -> list[int]:
    """At most `most` indices of range(n), evenly spread, with both ends."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most)).tolist()}) if n else []


def write_gif(
    frames: Sequence[UInt8[np.ndarray, "h w c"]],
    path: str | os.PathLike,
    captions: Sequence[str] | None = None,
    seconds: float = 0.15,
    hold: float = 1.5,
) -> Path:
    """Writes an endless GIF.

    Args:
      frames: equal shapes; 1 channel keeps its 256 grey levels exactly, 3 are reduced to a palette of 256 per frame.
      path: of the file; its folder is made.
      captions: one a frame, drawn below it.
      seconds: each frame stays, in steps of 0.01.
      hold: seconds that the last frame stays.

    Raises:
      UserError: no frames, or frames of different shapes.
    """
    if len({frame.shape for frame in frames}) != 1:
        raise UserError(f"An animation needs frames of one shape; it has {sorted({f.shape for f in frames})}.")
    first, *rest = map(captioned, frames, captions) if captions else map(to_pillow, frames)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    durations = [round(1000 * seconds)] * len(rest) + [round(1000 * hold)]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return path


def animate_run(
    run_dir: str | os.PathLike, path: str | os.PathLike | None = None, most: int = 60, **options
) -> Path:
    """Writes <run_dir>/samples.gif (or `path`) from the run's sample pictures, captioned with their steps.

    At most `most` frames, evenly spread, the first and the last always. Options are those of `write_gif`.

    Raises:
      UserError: the run has no sample pictures.
    """
    files = sample_files(Path(run_dir))
    if not files:
        raise UserError(f"No samples/<step>.png in {run_dir}; train with config.train.sample_every > 0.")
    steps = [list(files)[i] for i in spread(len(files), most)]
    frames = [load_png(files[step]) for step in steps]
    return write_gif(frames, path or Path(run_dir) / "samples.gif", [f"step {step:,}" for step in steps], **options)
