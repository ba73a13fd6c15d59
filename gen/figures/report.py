"""One self-contained HTML file for one or several runs: it opens from disk and loads nothing from anywhere."""

import base64
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from gen.errors import UserError
from gen.figures import keyplot, leaderboard, looks, overview, sections
from gen.figures.animation import spread
from gen.figures.curves import Band, bands, metric_names
from gen.figures.html import data_uri, escape
from gen.figures.looks import Groups
from gen.figures.meanings import meaning, of_real, references
from gen.figures.records import Run, group_by_config, read_runs
from gen.figures.sections import folded, frames
from gen.files import write_atomically

POINTS = 1000  # points of a curve that are embedded, evenly spread, the first and the last always
ALL_POINTS = 20_000  # of all curves of a metric; each has at least a hundredth of `POINTS`


def write_report(
    run_dirs: Sequence[str | os.PathLike], path: str | os.PathLike, title: str = "",
    groups: Mapping[str, Sequence[str | os.PathLike]] | None = None,
) -> Path:
    """Writes the report of one or several runs as one HTML file and returns its path.

    Of runs of one family on one data set whose configs differ, a table of the configs stands first, the best on top,
    and a drawing of their metric against the keys that differ. Of each run folder the report shows what there is of
    config.json (keys that differ between runs, or from the config under "default" where the file has one, are marked),
    metrics.jsonl (curves; runs whose configs differ only in `seed` are one line with a band), samples/<step>.png (a
    slider over steps), samples/real.png, evaluations.json (a list of rows or a dict of metrics; sortable), manifold.png
    with manifold.json (the decoded tile under the pointer), pictures/*.png.
    Of more than 4 runs only the first of each config has its pictures embedded, of at most 40 configs, so that a
    sweep's report stays small. What is missing or unreadable is named in the report.

    Args:
      run_dirs: the runs' folders; those of `groups` where that is given.
      path: the file to write.
      title: of the page; by default the run's name, or how many there are.
      groups: label -> folders of its seeds, in place of the groups of equal configs and of the runs' paths as names.

    Raises:
      UserError: no run, or a folder that does not exist.
    """
    run_dirs = [folder for folders in groups.values() for folder in folders] if groups else run_dirs
    missing = [str(run_dir) for run_dir in run_dirs if not Path(run_dir).is_dir()]
    if missing or not run_dirs:
        raise UserError(f"A report needs existing run folders; not found: {', '.join(missing) or 'none was named'}.")
    runs = read_runs(run_dirs)
    path = Path(path)
    named = _labelled(runs, groups) if groups else looks.relabelled(runs, group_by_config(runs))
    text = page(*named, title, path.absolute().parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    return path


def _labelled(runs: Sequence[Run], groups: Mapping[str, Sequence]) -> tuple[list[Run], Groups]:
    """The runs with names made of labels and seeds, and their groups; `runs` are in the order of `groups`."""
    left, named = list(runs), {}
    for label, n in ((label, len(folders)) for label, folders in groups.items()):
        members = [run._replace(name=f"{label}, seed {run.config.get('seed', '?')}") for run in left[:n]]
        left, named[f"{label}, {n} seeds" if n > 1 else label] = left[n:], members
    return [run for members in named.values() for run in members], named


def page(runs: Sequence[Run], groups: Groups, title: str, home: Path) -> str:
    """The whole document of a report that is to lie in the folder `home`."""
    script = (f'<script type="application/json" id="payload">{embedded_json(_payload(runs, groups))}</script>'
              f'<script>{_asset("report.js")}</script>')
    if len(runs) == 1:
        header = overview.tiles(runs[0]) + overview.commands(runs[0], home)
    else:
        header = "" if looks.comparable(groups) else sections.overview(runs, groups)
    body = _sweep(runs, groups, home) if looks.comparable(groups) else _body(runs, groups)
    return document(title or overview.title(runs), {name: html for name, html in body.items() if html},
                    header + sections.notes(runs), script, looks.style(looks.looks(groups)))


def document(title: str, body: Mapping[str, str], header: str = "", script: str = "", style: str = "") -> str:
    """A page of sections, heading to HTML, with links to them; `header` is below its title, `style` adds CSS.

    Scripts run only if they are the report's own: its hash is in the content policy.
    """
    digest = base64.b64encode(hashlib.sha256(_asset("report.js").encode()).digest()).decode()
    policy = ("default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; "
              f"script-src 'sha256-{digest}'")
    title = escape(title)
    links = "".join(f'<a href="#{_anchor(name)}">{name}</a>' for name in body)
    parts = "".join(f'<section id="{_anchor(name)}"><h2>{name}</h2>{html}</section>' for name, html in body.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<style>{_asset("report.css")}{style}</style></head><body>
<nav><b>{title}</b>{links}</nav>
<main><header><h1>{title}</h1>{header}</header>{parts}</main>
{script}</body></html>
"""


def embedded_json(value) -> str:
    """JSON for a script element: every "<" is written as \\u003c, so that no tag can begin or end; NaN is null."""
    return json.dumps(_finite(value), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sweep(runs: Sequence[Run], groups: Groups, home: Path) -> dict[str, str]:
    """Heading -> HTML of runs that can be compared: which is best, why, and all else folded."""
    pictured, board = sections.pictured(runs, groups), leaderboard.board(groups)
    latent = sections.manifolds(pictured.values())
    return {
        "Leaderboard": leaderboard.html(board, home) + keyplot.plot(board),
        "Curves": sections.curves(runs, groups),
        "Samples": folded("Samples and other pictures, a row for each config",
                          sections.picture_rows(pictured, len(runs))),
        "Evaluations": folded("Every evaluation of every run", sections.evaluations(runs, groups)),
        "Latent space": folded("Decoded latents", latent),
        "Config": sections.configs(runs, groups),
        "Runs": folded("How far each run is", sections.overview(runs, groups)),
    }


def _body(runs: Sequence[Run], groups: Groups) -> dict[str, str]:
    """Heading -> HTML of one run, of its seeds, or of runs that cannot be compared."""
    pictured = sections.pictured(runs, groups)
    return {
        "Samples": sections.samples(pictured, len(runs)),
        "Curves": sections.curves(runs, groups),
        "Evaluations": sections.evaluations(runs, groups),
        "Latent space": sections.manifolds(pictured.values()) + sections.pictures(pictured.values()),
        "Config": sections.configs(runs, groups),
    }


def _asset(name: str) -> str:
    return resources.files("gen.figures").joinpath("assets", name).read_text(encoding="utf-8")


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _payload(runs: Sequence[Run], groups: Groups) -> dict:
    """What the script draws: curves by metric, sample pictures by run, layouts of manifolds."""
    names = list(dict.fromkeys(name for run in runs for name in metric_names(run.metrics)))
    pictured = sections.pictured(runs, groups)
    return {
        "groups": list(groups),
        "looks": [look.classes for look in looks.looks(groups)],
        "curves": [_curve(name, runs, groups) for name in names if not of_real(name, names)],
        "samples": [_frames(run, len(pictured)) if i in pictured else [] for i, run in enumerate(runs)],
        "manifolds": [run.manifold for run in pictured.values() if run.manifold],
    }


def _frames(run: Run, runs: int) -> list[list]:
    return [[step, data_uri(run.samples[step], run.path)] for step in frames(run, runs)]


def _curve(name: str, runs: Sequence[Run], groups: Groups) -> dict:
    """A metric with its meaning, its lines, and the values to hold it against where they are the same for all runs."""
    known = meaning(name)
    held = [references(name, run.config, run.last_evaluation) for run in runs]
    marks = [{"value": value, "label": label} for value, label in held[0]] if held.count(held[0]) == len(held) else []
    return {"metric": name, "section": known.group, "unit": known.unit, "about": known.about, "references": marks,
            "lines": _lines(name, groups)}


def _lines(name: str, groups: Groups) -> list[dict]:
    most = max(POINTS // 100, min(POINTS, ALL_POINTS // len(groups)))
    return [
        {"group": i, "kind": kind, **_thinned(curve, most)}
        for i, members in enumerate(groups.values())
        for kind, curve in bands([run.metrics for run in members], name).items()
    ]


def _thinned(curve: Band, most: int) -> dict:
    keep = spread(len(curve.steps), most)
    names = ("mean", "low", "high") if curve.seeds > 1 else ("mean",)
    values = {k: [float(f"{v:.6g}") for v in getattr(curve, k)[keep]] for k in names}
    return {"seeds": curve.seeds, "steps": curve.steps[keep].tolist(), **values}
