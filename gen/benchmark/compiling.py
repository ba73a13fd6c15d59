"""What every experiment of the repository takes to compile: its init, and the function that trains."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from gen import config as configs
from gen import resources
from gen.data import Dataset, load
from gen.errors import UserError
from gen.figures.grids import save_png
from gen.schema import complete
from gen.training.program import STATISTICS_EXAMPLES, abstract_state, make

IMAGES = 40
"""That stand for a user's."""


class Compiled(NamedTuple):
    """Attributes:
    experiment: its file below experiments/, without the suffix, and its variant.
    init: seconds until the state before the first step is there.
    train: seconds of tracing, lowering and compiling the function that trains.
    why: there are none, "" where there are.
    """

    experiment: str
    init: float = 0.0
    train: float = 0.0
    why: str = ""


def experiments() -> list[str]:
    """All of them, as "gan/ring"."""
    folder = resources.folder("experiments")
    return sorted(f"{path.parent.name}/{path.stem}" for path in folder.glob("*/*.py") if path.parent.name != "lecture")


def compile_times(names: Sequence[str]) -> Iterator[Compiled]:
    """Compiles experiments, "gan/ring" or "gan/ring:smoke", one after the other; nothing is trained.

    An experiment whose data set is not here has no times, and says why; one of a user's own folder has blank images.
    """
    for name in names:
        path, _, variant = name.partition(":")
        given = configs.load(f"{resources.folder('experiments') / path}.py:{variant}".rstrip(":"))
        with tempfile.TemporaryDirectory() as folder:
            try:
                config = complete(given, {"data.path": blank(Path(folder))} if given.data.get("path") == "" else {})
                yield Compiled(name, *timed(config, load(config.data)))
            except UserError as error:
                yield Compiled(name, why=str(error))


def timed(config, dataset: Dataset) -> tuple[float, float]:
    """Seconds of the init and of the function that trains."""
    made, raw = make(config, dataset.spec), dict(dataset.train)
    begin = time.perf_counter()
    jax.block_until_ready(made.init(config.seed, {key: x[:STATISTICS_EXAMPLES] for key, x in raw.items()}))
    between = time.perf_counter()
    data = {key: jax.ShapeDtypeStruct(x.shape, x.dtype) for key, x in raw.items()}
    made.train.lower(abstract_state(made, dataset.spec), data, config.train.log_every).compile()
    return between - begin, time.perf_counter() - between


def blank(folder: Path) -> str:
    """The folder, with images of nothing in it."""
    for i in range(IMAGES):
        save_png(np.zeros((8, 8, 3), np.uint8), folder / f"{i}.png")
    return str(folder)


def table(rows: Sequence[Compiled]) -> str:
    """The rows in Markdown."""
    lines = [f"| `{row.experiment}` | {row.init:.1f} | {row.train:.1f} |" if not row.why
             else f"| `{row.experiment}` | - | {row.why} |" for row in rows]
    return "\n".join(["| experiment | init, s | training, s |", "|---|---:|---:|", *lines])
