"""Metrics of samples and of latents against the packages that the field measures with."""

import contextlib
import importlib

import jax.numpy as jnp
import numpy as np
from scipy import linalg, stats

from gen.distributions import Normal
from gen.evaluation import disentanglement, frechet, kernel, manifold, memorization
from tests.parity.comparisons import against, optional
from tests.parity.references import torch

RNG = np.random.default_rng(0)
FAKE, REAL = RNG.normal(0.3, 1.2, (400, 6)), RNG.normal(size=(300, 6))


def with_torchvision(module: str):
    """A module that imports torchvision without using its compiled operators.

    Those of a build for another platform do not load beside PyTorch for the CPU, and the import fails for the names
    of two of them alone: declared here, they are there to be named.
    """
    if not hasattr(with_torchvision, "declared"):
        with_torchvision.declared = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            with_torchvision.declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module(module)


def fitted(x):
    return x.mean(0), np.cov(x, rowvar=False)


@against("scipy", "FID by the matrix square root", 1e-10)
def fid_by_sqrtm():
    (m1, s1), (m2, s2) = fitted(FAKE), fitted(REAL)
    root = linalg.sqrtm(s1 @ s2).real
    yield frechet.fid(FAKE, REAL)["fid"], ((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * root)


@against("torch-fidelity", "FID", 1e-10)
def fid():
    other = with_torchvision("torch_fidelity.metric_fid")
    theirs = other.fid_statistics_to_metric(*(dict(zip(("mu", "sigma"), fitted(x), strict=True)) for x in (FAKE, REAL)),
                                            verbose=False)
    yield frechet.fid(FAKE, REAL)["fid"], theirs[other.KEY_METRIC_FID]


@against("clean-fid", "FID", 1e-10)
def clean_fid():
    yield frechet.fid(FAKE, REAL)["fid"], with_torchvision("cleanfid.fid").fid_from_feats(FAKE, REAL)


@against("torch-fidelity", "KID of one subset", 1e-10)
def kid():
    other = with_torchvision("torch_fidelity.metric_kid")
    theirs = other.kernel_mmd(FAKE[:300], REAL, kid_kernel="poly", kid_kernel_poly_degree=3,
                              kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0)
    yield kernel.kid(FAKE[:300], REAL)["kid"], theirs


@against("prdc", "precision, recall, density, coverage, k = 3 and 5", 1e-12)
def precision_recall():
    for k in (3, 5):
        with contextlib.redirect_stdout(None):
            theirs = optional("prdc").compute_prdc(real_features=REAL, fake_features=FAKE, nearest_k=k)
        yield manifold.prdc(FAKE, REAL, k), {name: float(value) for name, value in theirs.items()}


@against("torch-fidelity", "precision and recall, k = 3", 1e-12)
def precision_recall_too():
    """It rounds its share in float32: the numbers of examples are compared."""
    other = with_torchvision("torch_fidelity.metric_prc")
    precision, recall = other.calculate_precision_recall_full(torch.tensor(FAKE), torch.tensor(REAL), 3)
    ours = manifold.prdc(FAKE, REAL, 3)
    yield (ours["precision"] * len(FAKE), ours["recall"] * len(REAL)), (
        float(round(precision * len(FAKE))), float(round(recall * len(REAL))))


@against("scikit-learn", "nearest training examples: index and distance", 1e-12)
def nearest():
    from sklearn.neighbors import NearestNeighbors

    distance, index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(REAL).kneighbors(FAKE)
    found = memorization.nearest(FAKE, REAL)
    yield found.index, index[:, 0]
    yield found.distance, distance[:, 0]


@against("scipy", "memorisation: the Mann-Whitney statistic, with ties", 1e-12)
def mann_whitney():
    samples, held_out = np.round(RNG.gamma(2.0, size=90), 1), np.round(RNG.gamma(2.5, size=70), 1)
    above = stats.mannwhitneyu(held_out, samples).statistic
    yield memorization.copying(samples, held_out)["nearer"], above / (90 * 70)


@against("scikit-learn", "mutual information of codes and factors, where codes are all but discrete", 1e-5)
def mutual_information():
    from sklearn.metrics import mutual_info_score

    factors = RNG.integers(4, size=(200, 2))
    codes = np.stack([factors[:, 0] // 2, (factors.sum(1) + RNG.integers(2, size=200)) % 5], 1)
    posterior = Normal(jnp.float32(10 * codes), jnp.full(codes.shape, -2.0))
    ours = disentanglement.mutual_information(posterior.loc, posterior, factors)
    yield ours, np.array([[mutual_info_score(code, factor) for factor in factors.T] for code in codes.T])


@against("scipy", "entropies of factors", 1e-12)
def entropies():
    factors = RNG.integers(6, size=(300, 3))
    yield disentanglement.entropies(factors), np.array([stats.entropy(np.bincount(v)) for v in factors.T])


@against("scipy", "separability of ordered factors: the squared correlation", 1e-10)
def separability():
    factors = RNG.integers(5, size=(200, 3))
    codes = RNG.normal(size=(200, 2)) + factors[:, 1:]
    ours = disentanglement.separability(codes, factors, codes, factors)[:, 1:]
    yield ours, np.array([[stats.pearsonr(code, factor).statistic ** 2 for factor in factors.T[1:]]
                          for code in codes.T])


@against("scipy", "disentanglement and completeness of a matrix of importances", 1e-10)
def importances():
    matrix = RNG.dirichlet(np.ones(5), 3).T
    per_code = 1 - stats.entropy(matrix, axis=1, base=3)
    yield disentanglement.disentanglement(matrix), (matrix.sum(1) / matrix.sum() * per_code).sum()
    yield disentanglement.completeness(matrix), (1 - stats.entropy(matrix, axis=0, base=5)).mean()
