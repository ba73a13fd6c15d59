"""Every displayed formula of the lecture says what the library computes."""

import numpy as np
import pytest

from gen import lecture
from gen.lecture import markdown
from tests.lecture.formulas import (
    diffusion_formulas,
    divergence_formulas,
    flow_formulas,
    gan_formulas,
    joint_formulas,
    probability_formulas,
    sampling_formulas,
)
from tests.lecture.latex import evaluate
from tests.lecture.vae_formulas import deeper_formulas, failure_formulas, hierarchy_formulas, vae_formulas

PARTS = (probability_formulas, joint_formulas, sampling_formulas, flow_formulas, divergence_formulas, gan_formulas,
         vae_formulas, deeper_formulas, hierarchy_formulas, failure_formulas, diffusion_formulas)
"""Functions to (chapter, formula, formula -> (its value, the library's[, error])) of each."""


def shown() -> set[tuple[str, str]]:
    """(chapter, formula) of all pages."""
    return {(name, formula) for name in lecture.LESSONS
            for formula in markdown.formulas(markdown.text(lecture.read(name)))}


def test_the_table_has_the_formulas_of_the_pages_letter_for_letter():
    table = {(name, " ".join(latex.split())) for part in PARTS for name, latex, _ in part()}
    assert shown() - table == set() and table - shown() == set()


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_formulas_are_what_the_library_computes(part):
    for name, latex, check in part():
        formula, library, *error = check(latex)
        within = {"rtol": 0, "atol": error[0]} if error else {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(np.float64(formula), np.float64(library), err_msg=f"{name}: {latex}", **within)


@pytest.mark.parametrize("latex,value", [
    (r"y = -\frac{a^2 + 1}{2 b} - \log a", -10 / 2 - np.log(3)), (r"\sigma(a b) \, b", 4.0),
    ("1 - (a - b) - a / 2", -2.5),
    (r"\sqrt{\frac{a b}{3}}", 1.0), (r"|b - a| a", 6.0), (r"\min(a / b, 1), \qquad z", 1.0)])
def test_formulas_are_read_as_they_are_written(latex, value):
    assert evaluate(latex, a=3.0, b=1.0, sigma=lambda x: x + 1) == pytest.approx(value)


@pytest.mark.parametrize("wrong", [r"\dot{\theta} = -\sigma(\psi \theta) \, \psi",
                                   r"\dot{\theta} = \sigma(\psi \theta) \, \theta"])
def test_a_turned_sign_or_another_letter_is_seen(wrong):
    (check,) = (check for _, latex, check in gan_formulas() if latex == r"\dot{\theta} = \sigma(\psi \theta) \, \psi")
    formula, library = check(wrong)
    assert not np.isclose(formula, library, rtol=0.01)
