"""The files that a visitor takes along: a picture as PNG, numbers as .npy or .json."""

import io
import json
import re

import numpy as np
from jaxtyping import Num, UInt8

from gen.figures.grids import to_pillow
from gen.runs import Run


def png(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    """The image at its own pixels."""
    content = io.BytesIO()
    to_pillow(image).save(content, format="PNG")
    return content.getvalue()


def npy(numbers: Num[np.ndarray, "..."]) -> bytes:
    """The array as `numpy.load` reads it."""
    content = io.BytesIO()
    np.save(content, numbers, allow_pickle=False)
    return content.getvalue()


def as_json(run: Run, **said: Num[np.ndarray, "..."] | float | int) -> bytes:
    """What is said, arrays as nested lists, with the run and its step. Numbers of 32 bits keep all of their digits."""
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in said.items()}
    return (json.dumps({"model": run.workdir.name, "step": run.step} | plain) + "\n").encode()


def stem(run: Run) -> str:
    """The run's name as the beginning of a file's name."""
    return re.sub(r"[^\w.-]+", "_", run.workdir.name) or "run"
