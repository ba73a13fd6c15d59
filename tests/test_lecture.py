"""The lecture: each lesson's claim in a quick form, its commands, and the page."""

import shlex

import numpy as np
import pytest

from gen import config as configs
from gen import lecture
from gen.errors import UserError
from gen.schema import complete
from tests.environment import ROOT

QUICK = {
    "inverse_cdf": {"bound": 0.2, "train__steps": 1_200, "critic_steps": 2, "train__batch_size": 128},
    "monte_carlo": {},
    "kl_directions": {},
    "distances": {},
    "change_of_variables": {"steps": 1_000, "bound": 0.6},
    "optimal_discriminator": {"bound": 0.06, "train__steps": 400, "train__evaluate_every": 400,
                              "train__batch_size": 128},
    "mode_collapse": {"cures": ("R1",), "train__steps": 1_500},
    "dead_generator": {"train__steps": 500},
    "elbo_gap": {"left": 0.5, "train__steps": 1_200, "train__checkpoint_every": 400},
    "gradient_estimators": {"latents": (16, 64), "samples": 1_000},
    "posterior_collapse": {"train__steps": 1_000, "train__evaluate_every": 1_000},
    "blur": {"train__steps": 800},
    "diffusion": {"gap": 1.6, "train__steps": 1_000, "schedule__steps": 1_000},
}
"""What makes a lesson short; the claim stays, but for the bounds given here."""

SLOW = {"optimal_discriminator", "mode_collapse", "dead_generator", "posterior_collapse", "blur", "diffusion"}
TRAININGS = [(name, label) for name in lecture.LESSONS for label in getattr(lecture.read(name), "RUNS", {})]


def test_the_table_has_every_file_of_the_lecture():
    files = {path.stem for path in (ROOT / "experiments/lecture").glob("*.py")}
    assert files == lecture.LESSONS.keys() == QUICK.keys()


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
                                  for name in QUICK])
def test_the_claim_holds(name, tmp_path):
    module, quick = lecture.read(name), QUICK[name]
    lesson = module.run(tmp_path, **quick, **({"mesh__data": 1} if hasattr(module, "RUNS") else {}))
    assert lesson.holds, dict(lesson.numbers)
    assert np.isfinite(list(lesson.numbers.values())).all() and lesson.picture.std() > 0


@pytest.mark.parametrize("name,label", TRAININGS)
def test_the_command_of_a_training_is_its_config(name, label):
    training = lecture.read(name).RUNS[label]
    _, script, *arguments = shlex.split(training.command())
    spec, overrides, rest = configs.parse_argv([script, *arguments])
    assert spec == f"experiments/{training.experiment}" and rest == [script] and (ROOT / script).is_file()
    config = configs.load(str(ROOT / spec))
    assert complete(config, overrides) == complete(config, training.overrides)


def test_the_page_has_claims_functions_formulas_and_no_address_but_its_own(tmp_path):
    lessons = lecture.give(["kl_directions"], tmp_path)
    page = (tmp_path / "kl_directions.html").read_text()
    assert lessons["kl_directions"].holds and (tmp_path / "kl_directions.png").is_file()
    for text in ("<b>It holds.</b>", "gen.probability.divergences.kl", "python scripts/lecture.py --only=kl_directions",
                 "<pre>KL(p || q) = E_p[log p - log q]", "data:image/png;base64,"):
        assert text in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page


def test_an_unknown_lesson_is_a_user_error_with_the_nearest_name():
    with pytest.raises(UserError, match="inverse_cdf"):
        lecture.read("inverse_cfd")
