"""Do single latents follow single factors? Scores of codes of examples whose factors of variation are known.

Each score is a function of arrays; the evaluators apply them to the posteriors of test examples. Factors are whole
numbers, the first one without an order (the kind of shape), the others with one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gen.config.ranges import Count, Natural
from gen.data import Dataset
from gen.distributions import Normal
from gen.errors import UserError
from gen.evaluation.checks import at_least
from gen.evaluation.latents import encoded
from gen.evaluation.likelihood import test_examples
from gen.evaluation.types import Subject
from gen.precision import exact
from gen.rng import stream

Factors = Int[np.ndarray, "n k"]
Codes = Float[np.ndarray, "n d"]

ACTIVE = 0.05
"""Standard deviation of a code below which the FactorVAE score does not look at it, as disentanglement_lib has it."""


@exact
def mutual_information(z: Float[Array, "m d"], posterior: Normal, factors: Factors, chunk: int = 50
                       ) -> Float[np.ndarray, "d k"]:
    """I(z_j; v_k) in nats, q(z_j | v_k) the mean of the posteriors of the examples with that value.

    Chen et al. 2018, section 4.1: E log q(z_j | v_k) - log q(z_j).

    Args:
      z: posterior samples of the first m examples.
      posterior: of all n examples, [n d].
      chunk: samples at a time; memory is chunk * n * (d + k) floats.
    """
    factors = jnp.asarray(factors)

    def one(z: Float[Array, "d"], values: Int[Array, "k"]) -> Float[Array, "d k"]:
        same = (factors == values).astype(jnp.float32)
        log_q = posterior.log_prob(z)
        q = jnp.exp(log_q - log_q.max(0))
        return jnp.log(q.T @ same / same.sum(0)) - jnp.log(q.mean(0))[:, None]

    pairs = z, factors[:len(z)]
    return np.asarray(jax.lax.map(lambda pair: one(*pair), pairs, batch_size=chunk).mean(0))


def entropies(factors: Factors) -> Float[np.ndarray, "k"]:
    """H(v_k) of the examples' values, in nats."""
    shares = [np.unique(column, return_counts=True)[1] / len(column) for column in factors.T]
    return np.array([-(p * np.log(p)).sum() for p in shares])


def gap(scores: Float[np.ndarray, "d k"]) -> Float[np.ndarray, "k"]:
    """For each factor how much its best code surpasses the second best."""
    if len(scores) < 2:
        raise UserError("The gap between the two best latents of a factor needs config.latents >= 2.")
    first, second = np.sort(scores, axis=0)[:-3:-1]
    return first - second


def separability(train: Codes, train_factors: Factors, test: Codes, test_factors: Factors
                 ) -> Float[np.ndarray, "d k"]:
    """How well one code predicts one factor (Kumar et al. 2018, section 3).

    Of a factor with an order the squared correlation; of the first, without one, the balanced accuracy of thresholds
    on the code, scaled so that guessing has 0.
    """
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.tree import DecisionTreeClassifier

    scores = _correlation(test, test_factors) ** 2
    leaves, columns = len(np.unique(train_factors[:, 0])), zip(train.T[..., None], test.T[..., None], strict=True)
    for code, (seen, new) in enumerate(columns):
        thresholds = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
        found = thresholds.fit(seen, train_factors[:, 0]).predict(new)
        scores[code, 0] = max(0.0, balanced_accuracy_score(test_factors[:, 0], found, adjusted=True))
    return scores


def _correlation(codes: Codes, factors: Factors) -> Float[np.ndarray, "d k"]:
    """Pearson's; 0 where a code is constant."""
    def standard(x):
        deviation = x.std(0)
        return (x - x.mean(0)) / np.where(deviation > 0, deviation, np.inf)

    return standard(np.float64(codes)).T @ standard(np.float64(factors)) / len(codes)


class Importances(NamedTuple):
    """Attributes:
    matrix: of each code for the prediction of each factor, [d k]; columns add up to 1.
    informativeness: of each factor, how well the codes predict it: R^2, of the first one the scaled accuracy.
    """

    matrix: Float[np.ndarray, "d k"]
    informativeness: Float[np.ndarray, "k"]


def importances(train: Codes, train_factors: Factors, test: Codes, test_factors: Factors, trees: Count = 20
                ) -> Importances:
    """By a random forest for each factor (Eastwood & Williams 2018, section 4.3)."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.metrics import balanced_accuracy_score, r2_score

    columns, values = [], []
    for factor, (seen, new) in enumerate(zip(train_factors.T, test_factors.T, strict=True)):
        forest = RandomForestRegressor if factor else RandomForestClassifier
        fitted = forest(trees, max_features=1.0, min_samples_leaf=5, random_state=0).fit(train, seen)
        found = fitted.predict(test)
        values.append(r2_score(new, found) if factor else balanced_accuracy_score(new, found, adjusted=True))
        columns.append(fitted.feature_importances_)
    return Importances(np.stack(columns, -1), np.array(values))


def disentanglement(matrix: Float[np.ndarray, "d k"]) -> float:
    """1 - H(factors | code) over log k, codes weighted by their importance (Eastwood & Williams 2018, section 2)."""
    weight = matrix.sum(1) / matrix.sum()
    return float((weight * (1 - _entropy(matrix.T) / np.log(matrix.shape[1]))).sum())


def completeness(matrix: Float[np.ndarray, "d k"]) -> float:
    """1 - H(codes | factor) over log d, averaged over factors (Eastwood & Williams 2018, section 2)."""
    return float((1 - _entropy(matrix) / np.log(len(matrix))).mean())


def _entropy(columns: Float[np.ndarray, "a b"]) -> Float[np.ndarray, "b"]:
    """Of each column as a distribution, in nats; that of zeros is as of equal numbers."""
    total = columns.sum(0)
    p = np.where(total > 0, columns / np.where(total > 0, total, 1), 1 / len(columns))
    return -(p * np.log(np.where(p > 0, p, 1))).sum(0)


def majority_vote(codes: Codes, factors: Factors, rng: np.random.Generator, votes: Count = 800, group: Count = 100
                  ) -> float:
    """Accuracy of the classifier of Kim & Mnih 2018, section 4 and figure 2; guessing has about 1 / k.

    A vote: `group` examples share the value of one factor; the code that varies least among them, relative to its
    variance over all, names the factor. The classifier takes the most frequent factor of each code among `votes`
    votes; its accuracy is that on as many others. Codes of standard deviation below 0.05 are left out, as the
    configuration of disentanglement_lib has it (there: groups of 64, 10,000 votes and 5,000 others); 0 if all are.
    """
    deviation = codes.std(0, ddof=1)
    codes = codes[:, deviation >= ACTIVE] / deviation[deviation >= ACTIVE]
    if not codes.shape[1]:
        return 0.0
    counts = np.zeros((2, codes.shape[1], factors.shape[1]), int)
    for part in counts:
        for _ in range(votes):
            factor = rng.integers(factors.shape[1])
            same = np.flatnonzero(factors[:, factor] == factors[rng.integers(len(factors)), factor])
            part[codes[rng.choice(same, group)].var(0).argmin(), factor] += 1
    learned = counts[0].argmax(1)
    return float(counts[1][np.arange(len(learned)), learned].sum() / votes)


def known_factors(dataset: Dataset) -> Factors:
    """The factors of the test examples. Raises a UserError if there are none."""
    if "factors" not in dataset.test:
        raise UserError("Scores of disentanglement need examples whose factors are known, and these have none: use "
                        "data.name=shapes.")
    return dataset.test["factors"]


def _posterior(subject: Subject, examples: int) -> tuple[Normal, Factors]:
    """q(z|x) and the factors of the first test examples (0: all)."""
    factors = known_factors(subject.dataset)
    batch = test_examples(subject, examples, stream(subject.state.key, "disentanglement"))
    return encoded(subject, batch), factors[:examples or None]


def _halves(subject: Subject, examples: int) -> tuple[Codes, Factors, Codes, Factors]:
    """Posterior means and factors of one half of the examples, and of the other."""
    posterior, factors = _posterior(subject, examples)
    codes, half = np.asarray(posterior.loc), len(factors) // 2
    return codes[:half], factors[:half], codes[half:], factors[half:]


def mig(subject: Subject, examples: Natural = 5_000, samples: Count = 1_000) -> dict[str, float]:
    """Mutual information gap (Chen et al. 2018, eq. 6): the gap in I(z_j; v_k) / H(v_k), averaged over factors.

    `examples`: of the test split, 0 for all; `samples` of their posteriors serve as z.
    """
    posterior, factors = _posterior(subject, examples)
    samples = at_least(1, samples, "The number of samples")
    z = posterior.sample(stream(subject.state.key, "mutual information gap"))[:samples]
    return {"mig": float((gap(mutual_information(z, posterior, factors)) / entropies(factors)).mean())}


def sap(subject: Subject, examples: Natural = 5_000) -> dict[str, float]:
    """Separated attribute predictability (Kumar et al. 2018): the gap in `separability`, averaged over factors."""
    return {"sap": float(gap(separability(*_halves(subject, examples))).mean())}


def dci(subject: Subject, examples: Natural = 5_000) -> dict[str, float]:
    """Disentanglement, completeness and informativeness (Eastwood & Williams 2018) of posterior means."""
    found = importances(*_halves(subject, examples))
    return {"dci_disentanglement": disentanglement(found.matrix), "dci_completeness": completeness(found.matrix),
            "dci_informativeness": float(found.informativeness.mean())}


def factor_score(subject: Subject, examples: Natural = 0, votes: Count = 800) -> dict[str, float]:
    """The FactorVAE score (Kim & Mnih 2018) of posterior means, groups drawn from test examples (0: all)."""
    posterior, factors = _posterior(subject, examples)
    at_least(1, votes, "The number of votes")
    return {"factor_score": majority_vote(np.asarray(posterior.loc), factors, np.random.default_rng(0), votes)}
