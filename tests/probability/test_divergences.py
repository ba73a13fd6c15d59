"""Divergences against closed forms and scipy's quadrature."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gen.distributions import Normal, kl_normal
from gen.evaluation.frechet import squared_distance
from gen.probability.divergences import (
    inverse_multiquadratic,
    jensen_shannon,
    kl,
    kl_gaussian,
    polynomial,
    squared_mmd,
    total_variation,
    wasserstein,
)
from tests import helpers

EDGES = np.linspace(-12, 12, 4_001)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
P, Q = stats.norm(0.5, 0.7), stats.norm(-0.4, 1.2)
p, q = (normal.pdf(CENTRES) * np.diff(EDGES) for normal in (P, Q))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def closed_kl(a, b):
    one, other = (Normal(jnp.float32(n.mean()), jnp.log(jnp.float32(n.std()))) for n in (a, b))
    return float(kl_normal(one, other))


def test_kl_of_two_normals_in_both_directions():
    assert kl(p, q) == pytest.approx(closed_kl(P, Q), abs=1e-4)
    assert kl(q, p) == pytest.approx(closed_kl(Q, P), abs=1e-4)
    assert kl(q, p) > 2 * kl(p, q) and kl(p, p) == 0


def test_masses_are_never_farther_apart_than_densities():
    coarse = [masses.reshape(20, -1).sum(1) for masses in (p, q)]
    for divergence in (kl, jensen_shannon, total_variation):
        assert 0 < divergence(*coarse) < divergence(p, q)


def test_jensen_shannon_is_symmetric_and_bounded_by_log_2():
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p))
    assert jensen_shannon(np.array([0.5, 0.5, 0]), np.array([0, 0, 1.0])) == pytest.approx(np.log(2))


def test_total_variation_is_the_greatest_difference_of_an_event():
    """Of equal scales the event is to lie left of the middle: TV = 2 Phi(|m - n| / (2 s)) - 1."""
    other = stats.norm(0.5 + 1, 0.7).pdf(CENTRES) * np.diff(EDGES)
    assert total_variation(p, other) == pytest.approx(2 * stats.norm.cdf(1 / (2 * 0.7)) - 1, abs=1e-5)


def test_pinskers_inequality_and_the_bound_of_the_jensen_shannon_divergence():
    assert total_variation(p, q) ** 2 <= kl(p, q) / 2
    assert total_variation(p, q) ** 2 / 2 <= jensen_shannon(p, q) <= np.log(2) * total_variation(p, q)


def test_wasserstein_of_densities_and_of_samples(rng):
    """Of normals of one scale W_1 is the shift; in general the mean of |F^-1 - G^-1|."""
    assert wasserstein(CENTRES, CENTRES + 0.3, p, p) == pytest.approx(0.3)
    u = (np.arange(100_000) + 0.5) / 100_000
    assert wasserstein(CENTRES, CENTRES, p, q) == pytest.approx(np.abs(P.ppf(u) - Q.ppf(u)).mean(), abs=1e-4)
    x, y = rng.normal(size=50), rng.normal(size=50) + 1
    assert wasserstein(x, y) == pytest.approx(np.abs(np.sort(x) - np.sort(y)).mean())


def test_kl_of_gaussians_adds_up_over_independent_dimensions_and_does_not_see_a_rotation(rng):
    mean, scale = rng.normal(size=(2, 5, 3)), np.exp(rng.normal(size=(2, 3)))
    diagonal = [np.broadcast_to(np.diag(s**2), (5, 3, 3)) for s in scale]
    terms = kl_normal(*(Normal(jnp.float32(m), jnp.log(jnp.broadcast_to(jnp.float32(s), (5, 3))))
                        for m, s in zip(mean, scale, strict=True)))
    found = kl_gaussian(mean[0], diagonal[0], mean[1], diagonal[1])
    np.testing.assert_allclose(found, terms.sum(-1), rtol=1e-4)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = [turn @ s @ turn.T for s in diagonal]
    np.testing.assert_allclose(kl_gaussian(mean[0] @ turn.T, turned[0], mean[1] @ turn.T, turned[1]), found)


def test_kernels_by_hand():
    x, y = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    assert polynomial(x, y)[0, 0] == (11 / 2 + 1) ** 3
    c = 4 * np.array([0.1, 0.2, 0.5, 1, 2, 5, 10])
    assert inverse_multiquadratic(x, y)[0, 0] == pytest.approx((c / (c + 8)).sum())


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [polynomial, inverse_multiquadratic])
def test_squared_mmd_is_the_double_sum_in_numpy_and_in_jax(kernel, rng):
    x, y = rng.normal(size=(13, 4)), rng.normal(0.5, 2, size=(9, 4))
    direct = helpers.squared_mmd(x, y, lambda a, b: kernel(a[None], b[None])[0, 0])
    assert squared_mmd(x, y, kernel) == pytest.approx(direct)
    assert float(squared_mmd(jnp.float32(x), jnp.float32(y), kernel)) == pytest.approx(direct, rel=1e-4)


def test_on_the_line_the_frechet_distance_of_shifted_gaussians_is_the_square_of_wasserstein():
    found = squared_distance(np.zeros(1), np.full((1, 1), 0.49), np.full(1, 0.3), np.full((1, 1), 0.49))
    assert found == pytest.approx(wasserstein(CENTRES, CENTRES + 0.3, p, p) ** 2)
