"""What training costs, known before anything is computed."""

from collections.abc import Mapping

import jax
import numpy as np
from ml_collections import ConfigDict

from gen.data import Spec, indexer
from gen.training.program import Program, abstract_state


def step_images(made: Program, config: ConfigDict) -> int:
    """Training examples that a step takes: a batch for the update, and one for each further critic step."""
    return config.train.batch_size * made.family.batches


def step_flops(made: Program, config: ConfigDict, spec: Spec, train: Mapping[str, np.ndarray | jax.Array]) -> float:
    """Floating point operations of one step on the training set `train`, of which shapes and types alone are used.

    XLA's count for the program as it is written: decoding, all networks forward and backward, the optimizers. Nothing
    is compiled; what the compiler then removes or adds is a few percent where matrices dominate.
    """
    state, n = abstract_state(made, spec), len(train["x"])
    indices = jax.eval_shape(
        lambda key: indexer(config.data)(key, 0, 1, step_images(made, config), n), state.key)
    batch = {key: jax.ShapeDtypeStruct((indices.shape[1], *x.shape[1:]), x.dtype) for key, x in train.items()}
    return made.step.lower(state, batch).cost_analysis()["flops"]
