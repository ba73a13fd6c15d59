"""A trained run as a folder to share: weights, config, a picture of samples, and a card that says what it is."""

import json
import re
from pathlib import Path

from gen.data import load
from gen.errors import UserError
from gen.figures import overview, sample_picture, scene
from gen.figures.grids import save_png
from gen.figures.leaderboard import newest
from gen.figures.meanings import meaning
from gen.figures.records import read_run
from gen.runs import Run
from gen.storage import record
from gen.storage.exchange import CARD, CONFIG, SAMPLES, WEIGHTS, write

IMAGES, POINTS = 64, 2_500
"""Samples of the picture."""

FILES = frozenset({WEIGHTS, CONFIG, CARD, SAMPLES})


def export(run: Run, out: Path, licence: str = "") -> Path:
    """Writes the run into the folder `out`, from which `gen.load` makes the same model, bit for bit.

    Args:
      run: a run that was read from its folder.
      out: made where it is missing; what an earlier export wrote there is replaced.
      licence: of the weights, as the Hub names licences ("cc-by-4.0"); "" leaves the field open.

    Raises a UserError where the folder holds anything else, or cannot be written.
    """
    check_licence(licence)
    if others := {path.name for path in out.iterdir()} - FILES if out.is_dir() else set():
        raise UserError(f"--out={out} holds {min(others)!r}: name a new folder, or that of an export.")
    write(out, run.state, record.read(run.workdir))
    save_png(_picture(run), out / SAMPLES)
    (out / CARD).write_text(card(run, out, licence), encoding="utf-8")
    return out


def check_licence(licence: str) -> None:
    """Raises a UserError for what cannot be the name of a licence."""
    if not re.fullmatch(r"[a-z0-9.+-]*", licence):
        raise UserError(f"--license={licence}: expected a name as apache-2.0, mit, cc-by-4.0 or other.")


def _picture(run: Run):
    if len(run.spec.shape) == 3:
        return sample_picture(run.sample(IMAGES), run.spec)
    data = load(run.config.data).test["x"][:POINTS]
    shown = scene(run.config, run.program.family.methods, run.state, data)
    return sample_picture(run.sample(POINTS), run.spec, **shown)


def card(run: Run, out: Path, licence: str) -> str:
    """The model card: what was trained on what, what it reached, how to use it, its whole config."""
    told = read_run(run.workdir, run.workdir.name)
    title = overview.kind(told) or "A generative model"
    facts = {"step": f"{run.step:,}", "data": f"{run.config.data.name}, {' x '.join(map(str, run.spec.shape))}",
             "trained on": str(told.record.get("machine", "")), "code": str(told.record.get("commit") or "")}
    lines = "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)
    scores = "\n".join(f"| {name} | {value:.6g} | {meaning(name).unit} |" for name, value in newest(told).items())
    return f"""---
{f"license: {licence}" if licence else "license: other"}
library_name: gen
tags: [jax, {run.config.family}]
---
# {title}

![Samples](samples.png)

| | |
| --- | --- |
{lines}

The weights are those of step {run.step:,}; the scores are those of the newest evaluation while it trained. A metric's
name says its protocol. {"" if licence else "No licence was named when this was exported: ask before you use it."}

| metric | value | unit |
| --- | ---: | --- |
{scores}

```python
import gen
run = gen.load("{out.name}")        # this folder, or hf://owner/name
samples = run.sample(16)
```

The config, as a run's `config.json` has it:

```json
{json.dumps(json.loads(json.dumps(told.record.get("config", {}))), indent=2)}
```
"""
