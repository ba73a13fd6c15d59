"""The compiled functions of a run: many steps in one dispatch, a whole split evaluated in one, samples."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray, UInt32
from ml_collections import ConfigDict

from gen.config import flatten
from gen.config.messages import failure
from gen.data import Spec, decoder, indexer
from gen.data.batches import gather
from gen.data.streaming import Block
from gen.errors import UserError
from gen.evaluation.types import DRAWN
from gen.families import Batch, Family, Metrics, TrainState
from gen.families import make as make_family
from gen.families.types import FOR_SHAPES
from gen.precision import exact, in_float32, multiplying, policy
from gen.rng import stream
from gen.signals import Ask, asked, no_question
from gen.storage.checkpoints import Earlier
from gen.training.sharding import place_state, sharing, split_batch

STATISTICS_EXAMPLES = 10_000
"""Training examples that `Family.init` sees."""

LARGEST = 1_000
"""Operations of a function that is compiled as a whole although it runs once."""

MOST_EXAMPLES = 2**32
"""Training examples of a run: their positions in the order are uint32."""

Raw = dict[str, Array | np.ndarray]
Data = Raw | Block

Step = Callable[[TrainState, Raw], tuple[TrainState, Metrics]]


class Program(NamedTuple):
    """The functions of a run, compiled at their first call.

    Attributes:
      family: the family they are made of.
      init: (seed, raw training examples) -> TrainState.
      step: (state, raw batch) -> (state, metrics): decoding and one update.
      train: (state, raw training data, steps) -> (state, metrics [log_every]); the state is donated. The entries of the
        metrics from `steps` on are 0. Any partition of the same steps into calls gives the same bits, and so does a
        `streaming.Block` of the next batches in place of the data; the metrics are then as long as the block.
      evaluate: (state, raw data) -> metrics [n], per example, in order.
      diagnose: (state, raw training data or Block) -> scalars, on the next step's batch; {} where the family has none.
      sample: (state, key, n, **options) -> n samples in data units.
    """

    family: Family
    init: Callable[[int, Raw], TrainState]
    step: Step
    train: Callable[[TrainState, Data, int], tuple[TrainState, Metrics]]
    evaluate: Callable[[TrainState, Raw], Metrics]
    diagnose: Callable[[TrainState, Data], Metrics]
    sample: Callable[..., Float[Array, "n ..."]]


class Functions(NamedTuple):
    """What a Program compiles, of a config and its family, on the devices of `mesh`. All are pure functions.

    Attributes:
      decode: (raw batch, key) -> what the model sees; `decode_moved`: in training, where images may be moved.
      indices_of: the order of the examples (`gen.data.indexer`).
    """

    config: ConfigDict
    family: Family
    mesh: Mesh | None
    decode: Callable[[Raw, PRNGKeyArray], Batch]
    decode_moved: Callable[[Raw, PRNGKeyArray], Batch]
    indices_of: Callable[..., Int[Array, "steps b"]]

    def init(self, seed: UInt32[Array, ""], raw: Raw) -> TrainState:
        """The state before the first step."""
        key = jax.random.key(seed)
        return self.family.init(key, self.decode(raw, stream(key, "statistics")))

    def step(self, state: TrainState, raw: Raw) -> tuple[TrainState, Metrics]:
        """Decoding of a raw batch and one update."""
        batch = self.decode_moved(split_batch(self.mesh, raw), stream(state.key, "decode", state.step))
        with sharing(self.mesh):
            return self.family.update(state, batch, stream(state.key, "update", state.step))

    def batches(self, state: TrainState, data: Data, steps: int) -> Callable[[Int[Array, ""] | int], Raw]:
        """i -> the raw batch of the i-th of the next `steps` steps."""
        if isinstance(data, Block):
            return lambda i: jax.tree.map(lambda values: values[i], data.batches)
        size = self.config.train.batch_size * self.family.batches
        indices = self.indices_of(state.key, state.step, steps, size, len(data["x"]))
        return lambda i: gather(data, indices[i])

    def train(self, advance: Step, state: TrainState, data: Data, steps: Int[Array, ""]
              ) -> tuple[TrainState, Metrics]:
        """`steps` steps, each an `advance`."""
        longest = len(data.batches["x"]) if isinstance(data, Block) else self.config.train.log_every
        batch = self.batches(state, data, longest)
        _, shapes = jax.eval_shape(advance, state, batch(0))
        history = jax.tree.map(lambda metric: jnp.zeros((longest,), metric.dtype), shapes)

        def body(i, carry):
            state, history = carry
            state, metrics = advance(state, batch(i))
            state = place_state(self.mesh, state, self.config.mesh.fsdp)
            return state, jax.tree.map(lambda all, metric: all.at[i].set(metric), history, metrics)

        return jax.lax.fori_loop(0, steps, body, (state, history))

    def diagnose(self, state: TrainState, data: Data) -> Metrics:
        """The family's diagnosis, on the next step's batch."""
        key = stream(state.key, "diagnose", state.step)
        raw = split_batch(self.mesh, self.batches(state, data, 1)(0))
        with sharing(self.mesh):
            return self.family.diagnose(state, self.decode_moved(raw, stream(key, "decode")), key)

    def evaluate(self, state: TrainState, data: Raw) -> Metrics:
        """The family's metrics of every example, a batch at a time; the last one is filled from the beginning."""
        n, size = len(data["x"]), self.config.train.batch_size

        def evaluate_batch(i):
            key = stream(state.key, "evaluate", i)
            raw = gather(data, (i * size + jnp.arange(size)) % n)
            batch = self.decode(split_batch(self.mesh, raw), stream(key, "decode"))
            with sharing(self.mesh):
                return self.family.evaluate(state, batch, key)

        metrics = jax.lax.map(evaluate_batch, jnp.arange(-(-n // size)))
        return jax.tree.map(lambda values: values.reshape(-1)[:n], metrics)


def make(config, spec: Spec, mesh: Mesh | None = None) -> Program:
    """Builds the functions of the run that the config describes, for examples of `spec`, on the devices of `mesh`."""
    family = family_of(config, spec)
    functions = Functions(config, family, mesh, decoder(config.data), decoder(config.data, training=True),
                          indexer(config.data))
    init, step = compiled_briefly(functions.init), jax.jit(functions.step)
    advance = skipping(step) if config.train.on_nan == "skip" else step
    return Program(
        family=family,
        init=lambda seed, raw: init(jnp.uint32(seed), {k: v[:STATISTICS_EXAMPLES] for k, v in raw.items()}),
        step=step,
        train=jax.jit(partial(functions.train, advance), donate_argnums=0),
        evaluate=jax.jit(functions.evaluate),
        diagnose=jax.jit(functions.diagnose) if family.diagnose else lambda state, data: {},
        sample=jax.jit(family.sample, static_argnums=2),
    )


def check_length(program: Program, config: ConfigDict) -> None:
    """Raises a UserError for a run of 2**32 training examples or more, after which their order would begin again."""
    size, steps = config.train.batch_size * program.family.batches, config.train.steps
    if steps * size >= MOST_EXAMPLES:
        raise UserError(f"config.train.steps={steps} times {size} examples a step is not below 2**32, the most that is "
                        f"counted: take at most {(MOST_EXAMPLES - 1) // size} steps.")


def compiled_briefly(function: Callable) -> Callable:
    """jax.jit for what runs once: compiled in less time, by what the function holds.

    A function of at most LARGEST operations is one program, on a CPU optimised less, which compiles in 0.4 of the time.
    Of a larger one, as VDVAE's initial values are with 8,551 operations, those that its results need run one after the
    other: operations that are the same are compiled once, and 693 draws of 10 shapes are 10 programs.
    Inside another jit neither holds, since JAX takes a program's options at the top level only.
    """
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else {}
    outermost, nested = jax.jit(function, compiler_options=options), jax.jit(function)

    def call(*arguments):
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments)):
            return nested(*arguments)
        traced = outermost.trace(*arguments)
        needed, used = dce_jaxpr(traced.jaxpr.jaxpr, [True] * len(traced.jaxpr.out_avals))
        if len(needed.eqns) <= LARGEST:
            return outermost(*arguments)
        taken = [leaf for leaf, use in zip(jax.tree.leaves(arguments), used, strict=True) if use]
        results = jaxpr_as_fun(traced.jaxpr.replace(jaxpr=needed))(*taken)
        return jax.tree.unflatten(jax.tree.structure(traced.out_info), results)

    return call


def family_of(config: ConfigDict, spec: Spec) -> Family:
    """The family of the config: its update computes as `precision` says, all else in full float32 (`gen.precision`)."""
    trained, family = make_family(config, spec), make_family(in_float32(config), spec)
    return family._replace(
        update=multiplying(policy(config).products)(trained.update),
        init=exact(family.init), evaluate=exact(family.evaluate), sample=exact(family.sample),
        diagnose=family.diagnose and exact(family.diagnose),
        methods={name: exact(method) for name, method in family.methods.items()})


def skipping(step: Step) -> Step:
    """`step` that leaves the state as it is, but for its counter, where parameters or metrics would not be finite.

    The metric `skipped` is 1 at such a step, and all others are 0.
    """
    def advance(state: TrainState, raw: Raw) -> tuple[TrainState, Metrics]:
        moved, metrics = step(state, raw)
        finite = jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((moved.params, metrics))]))
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, state.replace(step=moved.step))
        shown = {name: jnp.where(finite, value, 0) for name, value in metrics.items()}
        return kept, shown | {"skipped": 1.0 - finite}

    return advance


def abstract_state(program: Program, spec: Spec) -> TrainState:
    """Shapes and types of the run's TrainState, without data and without computing anything."""
    x = jax.ShapeDtypeStruct((FOR_SHAPES, *spec.shape), jnp.float32)
    examples: Batch = {"x": x} | ({"label": jax.ShapeDtypeStruct((FOR_SHAPES,), jnp.int32)} if spec.classes else {})
    return jax.eval_shape(lambda examples: program.family.init(jax.random.key(0), examples), examples)


def earlier_state(program: Program, config: ConfigDict, spec: Spec) -> Earlier:
    """Of checkpoints of before a state kept all that it keeps: their abstract state, and what completes it.

    A float of the config that was no leaf then is one now; entries of `ema` are made as the family says (`late`).
    """
    whole, values = abstract_state(program, spec), flatten(config)

    def of(there: Collection[str]) -> tuple[TrainState, Callable[[TrainState], TrainState]] | None:
        late = {name: make for name, make in program.family.late.items()
                if name in whole.ema and not any(path.startswith(f"ema.{name}.") for path in there)}
        floats = [key for key in whole.hypers if f"hypers.{key}" not in there]
        if not late and not floats:
            return None

        @jax.jit
        def completed(state: TrainState) -> TrainState:
            hypers = state.hypers | {key: jnp.float32(values[key]) for key in floats}
            return state.replace(ema=state.ema | {name: make(state) for name, make in late.items()}, hypers=hypers)

        return whole.replace(
            ema={name: entry for name, entry in whole.ema.items() if name not in late},
            hypers={key: leaf for key, leaf in whole.hypers.items() if key not in floats}), completed

    return of


def trace(program: Program, state: TrainState, test: Mapping[str, np.ndarray]) -> None:
    """Traces the evaluation of a test split and samples, on shapes alone: what cannot be computed fails here."""
    shapes = {name: jax.ShapeDtypeStruct(values.shape, values.dtype) for name, values in test.items()}
    jax.eval_shape(program.evaluate, state, shapes)
    jax.eval_shape(lambda state: program.family.sample(state, state.key, 2), state)


@contextmanager
def building() -> Iterator[None]:
    """What goes wrong inside, while a model is made of its config, is a UserError of one line that says where."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The model of this config cannot be built: {failure(error)}") from error


def means(metrics: dict[str, Num[Array | np.ndarray, "n"]]) -> dict[str, float]:
    """Averages metrics per example in float64."""
    return {name: float(np.mean(np.asarray(values, np.float64))) for name, values in metrics.items()}


def draw(program: Program, state: TrainState, key, n: int, batch_size: int = DRAWN, ask: Ask = no_question
         ) -> Float[np.ndarray, "n ..."]:
    """Returns n samples in data units, drawn in batches so that memory stays bounded; `ask` is called between them."""
    return np.concatenate(list(asked(drawn(program, state, key, n, batch_size), ask)))


def drawn(program: Program, state: TrainState, key, n: int, batch_size: int = DRAWN, first: int = 0
          ) -> Iterator[Float[np.ndarray, "_ ..."]]:
    """The same samples from number `first` on, a batch at a time, each when it is asked for."""
    size = min(batch_size, n)
    for i in range(first // size, -(-n // size)):
        yield drawn_batch(program, state, key, n, i, batch_size)[max(first - i * size, 0):n - i * size]


def drawn_batch(program: Program, state: TrainState, key, n: int, i: int, batch_size: int = DRAWN
                ) -> Float[np.ndarray, "_ ..."]:
    """The i-th batch of n samples; all are of one size, and what the last one has beyond n is not among the samples."""
    return np.asarray(program.sample(state, jax.random.fold_in(key, i), min(batch_size, n)))


def on_device(split: dict[str, np.ndarray]) -> Raw:
    """Puts a split of a data set on the default device."""
    return jax.device_put(split)


