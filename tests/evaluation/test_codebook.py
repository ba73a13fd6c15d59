"""The perplexity of a codebook over a whole test set, of codes that are known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy.stats import entropy

from gen.data import Dataset, Spec
from gen.errors import UserError
from gen.evaluation import EVALUATORS, Subject

PIXELS = np.random.default_rng(0).choice([0, 10, 20, 200], (700, 2, 2, 1), p=[0.6, 0.2, 0.15, 0.05]).astype(np.uint8)


class State(NamedTuple):
    key: jax.Array


def subject(methods):
    data = {"name": "mnist", "range": "unit", "binarize": "none"}
    config = ConfigDict({"family": "vqvae", "codes": 256, "data": data})
    dataset = Dataset(Spec((2, 2, 1), 0, "unit"), {}, {"x": PIXELS})
    return Subject(None, dataset, config, State(jax.random.key(0)), methods)


@pytest.mark.parametrize("examples", [0, 300])
def test_perplexity_of_all_codes_together(examples):
    """The code of a pixel is its value; 700 images are two batches, the second of them not full."""
    methods = {"codes": lambda state, x: jnp.round(255 * x[..., 0]).astype(jnp.int32)}
    found = EVALUATORS["codebook"](subject(methods), examples=examples)
    values, counts = np.unique(PIXELS[:examples or None], return_counts=True)
    assert found["codes_used"] == len(values) == 4
    assert found["perplexity"] == pytest.approx(np.exp(entropy(counts)), rel=1e-4)


def test_a_family_without_codes_is_refused():
    with pytest.raises(UserError, match="codes"):
        EVALUATORS["codebook"](subject({}))
