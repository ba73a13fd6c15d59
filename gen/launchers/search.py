"""Searches the runs of a sweep for the best one with Optuna, a trial at a time; the search can go on at any time."""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gen import config as configs
from gen import sweeps
from gen.errors import UserError, nearest
from gen.figures.curves import is_number
from gen.launchers.options import Options, optional
from gen.run_folder import rows
from gen.signals import STOPPED, stopping
from gen.storage import lock

FOLDER = ".optuna"
"""Below the folder of the runs: the database of each search."""


class Space(NamedTuple):
    """What a trial chooses.

    Attributes:
      choices: name -> the texts of its values.
      runs: the choices' texts, in the order of `choices` -> number of the run.
    """

    choices: Mapping[str, tuple[str, ...]]
    runs: Mapping[tuple[str, ...], int]


def space(runs: Sequence[Mapping[str, Any]]) -> Space:
    """Returns the space of a sweep's overrides: a choice for each key that varies where they are a full grid.

    Of other sweeps the one choice is the number of the run.
    """
    texts = [{key: repr(value) for key, value in run.items()} for run in runs]
    keys = sorted({key for run in texts for key in run})
    values = {key: tuple(dict.fromkeys(run.get(key, "") for run in texts)) for key in keys}
    choices = {key: found for key, found in values.items() if len(found) > 1}
    grid = {tuple(run.get(key, "") for key in choices): i for i, run in enumerate(texts)}
    if grid.keys() == set(itertools.product(*choices.values())) and all(run.keys() == texts[0].keys() for run in texts):
        return Space(choices, grid)
    return Space({"run": tuple(map(str, range(len(runs))))}, {(str(i),): i for i in range(len(runs))})


def metric(text: str) -> tuple[str, str]:
    """Returns ("max", "elbo") for "max elbo"."""
    mode, _, name = text.partition(" ")
    if mode not in ("min", "max") or not name:
        raise UserError(f"--metric={text!r}: expected 'max METRIC' or 'min METRIC'.")
    return mode, name


def value(run: sweeps.Point, mode: str, name: str) -> float:
    """Returns the best value of an evaluation metric while the run trained; a UserError where it has none."""
    known, found = set(), []
    for _, row in rows(run.workdir):
        if row.get("kind") == "eval":
            known |= row.keys() - {"kind", "step"}
            found += [row[name]] if is_number(row.get(name)) else []
    finite = [value for value in found if math.isfinite(value)]
    if not found:
        raise UserError(f"--metric: {run.workdir} has no evaluation of {name!r}." + nearest(name, known))
    return float((max if mode == "max" else min)(finite, default=math.nan))


def search(sweep: sweeps.Sweep, options: Options) -> int:
    """Trains the runs that Optuna chooses until there have been `options.trials` trials in all; prints the best.

    Every trial is a run of the sweep, trained as the local launcher does; one that is done already costs nothing. The
    search is kept in a database: the same command goes on with the trial that was under way, and a search that was
    interrupted chooses as one that was not. Returns 0, 1 where a run failed, 75 where it stopped before.
    """
    optuna = optional("optuna", "optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mode, name = metric(options.metric or sweep.default.train.best)
    runs = [run for pack in sweep.packs for run in pack]
    candidates = space([run.overrides for run in runs])
    folder = sweep.folder / FOLDER / configs.experiment_name(sweep.spec) / configs.run_name(
        configs.split_spec(sweep.spec)[1], {**sweep.overrides, "sweep": sweep.name})
    with lock.exclusive(folder):
        study = optuna.create_study(
            storage=f"sqlite:///{folder.absolute()}/study.sqlite", study_name=_study_name(candidates, mode, name),
            direction="maximize" if mode == "max" else "minimize", load_if_exists=True)
        code = _trials(optuna, study, candidates, sweep, options, (mode, name))
        if code != STOPPED:
            _print_best(study, candidates, runs, name)
        return code


def _study_name(candidates: Space, mode: str, name: str) -> str:
    """Another space is another study: Optuna's choices cannot change."""
    digest = hashlib.sha256(json.dumps(candidates.choices).encode()).hexdigest()[:8]
    return f"{mode} {name} {digest}"


def _trials(optuna, study, candidates: Space, sweep: sweeps.Sweep, options: Options, wanted: tuple[str, str]
            ) -> int:
    stop, failed = stopping(options.minutes), {}
    while trial := _next(optuna, study, candidates, options.trials):
        number, params = trial
        k = candidates.runs.get(tuple(params.get(key, "") for key in candidates.choices))
        if k is None:  # killed between its choices
            study.tell(number, state=optuna.trial.TrialState.FAIL)
            continue
        run = sweep.packs[k][0]
        ended = sweeps.run([sweep.packs[k]], lambda _, k=k: sweep.command(k), stop)
        if ended.stopped:
            return STOPPED
        failed |= ended.failed
        reached = math.nan if ended.failed else value(run, *wanted)
        print(f"trial {number}: {wanted[1]} {reached:.6g}  {run.workdir}", flush=True)
        finite = math.isfinite(reached)
        study.tell(number, reached if finite else None, state=None if finite else optuna.trial.TrialState.FAIL)
    return sweeps.exit_code(sweeps.Ended(failed, False))


def _next(optuna, study, candidates: Space, n: int) -> tuple[int, dict[str, str]] | None:
    """The trial that is under way, or a new one, whose choices depend on those before it alone; None after n."""
    trials = study.get_trials(deepcopy=False)
    if under_way := [trial for trial in trials if not trial.state.is_finished()]:
        return under_way[0].number, under_way[0].params
    if len(trials) >= n:
        return None
    study.sampler = optuna.samplers.TPESampler(seed=len(trials))
    trial = study.ask({key: optuna.distributions.CategoricalDistribution(found)
                       for key, found in candidates.choices.items()})
    return trial.number, trial.params


def _print_best(study, candidates: Space, runs: Sequence[sweeps.Point], name: str) -> None:
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    if trials:
        best = study.best_trial
        run = runs[candidates.runs[tuple(best.params[key] for key in candidates.choices)]]
        shown = " ".join(f"--config.{key}={value}" for key, value in run.overrides.items())
        print(f"Best of {len(trials)} trials: {name} {best.value:.6g}, {shown}, {run.workdir}")
