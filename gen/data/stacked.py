"""Stacked MNIST: three digits on the three channels of an image, a data set with 1,000 modes of known probability.

Source: L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein, Unrolled Generative Adversarial Networks, 2017, section 3.3.1.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from gen.config.ranges import Count, Natural, Seed
from gen.data import images
from gen.data.limits import check_size
from gen.errors import UserError
from gen.rng import stream

Splits = tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]

CHANNELS = 3
DIGITS = 10
CLASSES = DIGITS**CHANNELS
"""The label of digits a, b, c on red, green, blue is 100 a + 10 b + c."""

ON_THE_FLY = "stacked_mnist"
"""The data set whose stored training examples are single digits, stacked when a batch is decoded."""


def stacked_mnist(train_examples: Natural = 0, test_examples: Count = 10_000, seed: Seed = 0) -> Splits:
    """Three MNIST training digits drawn anew, independently, for every example of every step (Lin et al. 2018).

    The training examples that are stored are the single digits, [n 28 28 1] with their labels: `draws` says which
    digits a step takes, and `stack` stacks them. The test examples are stacked already, a list fixed by `seed`.

    Args:
      train_examples: stack only the first so many training digits; 0 takes all.
      test_examples: triples of test digits.
      seed: of the test triples.
    """
    train, test, _ = images.mnist(train_examples, loading="resident")
    return train, _triples(test, test_examples, np.random.default_rng([seed, 1])), CLASSES


def stacked_mnist_fixed(examples: Count = 60_000, test_examples: Count = 10_000, seed: Seed = 0) -> Splits:
    """A fixed list of triples of MNIST digits, drawn independently with `seed`: training digits, and test digits."""
    train, test, _ = images.mnist(loading="resident")
    return (
        _triples(train, examples, np.random.default_rng([seed, 0])),
        _triples(test, test_examples, np.random.default_rng([seed, 1])),
        CLASSES,
    )


def draws(
    key: PRNGKeyArray, first_step: Int[Array, ""] | int, steps: int, batch_size: int, n: int
) -> Int[Array, "steps b3"]:
    """Returns the digits of `steps` steps: uniform on [0, n), independent, three in a row for each of `batch_size`.

    A pure function of (key, step), in place of `gen.data.batches.indices_block`.
    """
    def one(step):
        return jax.random.randint(stream(key, "stacks", step), (CHANNELS * batch_size,), 0, n)

    return jax.vmap(one)(jnp.asarray(first_step) + jnp.arange(steps))


def stack(raw: dict[str, Array | np.ndarray]) -> dict[str, Array | np.ndarray]:
    """Stacks digits [3b h w 1] with labels [3b] into images [b h w 3] with labels [b]; leaves stacked ones alone."""
    x, label = raw["x"], raw["label"]
    if x.shape[-1] == CHANNELS:
        return raw
    b, (h, w) = len(x) // CHANNELS, x.shape[1:3]
    x = x[: CHANNELS * b].reshape(b, CHANNELS, h, w)
    return {**raw, "x": x.transpose(0, 2, 3, 1), "label": triple_label(label[: CHANNELS * b].reshape(b, CHANNELS))}


def triple_label(digits: Int[Array | np.ndarray, "n 3"]) -> Int[Array | np.ndarray, "n"]:
    """Returns 100 a + 10 b + c of the digits (a, b, c)."""
    return 100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2]


def triple_frequencies(digits: Sequence[float]) -> tuple[float, ...]:
    """The share of each of the 1,000 labels where the three digits are independent, each as frequent as here."""
    a, b, c = np.ix_(digits, digits, digits)
    return tuple((a * b * c).ravel().tolist())


def _triples(digits: dict[str, np.ndarray], examples: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    if examples < 1:
        raise UserError(f"Stacked MNIST needs at least one example in train and test, not {examples}.")
    check_size(examples, CHANNELS * digits["x"][0].size)
    chosen = rng.integers(len(digits["x"]), size=CHANNELS * examples)
    return stack({key: values[chosen] for key, values in digits.items()})
