"""Optuna's search over a sweep, with runs that reach known values in place of trained ones."""

import json
import signal

import pytest

from gen import sweeps
from gen.config import chainit, product, sweep
from gen.errors import UserError
from gen.launchers import Options
from gen.launchers.search import search, space, value
from tests.environment import ROOT

pytest.importorskip("optuna")

LATENTS, HIDDEN = (2, 3, 4, 5, 6), ((4,), (8,), (8, 8))


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """A sweep of 15 runs; the metric is greatest at 5 latents and (8,). Signals stay with pytest."""
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    overrides = product([sweep("latents", LATENTS), sweep("encoder.hidden", HIDDEN)])
    config = sweeps.points(str(ROOT / "tests" / "tiny.py"), "two", {}, tmp_path)[0].config
    packs = [[sweeps.Point(run, config, tmp_path / f"{run['latents']}-{len(run['encoder.hidden'])}"
                           f"-{run['encoder.hidden'][0]}")] for run in overrides]
    return sweeps.Sweep("vae/tiny.py", "", {}, tmp_path, packs, ("sweep",), config)


def trained(log, at_most=1_000):
    """A stand-in for `sweeps.run` that writes down what it trained, and is stopped after so many runs."""
    def run(packs, command, stop):
        if len(log) >= at_most:
            return sweeps.Ended({}, True)
        (point,), = packs
        latents, hidden = point.overrides["latents"], point.overrides["encoder.hidden"]
        log.append((latents, hidden))
        if latents == 6:
            return sweeps.Ended({point.workdir: "no luck"}, False)
        point.workdir.mkdir(exist_ok=True)
        best = -abs(latents - 5) - abs(len(hidden) - 1) - abs(hidden[0] - 8)
        rows = [{"kind": "eval", "step": step, "elbo": best - abs(8 - step)} for step in (4, 8, 12)]
        (point.workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return sweeps.Ended({}, False)
    return run


@pytest.mark.slow
def test_the_search_finds_the_best_run_and_goes_on_where_it_was_stopped(grid, monkeypatch, capsys, tmp_path):
    options, whole, first, second = Options(metric="max elbo", trials=20), [], [], []
    monkeypatch.setattr(sweeps, "run", trained(whole))
    assert search(grid._replace(name="whole"), options) == 1  # the runs of 6 latents failed
    assert capsys.readouterr().out.splitlines()[-1].endswith(
        f"elbo 0, --config.latents=5 --config.encoder.hidden=(8,), {tmp_path}/5-1-8")
    monkeypatch.setattr(sweeps, "run", trained(first, at_most=8))
    assert search(grid, options) == 75
    monkeypatch.setattr(sweeps, "run", trained(second))
    assert search(grid, options) == 1
    assert len(whole) == 20 and first + second == whole
    assert search(grid, options) == 0 and first + second == whole


def test_a_grid_is_searched_by_its_axes_and_other_sweeps_by_their_runs():
    seeds, rates = sweep("seed", range(2)), sweep("lr", (0.1, 0.2, 0.3))
    assert space(product([seeds, rates, sweep("beta", (1.0,))])).choices == {
        "lr": ("0.1", "0.2", "0.3"), "seed": ("0", "1")}
    assert space(chainit([seeds, rates])).choices == {"run": ("0", "1", "2", "3", "4")}
    assert space(product([seeds, rates])[:5]).choices == {"run": ("0", "1", "2", "3", "4")}
    grid = product([seeds, rates])
    assert [space(grid).runs[repr(run["lr"]), repr(run["seed"])] for run in grid] == list(range(6))


def test_the_value_is_the_best_evaluation(grid, monkeypatch):
    trained([])([grid.packs[0]], None, None)
    (run,) = grid.packs[0]
    assert value(run, "max", "elbo") == -3 - 4 and value(run, "min", "elbo") == -3 - 4 - 4
    with pytest.raises(UserError, match="no evaluation of 'elob'. Did you mean 'elbo'"):
        value(run, "max", "elob")


def test_a_metric_without_a_mode_is_one_line(grid):
    with pytest.raises(UserError, match="expected 'max METRIC' or 'min METRIC'"):
        search(grid, Options(metric="elbo"))
