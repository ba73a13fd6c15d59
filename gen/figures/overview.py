"""The head of the report of one run: what it is, how far it is, what it reached, how to go on with it."""

import os
import shlex
import struct
from collections.abc import Sequence
from pathlib import Path

from gen.figures.curves import is_number, metric_names
from gen.figures.html import escape, link, shown
from gen.figures.meanings import headline, meaning
from gen.figures.records import Run
from gen.files import Missing, Unreadable, open_within

FAMILIES = {"gan": "GAN", "vae": "VAE", "vaegan": "VAE-GAN", "vqvae": "VQ-VAE", "diffusion": "Diffusion model"}

COMMANDS = {
    "Go on, or train longer": "train.py --workdir={run}",
    "Sample": "sample.py --workdir={run} --n=64 --out=samples.png",
    "Evaluate": "evaluate.py --workdir={run}",
    "Explore": "explore.py --workdir={run}",
    "Share": "export.py --workdir={run} --out=shared",
}

FILES = {"metrics.jsonl": "metrics", "config.json": "config", "evaluations.json": "evaluations",
         "samples.gif": "animation"}


def title(runs: Sequence[Run]) -> str:
    """What the runs are: "VAE of digits: default"; of several ones of a kind how many there are."""
    kinds = {kind(run) for run in runs}
    of = kinds.pop() if len(kinds) == 1 else ""
    if len(runs) > 1:
        return f"{len(runs)} runs{f', {of}' if of else ''}"
    return f"{of}: {runs[0].name}" if of else runs[0].name


def kind(run: Run) -> str:
    """ "VAE of digits"; "" where the config does not say."""
    family, data = run.config.get("family"), run.config.get("data.name")
    known = isinstance(family, str) and isinstance(data, str)
    return f"{FAMILIES.get(family, family)} of {data}" if known else ""


def tiles(run: Run) -> str:
    """The facts of a run, each in a tile."""
    return f'<dl class="tiles">{"".join(_tile(*fact) for fact in _facts(run) if fact[1])}</dl>'


def _facts(run: Run) -> list[tuple[str, str, str]]:
    """Name, value, and what is said below it."""
    of = run.config.get("train.steps")
    parameters = run.record.get("parameters")
    counts = {k: v for k, v in parameters.items() if is_number(v)} if isinstance(parameters, dict) else {}
    spec, examples = run.record.get("spec"), run.record.get("examples")
    shape = spec.get("shape") if isinstance(spec, dict) else None
    shape = " × ".join(map(str, shape)) if isinstance(shape, list) else ""
    return [
        reached(run),
        ("steps", f"{run.last_step:,}", "finished" if run.finished else f"of {of:,}" if is_number(of) else ""),
        ("parameters", f"{sum(counts.values()):,}" if counts else "",
         ", ".join(f"{name} {count:,}" for name, count in counts.items()) if len(counts) > 1 else ""),
        ("wall time", duration(wall_seconds(run.path)), "pauses between sessions left out"),
        ("data", str(run.config.get("data.name", "")),
         ", ".join(filter(None, (shape, f"{examples:,} to train on" if is_number(examples) else "")))),
        ("trained on", *_device(run)),
    ]


def reached(run: Run) -> tuple[str, str, str]:
    """The headline metric of the best evaluation: name, value with unit, step; empty texts without one."""
    rows = [row for row in run.metrics if row.get("kind") == "eval"]
    best = headline(run.config, metric_names(rows))
    found = [(row[best.name], row["step"]) for row in rows if is_number(row.get(best.name))] if best else []
    found = [pair for pair in found if pair[0] == pair[0]]
    if not found:
        return "", "", ""
    value, step = (max if best.better == "max" else min)(found, key=lambda pair: pair[0])
    unit = meaning(best.name).unit
    return f"best {best.name}", f"{shown(value)}{f' {unit}' if unit else ''}", f"at step {step:,}"


def _device(run: Run) -> tuple[str, str]:
    machine = str(run.record.get("machine") or "")
    commit = str(run.record.get("commit") or "")[:10]
    return machine.split(",")[0], ", ".join(filter(None, (*machine.split(", ")[1:], commit and f"commit {commit}")))


def _tile(name: str, value: str, below: str) -> str:
    small = f"<dd class=soft>{escape(below)}</dd>" if below else ""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd>{small}</div>"


def wall_seconds(run: Path) -> float:
    """Seconds from the first to the last event of each session that TensorBoard's files of the run tell of, added."""
    return sum(_span(path, run) for path in sorted(run.glob("events.out.tfevents.*"))) or 0.0


LONGEST = 2**30
"""Bytes of an event."""


def _span(path: Path, root: Path) -> float:
    """Of one file, whose records are a length, its checksum, an event that begins with its time, and its checksum."""
    times = []
    try:
        with open_within(path, root) as file:
            while len(head := file.read(12)) == 12:
                (length,) = struct.unpack("<Q", head[:8])
                event = file.read(min(length, 9))
                if length > LONGEST or len(event) < 9 or event[:1] != b"\t":
                    break
                times.append(struct.unpack("<d", event[1:])[0])
                file.seek(length - len(event) + 4, os.SEEK_CUR)
    except (Missing, Unreadable):
        return 0.0
    return max(times) - min(times) if times else 0.0


def duration(seconds: float) -> str:
    """ "1 h 05 min", "3 min 20 s", "12 s"; "" for none."""
    if not 0 < seconds < 1e9:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def commands(run: Run, home: Path) -> str:
    """Commands on the run with a button that copies each, and its files; `home` is the page's folder."""
    place = shlex.quote(os.path.relpath(run.path) if run.path.is_relative_to(Path.cwd()) else str(run.path))
    lines = "".join(_command(name, f"python scripts/{text.format(run=place)}") for name, text in COMMANDS.items())
    return f'<details class="commands"><summary>Commands and files</summary>{lines}{_files(run, home)}</details>'


def _command(name: str, text: str) -> str:
    return (f'<div class="command"><span>{name}</span><code>{escape(text)}</code>'
            '<button type="button" class="copy">Copy</button></div>')


def _files(run: Run, home: Path) -> str:
    there = [link(run.path / name, home, what, " download") for name, what in FILES.items()
             if (run.path / name).is_file()]
    return f'<p class="files">Files: {" · ".join(there)}</p>' if there else ""
