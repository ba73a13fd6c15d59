"""Scores of codes that are the factors, of codes that mix them evenly, and of noise."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import hadamard

from gen.data import Dataset, Spec
from gen.distributions import Normal
from gen.errors import UserError
from gen.evaluation import EVALUATORS, Subject
from gen.evaluation import disentanglement as d
from tests.helpers import vae_config

KEY = jax.random.key(0)
N, VALUES = 2_000, (3, 6, 8)
RNG = np.random.default_rng(0)
FACTORS = RNG.integers(VALUES, size=(N, 3)).astype(np.int32)
UNIT = np.float32((FACTORS - FACTORS.mean(0)) / FACTORS.std(0))
EXTRA = np.zeros((N, 1), np.float32)
CODES = {
    "perfect": np.concatenate([UNIT[:, [2, 0, 1]], EXTRA], 1),
    "rotated": np.float32(np.concatenate([UNIT, EXTRA], 1) @ hadamard(4) / 2),
    "noise": np.float32(RNG.normal(size=(N, 4))),
}


class State(NamedTuple):
    """All that the evaluators read of a TrainState."""

    key: Any


def evaluated(name, codes, **options):
    """An evaluator's results for a model whose posterior means are these codes, in the examples' order."""
    x = np.arange(N, dtype=np.float32)[:, None]
    dataset = Dataset(Spec((1,), 0, "real"), {}, {"x": x, "factors": FACTORS})

    def encode(state, x):
        loc = jnp.asarray(codes)[x[:, 0].astype(jnp.int32)]
        return Normal(loc, jnp.full_like(loc, jnp.log(0.1)))

    config = vae_config(data__name="ring", data__binarize="none")
    return EVALUATORS[name](Subject(None, dataset, config, State(KEY), {"encode": encode}), examples=0, **options)


@pytest.fixture(scope="module")
def scores():
    return {codes: evaluated("mig", values) | evaluated("sap", values) | evaluated("dci", values)
            | evaluated("factor_score", values, votes=200) for codes, values in CODES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["mig", "sap", "dci_disentanglement", "dci_completeness", "factor_score"])
def test_factors_score_one_and_noise_or_their_even_mixtures_about_none(scores, metric):
    """Each rotated code is half the sum of all three factors with signs: no code belongs to one of them."""
    perfect, rotated, noise = (scores[codes][metric] for codes in CODES)
    chance = 1 / 3 if metric == "factor_score" else 0
    assert perfect == pytest.approx(1, abs=0.02)
    assert noise == pytest.approx(chance, abs=0.1)
    assert chance - 0.1 < rotated < chance + 0.35


@pytest.mark.parametrize("deviation, expected", [(0.1, 1.0), (0.04, 0.0)])
def test_codes_drop_out_of_the_factor_score_below_a_standard_deviation_of_a_twentieth(deviation, expected):
    """As in disentanglement_lib, whose threshold compares the root of the variance."""
    found = d.majority_vote(deviation * CODES["perfect"], FACTORS, np.random.default_rng(0), votes=200)
    assert found == pytest.approx(expected, abs=0.02)


def test_informativeness_does_not_ask_for_single_codes(scores):
    assert scores["perfect"]["dci_informativeness"] > 0.98
    assert scores["rotated"]["dci_informativeness"] > 0.7 > 0.1 > scores["noise"]["dci_informativeness"]


def test_information_of_a_noisy_copy_is_that_of_a_normal_mixture():
    """z = v + s e, v = +-1: I = log 2 - E log(1 + exp(-2 (1 + s e) / s^2)), e normal, by quadrature."""
    scale = 0.8
    v = FACTORS[:, :1] % 2
    posterior = Normal(jnp.float32(2 * v - 1), jnp.full((N, 1), jnp.log(scale)))
    found = d.mutual_information(posterior.sample(KEY), posterior, v)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    p = v.mean()
    expected = sum(
        share * (weights * -np.log(share + (1 - share) * np.exp(-2 * (1 + scale * nodes) / scale**2))).sum()
        / weights.sum() for share in (p, 1 - p))
    np.testing.assert_allclose(found, [[expected]], atol=0.03)
    np.testing.assert_allclose(d.entropies(v), [-(p * np.log(p) + (1 - p) * np.log(1 - p))], rtol=1e-6)


@pytest.mark.slow
def test_chunks_do_not_change_the_information():
    posterior = Normal(jnp.asarray(CODES["noise"][:30]), jnp.zeros((30, 4)))
    a, b = (d.mutual_information(posterior.loc[:7], posterior, FACTORS[:30], chunk=chunk) for chunk in (3, 50))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_gaps_and_shares_by_hand():
    np.testing.assert_allclose(d.gap(np.array([[0.1, 0.9], [0.5, 0.2], [0.2, 0.3]])), [0.3, 0.6])
    matrix = np.array([[0.5, 0.5], [0.5, 0.0], [0.0, 0.5]])
    assert d.disentanglement(matrix) == pytest.approx(0.5 * 0 + 0.25 + 0.25)
    assert d.completeness(matrix) == pytest.approx(1 - np.log(2) / np.log(3))


def test_data_without_factors_and_one_latent_are_user_errors():
    subject = Subject(None, Dataset(Spec((1,), 0, "real"), {}, {"x": EXTRA}), vae_config())
    with pytest.raises(UserError, match="data.name=shapes"):
        d.mig(subject)
    with pytest.raises(UserError, match="latents >= 2"):
        d.gap(np.ones((1, 3)))
