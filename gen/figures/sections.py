"""The parts of a report's body as HTML; every text that comes from a run passes through `escape`."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gen.estimates import estimate
from gen.figures.animation import spread
from gen.figures.curves import is_number, metric_names
from gen.figures.html import data_uri, escape, shown, table
from gen.figures.looks import Groups, looks
from gen.figures.meanings import GROUPS, meaning
from gen.figures.records import Run, furthest
from gen.run_folder import Rows

FRAMES = 60  # sample pictures of a run that are embedded, evenly spread, the first and the last always
PICTURED = 4  # runs; of more, only the first of each group has its pictures embedded
MOST_PICTURED = 40  # groups that have pictures
SLIDER = ('<div class="controls"><button id="play" type="button">Play</button>'
          '<input id="step" type="range" min="0" max="0" value="0" aria-label="training step">'
          '<output id="step-value"></output></div>')





def pictured(runs: Sequence[Run], groups: Groups) -> dict[int, Run]:
    """The runs whose pictures are embedded, by their place among all: every run, or one of each group if many."""
    first = [members[0].path for members in groups.values()][:MOST_PICTURED]
    chosen = set(first) if len(runs) > PICTURED else {run.path for run in runs}
    return {i: run for i, run in enumerate(runs) if run.path in chosen}


def frames(run: Run, runs: int = 1) -> list[int]:
    """The steps whose sample pictures are embedded, the fewer the more `runs` have some."""
    steps = list(run.samples)
    wanted = spread(len(steps), max(1, min(FRAMES, 2 * FRAMES // max(1, runs))))
    return [steps[i] for i in wanted] if len(wanted) > 1 else steps[-1:]


def overview(runs: Sequence[Run], groups: Groups) -> str:
    """A row per run: what it is, how far it is, and the colour of its line."""
    look_of = {run.path: look for look, members in zip(looks(groups), groups.values(), strict=True) for run in members}
    marks = [f'<i class="swatch {look_of[run.path].classes}"></i>' if len(groups) > 1 else "" for run in runs]
    return table([_facts(run) for run in runs], marks)


def _facts(run: Run) -> dict:
    spec = run.record.get("spec")
    shape = spec.get("shape") if isinstance(spec, dict) else None
    return {
        "run": run.name,
        "family": run.config.get("family", ""),
        "data": run.config.get("data.name", ""),
        "example": " × ".join(map(str, shape)) if isinstance(shape, list) else "",
        "seed": run.config.get("seed", ""),
        "step": run.last_step,
        "of": run.config.get("train.steps", ""),
        "finished": "yes" if run.finished else "no",
        "commit": str(run.record.get("commit") or "")[:10],
    }


def notes(runs: Sequence[Run]) -> str:
    """What is missing or broken, a line for each run that has something to say."""
    said = [(run, run.notes + _absent(run)) for run in runs]
    items = [f"<li><b>{escape(run.name)}</b>: {escape('; '.join(texts))}.</li>" for run, texts in said if texts]
    return f'<ul class="notes">{"".join(items)}</ul>' if items else ""


def _absent(run: Run) -> list[str]:
    return ([] if run.metrics else ["metrics.jsonl has no rows"]) + (
        [] if run.samples else ["there are no sample pictures"])


def samples(runs: Mapping[int, Run], total: int) -> str:
    """Pictures of the last step, which the script lets the slider change, and the real examples beside them.

    `runs`: those with pictures, by their place among all, of which there are `total`.
    """
    figures = [_sample_figure(i, run, len(runs), total > 1) for i, run in runs.items() if run.samples]
    real = {data_uri(run.real, run.path): run for run in runs.values() if run.real}
    figures += [_real(uri, run) for uri, run in real.items()]
    if not figures:
        return ""
    some = f"<p>One run of each config; {total} runs in all.</p>" if len(runs) < total else ""
    return f'{some}{SLIDER if any(run.samples for run in runs.values()) else ""}{_pictures(figures)}'


def _real(uri: str, run: Run) -> str:
    name = escape(run.config.get("data.name", run.name))
    return _figure(f'<img src="{uri}" alt="real examples">', f"{name} <span>real examples</span>")


def picture_rows(runs: Mapping[int, Run], total: int) -> str:
    """As `samples`, but a row for each run, with its further pictures beside its samples."""
    rows = []
    for i, run in runs.items():
        figures = [_sample_figure(i, run, len(runs), True)] if run.samples else []
        figures += [_figure(_image(path, run, f"{name} of {run.name}"), f"<span>{escape(name)}</span>")
                    for name, path in run.pictures.items()]
        rows += [f'<div class="row">{"".join(figures)}</div>'] if figures else []
    real = {data_uri(run.real, run.path): run for run in runs.values() if run.real}
    rows += [f'<div class="row">{_real(uri, run)}</div>' for uri, run in real.items()]
    some = f"<p>One run of each config; {total} runs in all.</p>" if len(runs) < total else ""
    slider = SLIDER if any(run.samples for run in runs.values()) else ""
    return f'{some}{slider}{"".join(rows)}' if rows else ""


def folded(heading: str, body: str, open_: bool = False) -> str:
    """A part of a page that opens when its heading is clicked; "" without a body."""
    return f'<details{" open" if open_ else ""}><summary>{heading}</summary>{body}</details>' if body else ""


def _pictures(figures: Sequence[str]) -> str:
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def _sample_figure(i: int, run: Run, runs: int, named: bool) -> str:
    steps = frames(run, runs)
    image = _image(run.samples[steps[-1]], run, f"samples of {run.name}", f'data-run="{i}" ')
    thinned = f" · {len(steps)} of {len(run.samples)} pictures" if len(steps) < len(run.samples) else ""
    step = f'<span>step <output data-step="{i}">{steps[-1]:,}</output>{thinned}</span>'
    return _figure(image, f"{escape(run.name) if named else 'samples'} {step}")


def _image(path: Path, run: Run, alt: str, attributes: str = "") -> str:
    return f'<img {attributes}src="{data_uri(path, run.path)}" alt="{escape(alt)}">'


def _figure(image: str, caption: str) -> str:
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def curves(runs: Sequence[Run], groups: Groups) -> str:
    """The controls and the places of the charts by groups of metrics, which the script draws where one is open."""
    names = dict.fromkeys(name for run in runs for name in metric_names(run.metrics))
    if not names:
        return ""
    kinds = {row.get("kind") for run in runs for row in run.metrics}
    legend = ["Lines: training; points: evaluation on test data."] if {"train", "eval"} <= kinds else []
    if any(len(members) > 1 for members in groups.values()):
        legend += ["A line is the mean over seeds, its band reaches from the least to the greatest seed."]
    there = [group for group in GROUPS if any(meaning(name).group == group for name in names)]
    opened = there if len(groups) == 1 else there[:1]
    charts = "".join(folded(group, f'<div class="charts" data-group="{group}"></div>', group in opened)
                     for group in there)
    return f"""<p>{" ".join(legend)}</p><div id="legend" class="legend"></div><div class="controls">
<label>Smoothing <input id="smoothing" type="range" min="0" max="0.99" step="0.01" value="0"></label>
<label><input id="log" type="checkbox"> log scale of all</label>
<label><input id="outliers" type="checkbox" checked> scale ignores outliers, marked at the edge</label></div>
<div id="charts">{charts}<noscript>Curves need scripts.</noscript></div>"""


def evaluations(runs: Sequence[Run], groups: Groups) -> str:
    """evaluations.json of all runs as one table, the newest evaluation during training, and its means over seeds."""
    last = [run.last_evaluation for run in runs]
    parts = [table(_evaluation_rows(runs, [run.evaluations for run in runs]))]
    if any(last) and len(groups) < len(runs):
        parts.append(f"<h3>Mean ± standard error over seeds, last evaluation</h3>{table(_means(groups))}")
    if any(last):
        step = f" (step {last[0]['step']:,})" if len(runs) == 1 else ""
        if len(runs) == 1:
            rows = _upright({name: value for name, value in last[0].items() if name != "step"})
        else:
            rows = [{"run": run.name, **row} for run, row in zip(runs, last, strict=True) if row]
        parts.append(f"<h3>Last evaluation during training{step}</h3>{table(rows)}")
    return "".join(parts)


def _means(groups: Groups) -> Rows:
    """A row per group: how many seeds have come furthest, and the estimate of each metric there."""
    rows = []
    for label, members in groups.items():
        last = [run.last_evaluation for run in furthest(members)]
        names = [name for name in metric_names(last) if all(is_number(row.get(name)) for row in last)]
        rows.append({"runs": label, "seeds": len(last)} | {n: estimate([row[n] for row in last]) for n in names})
    return rows


def _upright(row: dict) -> Rows:
    return [{"metric": name, "value": value} for name, value in row.items()]


def _evaluation_rows(runs: Sequence[Run], tables: Sequence[Rows]) -> Rows:
    """Where several runs have {metric: value}, a row is a run and a column a metric; one wide row becomes a column."""
    if len(runs) == 1:
        return _upright(tables[0][0]) if len(tables[0]) == 1 and "metric" not in tables[0][0] else tables[0]
    if all(set(row) == {"metric", "value"} for rows in tables for row in rows):
        tables = [[{str(row["metric"]): row["value"] for row in rows}] if rows else [] for rows in tables]
    return [{"run": run.name, **row} for run, rows in zip(runs, tables, strict=True) for row in rows]




def manifolds(runs: Collection[Run]) -> str:
    """Latent manifolds, with a place for the tile under the pointer."""
    return "".join(
        f'<div class="manifold" data-manifold="{i}">{_manifold_figure(run)}'
        '<aside><div class="tile"></div><output>Move over the manifold to see a tile.</output></aside></div>'
        for i, run in enumerate(run for run in runs if run.manifold)
    )


def _manifold_figure(run: Run) -> str:
    image = _image(run.path / "manifold.png", run, f"decoded latent manifold of {run.name}")
    return _figure(image, escape(run.name))


def pictures(runs: Collection[Run]) -> str:
    """Reconstructions, traversals and whatever else a run's folder `pictures` holds."""
    return _pictures([_figure(_image(path, run, f"{name} of {run.name}"),
                              f"{escape(run.name) if len(runs) > 1 else ''} <span>{escape(name)}</span>")
                      for run in runs for name, path in run.pictures.items()])


def configs(runs: Sequence[Run], groups: Groups) -> str:
    """Keys by rows, groups by columns. Marked: values other than the default, and rows in which runs differ."""
    keys = list(dict.fromkeys(key for run in runs for key in run.config))
    if not keys:
        return ""
    keys.sort(key=lambda key: not _marked(key, runs))
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in groups)
    body = "".join(_config_row(key, groups) for key in keys)
    comparable = len(runs) > 1 or any(run.default for run in runs)
    first = len(groups) > 1  # of several configs what they share is of less interest
    only = (f'<div class="controls"><label><input id="only" type="checkbox"{" checked" if first else ""}> '
            'only what differs</label></div>')
    config = f'<table><thead><tr><th scope="col">key</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    kind = "scroll config only" if first else "scroll config"
    return f'{only if comparable else ""}<div class="{kind}">{config}</div>{_versions(runs)}'


def _config_row(key: str, groups: Groups) -> str:
    cells, runs = "".join(_config_cell(key, m) for m in groups.values()), [run for m in groups.values() for run in m]
    return f'<tr{" class=differs" if _marked(key, runs) else ""}><th scope="row">{escape(key)}</th>{cells}</tr>'


def _marked(key: str, runs: Sequence[Run]) -> bool:
    """Whether runs differ in the key, or one of them from its default."""
    differ = len({json.dumps(run.config.get(key), default=str) for run in runs}) > 1
    return differ or any(_changed(key, run) for run in runs)


def _config_cell(key: str, members: Sequence[Run]) -> str:
    """The value, the same in all members of a group but for the seeds, which are listed."""
    values = dict.fromkeys(shown(run.config[key]) if key in run.config else "–" for run in members)
    text, run = escape(", ".join(values)), next((run for run in members if _changed(key, run)), None)
    if run is None:
        return f"<td>{text}</td>"
    return f'<td class="changed">{text}<small>default {escape(shown(run.default.get(key)))}</small></td>'


def _changed(key: str, run: Run) -> bool:
    return bool(run.default) and run.config.get(key) != run.default.get(key)


def _versions(runs: Sequence[Run]) -> str:
    found = [run.record.get("versions") for run in runs]
    pairs = dict.fromkeys((name, shown(v)) for part in found if isinstance(part, dict) for name, v in part.items())
    text = " · ".join(f"{name} {version}" for name, version in pairs)
    return f'<p class="versions">{escape(text)}</p>' if text else ""
