"""What the families share: applying modules, hyperparameters as leaves, moving averages, gradients in parts."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.module import InterceptorContext
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gen import flat
from gen.data import Spec
from gen.errors import UserError
from gen.optimizers import unless
from gen.rng import join_rows, part_key, split_rows


def apply(module: nn.Module, params: PyTree, variables: PyTree, *args, train: bool, **options):
    """Applies a Flax module. Returns (output, variables after it); in evaluation the variables stay as they are."""
    if not train:
        return module.apply({"params": params, **variables}, *args, train=False, **options), variables
    return module.apply({"params": params, **variables}, *args, train=True, mutable=list(variables), **options)


def initial(module: nn.Module, key: PRNGKeyArray, *args) -> tuple[PyTree, PyTree]:
    """Returns (params, variables) of a module for inputs of these shapes."""
    variables = dict(module.init(key, *args, train=True))
    return variables.pop("params"), variables


def batch_statistics(module: nn.Module, params: PyTree, variables: PyTree, *args) -> PyTree:
    """The variables with the mean and variance of this batch in place of the running ones of every batch norm."""
    found = {}

    def note(call: Callable, inputs: tuple, options: dict, context: InterceptorContext):
        if isinstance(context.module, nn.BatchNorm):
            x = inputs[0].astype(jnp.float32)
            path, axes = context.module.path, tuple(range(x.ndim - 1))
            found.update({("batch_stats", *path, "mean"): x.mean(axes), ("batch_stats", *path, "var"): x.var(axes)})
        return call(*inputs, **options)

    with nn.intercept_methods(note):
        _, after = apply(module, params, variables, *args, train=True)
    return unflatten_dict(flatten_dict(dict(after)) | found)


def hypers(config, *keys: str) -> dict[str, Float[Array, ""]]:
    """The float values at these dotted keys of the config, or below them, as arrays by dotted key."""
    found = {}
    for key in keys:
        value = config
        for name in key.split("."):
            value = value[name]
        if isinstance(value, float):
            found[key] = jnp.float32(value)
        elif hasattr(value, "items"):
            found |= hypers(config, *(f"{key}.{name}" for name in value))
    return found


def options(part, prefix: str, hypers: dict[str, Array]) -> dict:
    """A part's options with the values of `hypers` in place of the config's, its name left out."""
    return {k: hypers.get(f"{prefix}.{k}", v) for k, v in part.items() if k != "name"}


def draw_labels(key: PRNGKeyArray, n: int, spec: Spec) -> Int[Array, "n"]:
    """n labels, as frequent as among the training examples: the mixture that samples are compared with."""
    if not spec.label_frequencies:
        return jax.random.randint(key, (n,), 0, spec.classes)
    return jax.random.categorical(key, jnp.log(jnp.asarray(spec.label_frequencies)), shape=(n,))


def moving_average(average: PyTree, params: PyTree, images: int, half_life: float | Float[Array, ""]) -> PyTree:
    """Exponential moving average whose weights halve every `half_life` images, of which a step shows `images`.

    0.5^(images / half_life) of the average stays; of a half-life of 0 the average is the parameters themselves.
    """
    decay = 0.5 ** (images / jnp.maximum(half_life, 1e-8))
    return jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)


def ema_hypers(config) -> dict[str, Float[Array, ""]]:
    """The leaves of the moving average: its half-life, and its ramp-up where there is one; none of no average."""
    return hypers(config, *(key for key in ("ema_half_life", "ema_rampup") if config.ema_half_life and config[key]))


def averages(config, state, now: dict[str, PyTree], images: int,
             skipped: Callable[[str], Float[Array, ""] | None]) -> dict[str, PyTree]:
    """The moving averages after a step that shows `images`.

    With `ema_rampup` the half-life is at most that part of the images shown before the step, min(half_life, rampup *
    shown): StyleGAN2-ADA's released code (Karras et al. 2020), where it is 0.05.

    Args:
      config: of the run.
      state: before the step, with the averages of then.
      now: what they are averages of, after the step, by the same names.
      images: of a step.
      skipped: name -> whether the optimizer of these skipped the update, so that their averages stay, as in VDVAE's
        released code; None where it skips none.
    """
    if not state.ema:
        return {}
    half_life = state.hypers["ema_half_life"]
    if config.ema_rampup:
        half_life = jnp.minimum(half_life, state.hypers["ema_rampup"] * images * state.step)

    found, flags = {}, {id(flag): flag for flag in map(skipped, state.ema)}
    for flag in flags.values():
        def after(averages: PyTree, now: PyTree, flag=flag) -> PyTree:
            return unless(flag, moving_average(averages, now, images, half_life), averages)

        names = [name for name in state.ema if skipped(name) is flag]  # together, so that flat trees stay long
        before, parts = ({name: of[name] for name in names} for of in (state.ema, now))
        found |= flat.entrywise(after)(before, parts)
    return found


def sharing() -> int:
    """How many devices share the batch of the step that is traced (`gen.training.sharding.sharing`)."""
    return jax.sharding.get_abstract_mesh().shape.get("data", 1)


def shared(arrays: PyTree, axis: int = 0) -> PyTree:
    """The arrays with `axis`, that of the batch, split over the devices that share it.

    Needed after a reshape or concatenation that moves that axis: XLA may else have each device compute all of it.
    """
    if sharing() == 1:
        return arrays
    return jax.lax.with_sharding_constraint(arrays, PartitionSpec(*[None] * axis, "data"))


def rounds(batch: PyTree, n: int) -> PyTree:
    """The batch as n batches of the same size, [n b ...], in order; each is shared by the devices."""
    return shared(jax.tree.map(lambda a: a.reshape(n, -1, *a.shape[1:]), batch), axis=1)


def as_rows(x: Float[Array, "*k b d"]) -> tuple[Float[Array, "n d"], Callable[[Array], Array]]:
    """The rows of all batches as one batch, and what puts an array of as many rows [n ...] back: [*k b ...].

    Where devices share the batch its axis comes first, so that the rows of an example stay on its device.
    """
    sizes, k = x.shape[:-1], x.ndim - 2
    if sharing() == 1 or k == 0:
        return x.reshape(-1, x.shape[-1]), lambda rows: rows.reshape(*sizes, *rows.shape[1:])
    rows = jnp.moveaxis(x, k, 0).reshape(-1, x.shape[-1])
    return rows, lambda rows: jnp.moveaxis(rows.reshape(sizes[-1], *sizes[:-1], *rows.shape[1:]), 0, k)


def in_parts(function: Callable, parts: int, group: int = 1) -> Callable:
    """(batch, key) -> (means, rows), computed on equal parts of the batch one after the other.

    The first axis of every array of the batch is that of the examples, or of groups of them. `function(batch, key)`
    returns `means`, which are averaged over the parts, and `rows` with that same axis, which are put together. So the
    result is that of the whole batch, up to rounding, where means are means over examples that do not look at each
    other; noise is the same, as `gen.rng.part_key` says. Batch norm, minibatch standard deviation and estimates from a
    batch see one part, and running statistics move by the average of the parts.

    Args:
      parts: how many; of one, `function` itself is returned.
      group: examples in a row that stay in one part. An array of the batch may have a row for each group instead.

    Raises:
      UserError: when called, for a batch that the parts do not divide.
      ValueError: when called, for an array whose first axis is not that of the examples or of the groups.
    """
    if parts == 1:
        return function

    def whole(batch: PyTree, key: PRNGKeyArray | None) -> tuple[PyTree, PyTree]:
        n = max(map(len, jax.tree.leaves(batch)))
        if n % (parts * group):
            raise UserError(f"config.train.microbatches={parts} does not divide an update's {n // group} examples.")

        def groups(x: Array, examples: int) -> int:
            if len(x) not in (examples, examples // group):
                raise ValueError(f"An array of shape {x.shape} in a batch of {examples} examples in groups of {group}.")
            return group if len(x) == examples else 1

        def accumulate(total, numbered):
            i, part = numbered
            means, rows = function(part, None if key is None else part_key(key, i, parts, n // parts, group))
            return jax.tree.map(jnp.add, total, means), rows

        split = jax.tree.map(lambda x: split_rows(x, parts, groups(x, n)), batch)
        numbered = (jnp.arange(parts), split)
        shapes = jax.eval_shape(lambda part: function(part, key)[0], jax.tree.map(lambda x: x[0], split))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        total, rows = jax.lax.scan(accumulate, zeros, numbered)
        joined = jax.tree.map(lambda x: join_rows(x, groups(x[0], n // parts)), rows)
        return jax.tree.map(lambda x: x / parts, total), joined

    return whole


def value_and_grad(loss: Callable, parts: int, group: int = 1) -> Callable:
    """(params, batch, key) -> ((value, (means, rows)), grads) of `loss`, which returns the former; see `in_parts`."""
    differentiated = jax.value_and_grad(loss, has_aux=True)

    def whole(params: PyTree, batch: PyTree, key: PRNGKeyArray | None):
        def part(batch, key):
            (value, (means, rows)), grads = differentiated(params, batch, key)
            return (value, means, grads), rows

        (value, means, grads), rows = in_parts(part, parts, group)(batch, key)
        return (value, (means, rows)), grads

    return whole


def vjp(function: Callable, parts: int, group: int = 1) -> Callable:
    """(params, batch) -> (rows, pull_back, means) of `function`, which returns (rows, means); see `in_parts`.

    `pull_back` takes gradients of the rows to that of the params. It repeats the forward pass if there are parts.
    """
    def whole(params: PyTree, batch: PyTree):
        if parts == 1:
            rows, pull_back, means = jax.vjp(lambda params: function(params, batch), params, has_aux=True)
            return rows, lambda gradient: pull_back(gradient)[0], means

        def pulled(both, _):
            part, gradient = both
            return jax.vjp(lambda params: function(params, part)[0], params)[1](gradient)[0], ()

        def pull_back(gradient: PyTree) -> PyTree:
            return jax.tree.map(lambda x: parts * x, in_parts(pulled, parts, group)((batch, gradient), None)[0])

        means, rows = in_parts(lambda part, _: function(params, part)[::-1], parts, group)(batch, None)
        return rows, pull_back, means

    return whole
