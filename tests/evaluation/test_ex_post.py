"""Samples by densities fitted to codes, of an autoencoder that only scales points of a ring."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import load
from gen.distributions import Normal
from gen.errors import UserError
from gen.evaluation import EVALUATORS, METRICS, Subject
from gen.evaluation.code_densities import flow, mixture, second_vae, standardised
from gen.evaluation.ex_post import sampler
from tests.helpers import gan_config, vae_config

RING = gan_config(data__name="ring")
DATA = load(RING.data)


class State(NamedTuple):
    key: jax.Array


def subject(scale=1e-4, **methods):
    """Codes x / 2, with noise; E[x|z] = 2 z; the prior's samples are one point."""
    def encode(state, x, label=None):
        return Normal(x / 2, jnp.full_like(x, jnp.log(scale)))

    known = {"encode": encode, "decode": lambda state, z, label=None: 2 * z}
    return Subject(lambda n: np.zeros((n, 2), np.float32), DATA, RING, State(jax.random.key(0)), known | methods)


def normals(subject, components, codes):
    return sampler(subject, "mixture", partial(mixture, components=components), codes)


def high_quality(x):
    centers = np.stack([DATA.train["x"][DATA.train["label"] == i].mean(0) for i in range(8)])
    deviation = DATA.train["x"][DATA.train["label"] == 0].std(0).mean()
    distances = np.linalg.norm(x[:, None] - centers, axis=-1)
    return (distances.min(1) < 3 * deviation).mean(), len(set(distances.argmin(1)))


def test_eight_normals_find_the_modes_that_one_cannot():
    of_eight, of_one = (normals(subject(), components, 4_000)(2_000) for components in (8, 1))
    share, found = high_quality(of_eight)
    assert share > 0.95 and found == 8
    assert high_quality(of_one)[0] < 0.2
    np.testing.assert_allclose(np.cov(of_one.T), np.cov(DATA.train["x"][:4_000].T), atol=0.1 * DATA.train["x"].var())


def test_codes_are_draws_of_the_posterior():
    """Their variance is that of the means plus the posterior's."""
    drawn = normals(subject(scale=0.7), 1, 4_000)(4_000)
    np.testing.assert_allclose(drawn.var(0), DATA.train["x"][:4_000].var(0) + 4 * 0.7**2, rtol=0.1)


def test_its_distance_is_named_and_is_that_of_its_samples():
    options = {"samples": 2_000, "features": "raw"}
    found = EVALUATORS["mixture_fid"](subject(), components=8, codes=4_000, **options)
    before = EVALUATORS["fid"](subject(), **options)
    assert set(found) == {"fid_mixture8_raw_2k_test"} and all(map(str.startswith, found, METRICS["mixture_fid"]))
    assert found["fid_mixture8_raw_2k_test"] < 0.05 * before["fid_raw_2k_test"]
    again = EVALUATORS["mixture_fid"](subject(), components=8, codes=4_000, **options)
    assert again == found


def test_labels_are_those_of_the_data():
    """Of a conditional model; its decoder draws a label's own mode."""
    config = vae_config(conditional=True)
    digits = load(config.data)
    shares = np.bincount(digits.train["label"], minlength=10) / len(digits.train["label"])

    def encode(state, x, label):
        return Normal(jnp.zeros((len(x), 2)) + label[:, None], jnp.zeros((len(x), 2)))

    def decode(state, z, label):
        return jnp.zeros((len(z), 8, 8, 1)) + label[:, None, None, None]

    made = Subject(None, digits, config, State(jax.random.key(0)), {"encode": encode, "decode": decode})
    drawn = normals(made, 1, 1_000)(3_000)[:, 0, 0, 0]
    np.testing.assert_allclose(np.bincount(drawn.astype(int), minlength=10) / 3_000, shares, atol=0.03)


def test_labels_of_stacked_digits_are_of_all_thousand_triples(monkeypatch):
    """The stored examples are single digits, a label of which is none of a triple."""
    digits = {"x": np.zeros((200, 28, 28, 1), np.uint8), "label": np.repeat(np.arange(10), 20).astype(np.int32)}
    monkeypatch.setattr("gen.data.images.mnist", lambda train_examples, loading: (digits, digits, 10))
    config = vae_config(conditional=True, data__name="stacked_mnist", data__binarize="none")
    methods = {"encode": lambda state, x, label: Normal(jnp.zeros((len(x), 2)), jnp.zeros((len(x), 2))),
               "decode": lambda state, z, label: jnp.float32(label[:, None])}
    made = Subject(None, load(config.data), config, State(jax.random.key(0)), methods)
    drawn = np.asarray(normals(made, 1, 90)(4_000))[:, 0]
    assert drawn.max() > 990 and len(np.unique(drawn)) > 950


def test_what_it_cannot_fit_is_said():
    with pytest.raises(UserError, match="5 codes for 8 normals"):
        normals(subject(), 8, 5)
    broken = subject(encode=lambda state, x: Normal(x * jnp.nan, x))
    with pytest.raises(UserError, match="results of encode hold a NaN"):
        normals(broken, 2, 100)
    with pytest.raises(UserError, match="needs a model with the method 'encode'"):
        normals(subject()._replace(methods={}), 2, 100)


@pytest.mark.slow
@pytest.mark.parametrize("fit,least", [(flow, 0.8), (second_vae, 0.6)])
def test_a_flow_and_a_second_vae_learn_a_hole_that_one_normal_fills(fit, least):
    """Codes on a circle of radius 2, 0.2 off it: the share of draws within three deviations of it."""
    draw = np.random.default_rng(0)
    angle, radius = draw.uniform(0, 2 * np.pi, 4_000), 2 + 0.2 * draw.normal(size=4_000)
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)

    def share(made):
        drawn = np.asarray(made(jax.random.key(1), 4_000))
        return (np.abs(np.linalg.norm(drawn, axis=-1) - 2) < 0.6).mean()

    assert share(fit(jax.random.key(0), z, hidden=(64, 64), steps=2_500)) > least
    assert share(mixture(jax.random.key(0), z, 1)) < 0.45


@pytest.mark.slow
@pytest.mark.parametrize("fit", [flow, second_vae])
def test_a_normal_of_codes_comes_back_with_its_mean_and_covariance(fit):
    mean, root = np.array([5.0, -1.0, 0.0]), np.array([[2.0, 0, 0], [1.0, 0.5, 0], [0, 0, 0.1]])
    z = mean + np.random.default_rng(0).normal(size=(5_000, 3)) @ root.T
    drawn = np.asarray(fit(jax.random.key(0), z, hidden=(64, 64), steps=1_500)(jax.random.key(1), 5_000))
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.15)
    covariance = root @ root.T
    scales = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(np.cov(drawn.T) / scales, covariance / scales, atol=0.12)


def test_a_constant_code_stays_what_it_is():
    z, back = standardised(np.array([[1.0, 4.0], [1.0, 6.0]]))
    np.testing.assert_allclose(z, [[0, -1], [0, 1]])
    np.testing.assert_allclose(back(z), [[1, 4], [1, 6]])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flow", "second_vae"])
def test_their_distances_are_named_and_repeat(name):
    options = {"steps": 20, "hidden": (8,), "codes": 500, "samples": 300, "features": "raw"}
    found = EVALUATORS[f"{name}_fid"](subject(), **options)
    assert set(found) == {f"fid_{name}_raw_300_test"} and all(map(str.startswith, found, METRICS[f"{name}_fid"]))
    assert EVALUATORS[f"{name}_fid"](subject(), **options) == found
