"""The same models in another program: it prints rows as ours are, from a file or in turns with ours."""

import json
import shlex
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

import jax

from gen.benchmark.trainer import Row, rounded
from gen.errors import UserError


def block(command: str, name: str, seconds: float) -> Row:
    """The row that the peer's program prints for one block, on the kind of device that ours runs on."""
    argv = [*shlex.split(command), "--workload", name, "--repeats", "1", "--seconds", str(seconds)]
    if jax.default_backend() == "gpu" and "--device" not in argv:
        argv += ["--device", "cuda"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])
    except OSError as e:
        raise UserError(f"--peer_command={command}: cannot be run: {e.strerror}.") from e
    except (ValueError, IndexError) as e:
        message = (done.stderr.splitlines() or ["it printed no row"])[-1]
        raise UserError(f"--peer_command={command}: {message}") from e


def median_row(blocks: Sequence[Row], times: Sequence[float]) -> Row:
    """The median of a peer's blocks; `ratio`: of our images/s to its, the median over pairs with our blocks."""
    ms = statistics.median(block["ms_per_step"] for block in blocks)
    ratio = statistics.median(block["ms_per_step"] / (1e3 * t) for block, t in zip(blocks, times, strict=True))
    images = blocks[0]["ms_per_step"] * blocks[0]["images_per_s"]
    return blocks[0] | {"ms_per_step": rounded(ms), "images_per_s": rounded(images / ms), "ratio": round(ratio, 2)}


def read(path: Path | str) -> list[Row]:
    """Rows that the peer's program printed into a file."""
    try:
        return [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as e:
        raise UserError(f"--peer={path}: cannot be read as JSON lines: {e}") from e


def compare(ours: Row, peers: Sequence[Row]) -> list[Row]:
    """The peer's rows of our row's workload, with `ratio`: our images/s to its."""
    return [peer | {"ratio": round(ours["images_per_s"] / peer["images_per_s"], 2)}
            for peer in peers if peer["workload"] == ours["workload"]]
