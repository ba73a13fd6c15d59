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
from gen.evaluation import EVALUATORS, Subject, check_model, checks, frechet, kernel, manifold, memorization, modes
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


def test_of_stored():
    assert [checks.of_stored(n, 60, "n") for n in (0, 1, 60)] == [60, 1, 60]
