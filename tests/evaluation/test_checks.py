"""One NaN, no samples, more examples than there are: one line each, in place of a number that means nothing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import PRNGKeyArray
from ml_collections import ConfigDict

from gen.data import Dataset, Spec, load
from gen.distributions import Normal
from gen.errors import UserError
from gen.evaluation import (
    EVALUATORS,
    Subject,
    check,
    check_model,
    checks,
    frechet,
    kernel,
    manifold,
    memorization,
    modes,
)
from tests.helpers import vae_config

GOOD = np.random.default_rng(0).normal(size=(64, 3))
RING = ConfigDict({"family": "gan", "data": {"name": "ring", "examples": 80, "test_examples": 60}})
METHODS = ("encode", "log_weights", "latents", "log_joint", "simulate")
ONE_BAD = "1 of 64 .* hold a NaN or an infinity"


class State(NamedTuple):
    key: PRNGKeyArray


def one_bad(value: float) -> np.ndarray:
    x = GOOD.copy()
    x[17, 1] = value
    return x


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("measure", [
    frechet.fid, kernel.kid, manifold.prdc, memorization.nearest,
    lambda x, y: modes.coverage(x[:, :2], y[:8, :2], 1.0)])
def test_a_measure_of_features_that_are_not_finite_says_so(measure, value):
    """Before: precision, recall, density and coverage 0 of one NaN, FID a LinAlgError, no good sample lost a word."""
    measure(GOOD, GOOD)
    with pytest.raises(UserError, match=ONE_BAD):
        measure(one_bad(value), GOOD)


@pytest.mark.parametrize("measure", [frechet.fid, kernel.kid, manifold.prdc, memorization.nearest])
def test_the_reference_is_checked_too(measure):
    with pytest.raises(UserError, match=ONE_BAD):
        measure(GOOD, one_bad(np.nan))


@pytest.mark.slow
@pytest.mark.parametrize("name, options", [
    ("modes", {}), ("speed", {}), *((name, {"features": "raw"}) for name in ("fid", "kid", "prdc", "memorization"))])
def test_every_evaluator_of_samples_takes_finite_ones_and_one_at_least(name, options):
    dataset = load(RING.data)
    samples = np.array(dataset.train["x"][:64])
    samples[5, 0] = np.nan
    subject = Subject(lambda n: samples, dataset, RING, batch=lambda n, i: samples)
    with pytest.raises(UserError, match="1 of 64 samples hold"):
        EVALUATORS[name](subject, samples=64, **options)
    with pytest.raises(UserError, match="number of samples = 0: at least 1 is needed"):
        EVALUATORS[name](subject, samples=0, **options)


def test_encodings_that_are_not_finite():
    """Before: no active unit, in silence."""
    def encode(state, x):
        return Normal(x.at[2, 0].set(np.nan), jnp.zeros_like(x))

    dataset = Dataset(Spec((3,), 0, "real"), {}, {"x": np.float32(GOOD)})
    subject = Subject(None, dataset, vae_config(data__binarize="none"), State(jax.random.key(0)),
                      {"encode": encode})
    with pytest.raises(UserError, match="1 of 64 results of encode hold"):
        EVALUATORS["latents"](subject)


@pytest.mark.parametrize("name, options, message", [
    ("log_likelihood", {"examples": 61}, "log_likelihood.examples = 61: there are 60 examples; 0 takes all"),
    ("annealed_log_likelihood", {"examples": 99}, "examples = 99: there are 60"),
    ("latents", {"examples": -1}, "examples = -1"),
    ("latents", {"samples": 0}, "evaluators.latents.samples = 0: at least 1 is"),
    ("fid", {"samples": 1}, "evaluators.fid.samples = 1: at least 2 are"),
    ("annealed_log_likelihood", {"chains": 0}, "chains = 0"),
    ("annealed_log_likelihood", {"steps": 1}, "steps = 1: at least 2 are needed"),
    ("annealed_log_likelihood", {"steps": 0}, "steps = 0"),
])
def test_numbers_are_checked_before_training(name, options, message):
    dataset = load(RING.data)
    config = ConfigDict({"family": "vae", "evaluators": {name: options}})
    with pytest.raises(UserError, match=message) as error:
        check_model(config, dict.fromkeys(METHODS, len), dataset)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data, name, options, message", [
    ("polygons", "modes", {}, "modes counts those of a mixture .ring, grid, line.; the data is 'polygons'"),
    ("ring", "stacked_modes", {}, "stacked_modes counts digits of stacked_mnist .*; the data is 'ring'"),
    ("ring", "polygons", {}, "needs data.name=polygons, not 'ring'"),
    ("ring", "prdc", {"samples": 5}, "evaluators.prdc.samples = 5: at least 6 are needed"),
])
def test_what_an_evaluator_is_not_of_is_said_before_training(data, name, options, message):
    config = ConfigDict({"family": "gan", "data": {"name": data, "examples": 80, "test_examples": 60},
                         "evaluators": {name: options}})
    with pytest.raises(UserError, match=message):
        check_model(config, {}, load(config.data))


def test_more_neighbours_than_samples_are_said_before_training():
    with pytest.raises(UserError, match="inception_prdc.samples = 9: at least 10 are needed"):
        checks.numbers("inception_prdc", {"samples": 9, "k": 9}, 60)
    with pytest.raises(UserError, match="inception_prdc.most = 5: at least 10 are needed"):
        checks.numbers("inception_prdc", {"samples": 10, "most": 5, "k": 9}, 60)
    checks.numbers("inception_prdc", {"samples": 10, "most": 10, "k": 9}, 60)


@pytest.mark.parametrize("k", [500, "a", None, (1, 2)])
def test_an_option_k_of_an_evaluator_of_ones_own_is_its_own(k):
    checks.numbers("mine", {"samples": 10, "k": k}, 60)


def test_data_are_looked_at_before_any_classifier(tmp_path):
    """A classifier takes minutes to train: for nothing, if another evaluator is not of these data."""
    fid = {"features": "lenet", "classifiers": str(tmp_path)}
    config = ConfigDict({"family": "gan", "data": {"name": "digits"}, "evaluators": {"fid": fid, "modes": {}}})
    with pytest.raises(UserError, match="modes counts those of a mixture"):
        check(config, load(config.data))


def test_of_stored():
    assert [checks.of_stored(n, 60, "n") for n in (0, 1, 60)] == [60, 1, 60]
