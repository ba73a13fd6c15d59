"""Commands on trained runs: samples, exports, curves, evaluations."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from absl import logging

from gen import config as configs
from gen import evaluation, exporting, runs
from gen.data import load
from gen.errors import UserError, lookup
from gen.evaluation import pictures
from gen.figures import sample_picture, scene
from gen.figures.against import against_picture
from gen.figures.curves import curve_picture
from gen.figures.grids import save_png
from gen.figures.records import group_by_config, read_runs, tell
from gen.files import place_within
from gen.measurement import writing
from gen.schema import complete
from gen.storage import exchange, hub, record
from gen.training import recorder
from gen.training.writers import jsonable

POINTS = 2_500
"""Examples of the data that a picture of points shows."""


def _samples(run: runs.Run, n: int, seed: int, label: str | None, interpolate: int, truncation: float | None):
    """The picture of samples, or of paths between samples."""
    if interpolate:
        samples = run.interpolate(n, interpolate, seed, label, truncation)
    else:
        samples = run.sample(n, seed, label, truncation)
    if len(run.spec.shape) == 3:
        return sample_picture(samples, run.spec, **({"rows": n} if interpolate else {}))
    data = load(run.config.data).test["x"][:POINTS]
    return sample_picture(samples, run.spec, **scene(run.config, run.program.family.methods, run.state, data))


def _is_png(out: str) -> None:
    if Path(out).suffix.lower() != ".png":
        raise UserError(f"--out={out}: the picture is a PNG; let its name end in .png.")


def sample(workdir: str, step: str | None, n: int, seed: int, out: str, label: str | None = None,
           interpolate: int = 0, kind: str = "samples", truncation: float | None = None) -> int:
    """Writes a picture of n samples of the run, or n paths of `interpolate` examples; of one label where it is given.

    Points are drawn over the data, with its density and the discriminator's field where they are known. Another `kind`
    than "samples" is one of `evaluation.pictures`. Where `out` is an npz file or a folder, it gets the samples one by
    one, as bytes.
    """
    if kind != "samples" and (interpolate or label is not None or truncation is not None):
        raise UserError(f"--kind={kind} is a picture of its own: leave --interpolate, --label and --truncation out.")
    if kind != "samples" or interpolate:
        _is_png(out)
    run = runs.load(workdir, checkpoint_step(step))
    if kind == "samples" and not interpolate and writing.is_export(out):
        writing.write(run, n, seed, label, out, truncation)
        print(out)
        return 0
    if kind == "samples":
        picture = _samples(run, n, seed, label, interpolate, truncation)
    else:
        subject = recorder.evaluation_subject(run.program, run.state, load(run.config.data), run.config)
        picture = lookup(pictures.draw(subject).pictures, kind, f"picture of a {run.config.family}")
    try:
        save_png(picture, out)
    except (OSError, ValueError) as e:
        raise UserError(f"--out={out}: cannot be written: {e}.") from e
    print(out)
    return 0


def export(workdir: str, step: str | None, out: str, licence: str, push: str | None, samples: int,
           decoded: int = 0) -> int:
    """Writes the run as a folder to share, and puts it on the Hub where `push` names a place there."""
    if push:
        hub.parse(hub.SCHEME + push)
    folder = exporting.export(runs.load(workdir, checkpoint_step(step)), Path(out), licence, samples, decoded)
    print(hub.upload(folder, push) if push else folder)
    return 0


def plot(folders: Sequence[str], metrics: Sequence[str] | None, out: str, log: bool, together: bool, against: str = ""
         ) -> int:
    """Writes a picture of the metrics of runs over steps, or against a key; runs that differ in the seed are one line.

    A folder of folders of runs, as a sweep has, stands for all of them.
    """
    _is_png(out)
    found = read_runs([each for folder in folders for each in _runs_in(Path(folder))])
    tell(found)
    if against:
        print(save_png(against_picture(found, against, metrics), out))
        return 0
    groups = group_by_config(found)
    rows = {label: [run.metrics for run in seeds] for label, seeds in groups.items()}
    print(save_png(curve_picture(rows, metrics, log=log, together=together), out))
    return 0


def _runs_in(folder: Path) -> list[Path]:
    if (folder / "config.json").exists():
        return [folder]
    if not (within := sorted(path.parent for path in folder.glob("*/config.json"))):
        raise UserError(f"--runs={folder} holds no run (there is no config.json in it, nor in the folders in it): name "
                        "the folder of a run, or of several; --runs once for each.")
    return within


def evaluate(workdir: str, step: str | None, overrides: configs.Overrides) -> int:
    """Evaluates the run, keeps the results in `evaluations.json` and prints them as the last line.

    `overrides` of the section `evaluators` add evaluators to those of the run's config, remove or change them, and
    those of `record.PLACE` say where its data are now. Results of other evaluators at the same step are kept. Where the
    folder cannot be written, and for an exported model, one that comes along or of the Hub, they are printed alone.
    """
    if others := [key for key in overrides if not key.startswith("evaluators.") and key not in record.PLACE]:
        raise UserError(f"--config.{others[0]}: a trained run takes overrides of --config.evaluators alone, "
                        "and --config.data.path.")
    run = runs.load(workdir, checkpoint_step(step))
    config = complete(run.config, overrides, begun=True)
    dataset = load(config.data)
    evaluation.check(config, dataset)
    evaluation.check_model(config, run.program.family.methods, dataset)
    results = {k: jsonable(v) for k, v in recorder.evaluate(run.program, run.state, dataset, config).items()}
    subject = recorder.evaluation_subject(run.program, run.state, dataset, config)
    kept = record.has_begun(Path(workdir)) and not exchange.exported(Path(workdir))
    with _or_warning():
        if kept:
            record.keep_evaluation(Path(workdir), {"step": run.step} | results)
    for name, options in config.evaluators.items():
        if kept and name in evaluation.PICTURES:
            shown = {k: v for k, v in options.items() if k not in ("samples", "every")}
            picture = evaluation.PICTURES[name](subject, **shown)
            with _or_warning():
                path = Path(workdir) / "evaluations" / f"{name}.png"
                print(save_png(picture, place_within(path, Path(workdir))))
    print(json.dumps({"step": run.step} | results))
    return 0


@contextmanager
def _or_warning() -> Iterator[None]:
    """What cannot be written inside is said, and no more."""
    try:
        yield
    except (OSError, UserError) as error:
        logging.warning("This is not kept: %s", error)


def checkpoint_step(text: str | None) -> int | str | None:
    """The step of a flag: a number, "best", or None for the newest. Raises a UserError for anything else."""
    if text is None or text == "best":
        return text
    if not text.isdecimal():
        raise UserError(f"--step={text}: expected a number or 'best'.")
    return int(text)
