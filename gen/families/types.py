"""What every family of models is to the rest of the code: four pure functions on one TrainState."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, no_type_check

import flax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

Batch = dict[str, Array]
"""`x`: decoded examples, Float[b ...]; `label`: Int[b], present when the data set has classes."""

FOR_SHAPES = 2
"""Examples of a batch that shows shapes alone: `init` takes no statistics of it."""

Metrics = dict[str, Array]
"""Per example (Float[b]) from `evaluate`; scalars, already means over the batch, from `update`."""


@no_type_check  # its leaves are also shapes (`jax.eval_shape`) and shardings
@flax.struct.dataclass
class TrainState:
    """Everything that training changes: arrays only, so that it saves, restores, vmaps and shards as it is.

    Attributes:
      step: calls of `update` so far.
      key: root key of the run; never split, only folded by stream name and step (`gen.rng.stream`).
      params: parameters by player or part, e.g. {"generator", "discriminator"}.
      variables: batch statistics, spectral-norm vectors, codebooks, by the same names.
      opt_state: optimizer state by the name of the optimizer.
      ema: exponential moving averages of entries of `params`, and of batch statistics; empty where none is kept.
      hypers: scalars that may differ between replicas of one program: learning rates, weights of terms.
    """

    step: Int[Array, ""]
    key: PRNGKeyArray
    params: dict[str, PyTree]
    variables: dict[str, PyTree]
    opt_state: dict[str, PyTree]
    ema: dict[str, PyTree]
    hypers: dict[str, Float[Array, ""]]


class Family(NamedTuple):
    """A family of models (VAE, GAN, ...) as pure functions; the training loop knows nothing else of it.

    Attributes:
      init: (key, examples) -> TrainState; `examples` are a few thousand training examples, for shapes and statistics;
        `FOR_SHAPES` or fewer for shapes alone.
      update: (state, batch, key) -> (state, metrics), one step of training; metrics are scalars.
      evaluate: (state, batch, key) -> metrics per example, Float[b] each; the caller averages.
      sample: (state, key, n) -> n examples in data units; keyword `label` (Int[n]) where the model is conditional.
      methods: further functions of (state, ...), e.g. encode, decode, reconstruct, discriminate.
      batches: how many batches of `train.batch_size` one update consumes (critic steps); `batch` holds them all.
      diagnose: (state, batch, key) -> scalars that are worth logging and too dear for every step; None: nothing.
      late: entries of the state's `ema` that earlier versions did not keep: name -> (state without them) -> the entry,
        so that checkpoints of then load.
    """

    init: Callable[[PRNGKeyArray, Batch], TrainState]
    update: Callable[[TrainState, Batch, PRNGKeyArray], tuple[TrainState, Metrics]]
    evaluate: Callable[[TrainState, Batch, PRNGKeyArray], Metrics]
    sample: Callable[..., Float[Array, "n ..."]]
    methods: Mapping[str, Callable[..., Any]]
    batches: int = 1
    diagnose: Callable[[TrainState, Batch, PRNGKeyArray], Metrics] | None = None
    late: Mapping[str, Callable[[TrainState], PyTree]] = MappingProxyType({})
