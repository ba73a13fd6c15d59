"""The value of the game on the line: scipy's quadrature of known densities, and what no discriminator can beat."""

from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import integrate, stats
from scipy.special import rel_entr

from gen.data import load
from gen.errors import UserError
from gen.evaluation import Subject, optimal

DATA = {"name": "line", "modes": 2, "spacing": 2.0, "std": 0.5, "examples": 10, "test_examples": 10}


def subject(decode, discriminate, **changes):
    """A run whose generator and logits are these functions of [n 1] arrays."""
    config = ConfigDict({"family": "gan", "data": DATA, "latents": 1, "packing": 1, "instance_noise": 0.0,
                         "latent_distribution": "normal", "codes": {"categorical": (), "continuous": 0},
                         "generator_statistics": "averaged", "generator": {"batch_norm": True}} | changes)
    methods = {"decode": lambda state, z: decode(z), "discriminate": lambda state, x: discriminate(x)}
    return Subject(None, load(config.data), config, SimpleNamespace(), methods)


def p(x):
    """The data's density."""
    return (stats.norm.pdf(x, -1, 0.5) + stats.norm.pdf(x, 1, 0.5)) / 2


def best(q, x):
    """The logits of the best discriminator, log p - log q, finite where a density is 0."""
    x = np.float64(x)[:, 0]
    return np.log(p(x) + 1e-300) - np.log(q(x) + 1e-300)


def jsd(q):
    """By scipy's quadrature, piece by piece."""
    def integrand(x):
        m = (p(x) + q(x)) / 2
        return (rel_entr(p(x), m) + rel_entr(q(x), m)) / 2

    return sum(integrate.quad(integrand, a, b)[0] for a, b in pairwise([-250, -50, *range(-12, 13), 50, 250]))


GENERATORS = {
    "scaled": (lambda z: 0.3 - 0.8 * z, partial(stats.norm.pdf, loc=0.3, scale=0.8)),
    "sinh": (np.sinh, lambda x: stats.norm.pdf(np.arcsinh(x)) / np.sqrt(1 + x**2)),  # by the change of variables
    "folded": (lambda z: np.abs(z), lambda x: 2 * stats.norm.pdf(x) * (x > 0)),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_the_best_discriminator_reaches_the_optimal_value(name):
    """Its gap is 0 and the value is 2 JSD - log 4 by scipy's quadrature, also where the map is not monotone."""
    decode, q = GENERATORS[name]
    found = optimal.optimal_discriminator(subject(decode, partial(best, q)))
    assert found["jsd"] == pytest.approx(jsd(q), abs=5e-6)
    assert found["optimal_value"] == pytest.approx(2 * found["jsd"] - np.log(4))
    assert 0 <= found["gap"] < 1e-3


def test_an_undecided_discriminator_has_minus_log_4_and_every_other_less_than_the_best():
    decode, q = GENERATORS["scaled"]
    undecided = optimal.optimal_discriminator(subject(decode, lambda x: np.zeros(len(x))))
    assert undecided["value"] == pytest.approx(-np.log(4), abs=1e-6)
    shifted = optimal.optimal_discriminator(subject(decode, lambda x: best(q, x) + 0.5))
    assert undecided["gap"] > shifted["gap"] > 1e-3


def test_the_datas_own_generator_has_no_divergence():
    data = DATA | {"modes": 1}
    found = optimal.optimal_discriminator(subject(lambda z: 0.5 * z, lambda x: np.zeros(len(x)), data=data))
    assert found["jsd"] == pytest.approx(0, abs=1e-6) and found["gap"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("changes", [
    {"packing": 2}, {"latents": 2}, {"codes": {"categorical": (), "continuous": 1}}, {"generator_statistics": "batch"},
    {"data": {"name": "ring", "std": 0.1, "examples": 9, "test_examples": 9}}])
def test_other_games_are_user_errors(changes):
    with pytest.raises(UserError, match="optimal_discriminator needs"):
        optimal.optimal_discriminator(subject(lambda z: z, lambda x: x[:, 0], **changes))


def test_the_picture_has_both_densities_and_both_discriminators():
    decode, q = GENERATORS["scaled"]
    shown = [optimal.picture(subject(decode, logits)) for logits in (partial(best, q), lambda x: np.zeros(len(x)))]
    assert shown[0].shape == shown[1].shape and (shown[0] != shown[1]).any()
