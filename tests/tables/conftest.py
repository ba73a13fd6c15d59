"""A made-up experiment with a table, and runs of it that were never trained."""

import json

import pytest

from gen import config as configs
from gen import tables

EXPERIMENT = '''
from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

TABLES = {
    "toy": Table(
        title="Modes | of_a <ring> & 5 %",
        source="Nobody 2020, Table 1 (seen)",
        rows={"GAN_1": {"packing": 1}, "Pac|2": {"packing": 2}, "Pac3": {"packing": 3}},
        metrics={
            "modes": Metric("modes / 8", digits=1), "high_quality": Metric("good (%)", 100),
            "nll_5k": Metric("NLL", -1, instead={"cpu": "nll_500"}),
        },
        published={"GAN_1": {"modes": (6.5, 0.3), "nll_5k": (2.0, None)}, "Pac3": {"modes": (7.0, 0.1)}},
        seeds={"cpu": 3, "full": 5},
        protocols={"cpu": "cpu", "full": ""},
        differences={"cpu": "20 steps in place of 40.", "full": "none."},
        omitted={"cpu": ("Pac3",)},
        variants={"Pac|2": {"cpu": "wide", "full": ""}},
    ),
}


def get_config(variant=""):
    full = ConfigDict({
        "family": "gan", "data": {"name": "ring"}, "latents": 2, "packing": 1,
        "generator": {"name": "mlp"}, "discriminator": {"name": "mlp"}, "loss": {"name": "non_saturating"},
        "generator_optimizer": {"name": "adam"}, "discriminator_optimizer": {"name": "adam"},
        "evaluators": {"modes": {}},
        "train": {"steps": 40, "batch_size": 8, "log_every": 10, "evaluate_every": 10, "sample_every": 0,
                  "checkpoint_every": 0},
    })
    return choose(variant, {"": full, "cpu": {"train.steps": 20}, "wide": {"train.steps": 20, "latents": 9}})


def get_sweep(name=""):
    return sweep_of(TABLES, name)
'''


@pytest.fixture
def entry(tmp_path):
    """The made-up table."""
    path = tmp_path / "experiments" / "gan" / "toy.py"
    path.parent.mkdir(parents=True)
    path.write_text(EXPERIMENT)
    return tables.collect(tmp_path / "experiments")["toy"]


@pytest.fixture
def finish():
    """The function (point, evaluation, **record) that writes the folder of a finished run."""
    return _finish


def _finish(point, evaluation, **record):
    steps = point.config.train.steps
    point.workdir.mkdir(parents=True)
    described = {"config": json.loads(configs.to_json(point.config)), "commit": "c0ffee", "machine": "abacus"}
    (point.workdir / "config.json").write_text(json.dumps(described | record))
    rows = [{"step": 10, "kind": "eval", "modes": 99.0}, {"step": steps, "kind": "eval"} | evaluation,
            {"step": steps, "kind": "train", "modes": 77.0}]
    (point.workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (point.workdir / "DONE").write_text(json.dumps({"step": steps}))


@pytest.fixture
def filled(entry, finish, tmp_path):
    """(table, folder): GAN_1 has three seeds, Pac|2 one of three; a further run of it has another config."""
    folder = tmp_path / "runs"
    points = tables.points(entry, "cpu", None, folder)
    for point, modes in zip(points["GAN_1"], (5.0, 6.0, 10.0), strict=True):
        finish(point, {"modes": modes, "high_quality": modes / 100, "nll_500": -2.5, "modes_real": 8.0})
    first, second, _ = points["Pac|2"]
    finish(first, {"modes": 8.0, "high_quality": "Infinity"})
    finish(second._replace(config=first.config), {"modes": 1.0})
    return entry, folder
