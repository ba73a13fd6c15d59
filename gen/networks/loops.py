"""Equal layers one after the other as one loop, so that thirty of them compile in the time of one.

XLA compiles each call anew, equal or not; only the body of a loop is compiled once. Initial values are made layer by
layer. Then the variables of a run of equal layers are stacked along a first axis, and the modules of its first layer
hold them all (`stacked`); the others have none, by which `in_turn` knows a run.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.tree_util import PyTreeDef
from jaxtyping import PyTree

LOOPED = 6
"""Equal layers from which on they are a loop, whose steps take some 10 % longer on a CPU."""

LOOPED_WIDE, WIDE = 3, 100_000
"""The same for layers of so many parameters, beside whose work a loop is nothing."""

LayerStep = Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]
"""(a layer, what goes on, the layer's input) -> (what goes on, the layer's output)."""

ModulePath = tuple[str, ...]
EqualLayers = tuple[tuple[ModulePath, ...], ...]
"""Of each module of a layer: where it is in each of the layers of the run."""

Collections = dict[str, PyTree]
"""Variables as flax has them: kind, then the path of the module."""


def in_turn(step: LayerStep, layers: Sequence[PyTree], carry: PyTree, inputs: Sequence[PyTree] | None = None
            ) -> tuple[PyTree, list[PyTree]]:
    """What goes on after the last layer, and each layer's output: `step` of each layer in turn.

    While initial values are made, the runs of equal layers are noted for `stacked`.

    Args:
      layers: bound modules of each, in any structure, beside values that do not change.
      inputs: of each layer; None for none.
    """
    inputs = [None] * len(layers) if inputs is None else list(inputs)
    first = next(iter(_modules(layers)), None)
    if first is None or first.is_mutable_collection("params"):
        return _one_by_one(step, layers, carry, inputs)
    outputs = []
    starts = [i for i, layer in enumerate(layers) if not i or any(module.variables for module in _modules(layer))]
    for start, stop in pairwise([*starts, len(layers)]):
        if stop - start == 1:
            carry, output = step(layers[start], carry, inputs[start])
            outputs.append(output)
        else:
            carry, found = _looped(step, layers[start], carry, inputs[start:stop])
            outputs += found
    return carry, outputs


def stacked(collections: Collections) -> Collections:
    """Initial variables with those of runs of equal layers stacked, held by the modules of their first layer."""
    flat = {name: flatten_dict(of) for name, of in collections.items() if name != "runs"}
    for run in collections.get("runs", {}).get("found", ()):
        for paths in run:
            for of in flat.values():
                for key in [key for key in of if key[:len(paths[0])] == paths[0]]:
                    of[key] = jnp.stack([of[key], *(of.pop((*path, *key[len(path):])) for path in paths[1:])])
    return {name: unflatten_dict(of) for name, of in flat.items()}


def _modules(layers: PyTree) -> list[nn.Module]:
    return [leaf for leaf in jax.tree.leaves(layers) if isinstance(leaf, nn.Module)]


def _one_by_one(step: LayerStep, layers: Sequence[PyTree], carry: PyTree, inputs: Sequence[PyTree]
                ) -> tuple[PyTree, list[PyTree]]:
    """Each layer by itself; the runs of equal ones are noted, inner ones before those that hold them."""
    outputs, forms = [], []
    for layer, each in zip(layers, inputs, strict=True):
        before = carry
        carry, output = step(layer, carry, each)
        outputs.append(output)
        leaves, structure = jax.tree.flatten(layer)
        keeps = _shapes(before) == _shapes(carry)
        forms.append((structure, [leaf.unbind()[0] if isinstance(leaf, nn.Module) else leaf for leaf in leaves],
                      _shapes([module.variables for module in _modules(layer)]), _shapes((each, output)), keeps))
    starts = [i for i in range(len(forms)) if not i or not forms[i][-1] or forms[i] != forms[i - 1]]
    parts = [layers[start:stop] for start, stop in pairwise([*starts, len(forms)])]
    runs = [part for part in parts if len(part) >= (LOOPED_WIDE if _parameters(part[0]) >= WIDE else LOOPED)]
    if runs:
        root = _modules(runs[0])[0].scope.root
        found = [_places(run) for run in runs]
        root.put_variable("runs", "found", (*root.get_variable("runs", "found", ()), *found))
    return carry, outputs


def _parameters(layer: PyTree) -> int:
    return sum(leaf.size for module in _modules(layer) for leaf in jax.tree.leaves(module.variables.get("params", {})))


def _places(run: Sequence[PyTree]) -> EqualLayers:
    return tuple(tuple(module.path for module in each) for each in zip(*map(_modules, run), strict=True))


def _shapes(tree: PyTree) -> tuple:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


class Inputs(NamedTuple):
    """The leaves that the inputs of all layers share, None where each has its own, and the structure of an input."""

    leaves: list[PyTree]
    structure: PyTreeDef

    def filled(self, own: Sequence[PyTree]) -> PyTree:
        """An input, with a layer's own leaves where nothing is shared."""
        rest = iter(own)
        return jax.tree.unflatten(self.structure, [next(rest) if v is None else v for v in self.leaves])


def shared(inputs: Sequence[PyTree]) -> tuple[Inputs, list[PyTree]]:
    """What the inputs have in common, and the leaves that differ, stacked.

    An array that all layers see, as the features of a resolution, is not copied for each, nor is its gradient.
    """
    flat, structure = [jax.tree.leaves(each) for each in inputs], jax.tree.structure(inputs[0])
    same = [all(leaf is first for leaf in others) for first, *others in zip(*flat, strict=True)]
    common = [leaf if is_same else None for leaf, is_same in zip(flat[0], same, strict=True)]
    own = [jnp.stack(leaves) for leaves, is_same in zip(zip(*flat, strict=True), same, strict=True) if not is_same]
    return Inputs(common, structure), own


def _looped(step: LayerStep, layer: PyTree, carry: PyTree, inputs: Sequence[PyTree]) -> tuple[PyTree, list[PyTree]]:
    """The run whose first layer this is, with these inputs."""
    modules, count = _modules(layer), len(inputs)
    mutable = sorted({name for module in modules for name in module.variables if module.is_mutable_collection(name)})
    keys = {name: jax.random.split(modules[0].make_rng(name), (len(modules), count)) for name in modules[0].scope.rngs}
    leaves, structure = jax.tree.flatten(layer)
    unbound = [leaf.unbind()[0] if isinstance(leaf, nn.Module) else leaf for leaf in leaves]

    def body(common: Inputs, carry: PyTree, mine: tuple) -> tuple[PyTree, tuple[PyTree, list[Collections]]]:
        variables, keys, given = mine
        given = common.filled(given)
        bound = [module.bind(of, rngs=rngs, mutable=mutable) for module, of, rngs in zip(
            (leaf for leaf in unbound if isinstance(leaf, nn.Module)), variables, keys, strict=True)]
        turns = iter(bound)
        own = [next(turns) if isinstance(leaf, nn.Module) else leaf for leaf in unbound]
        carry, output = step(jax.tree.unflatten(structure, own), carry, given)
        return carry, (output, [{name: module.variables.get(name, {}) for name in mutable} for module in bound])

    stacks = ([module.variables for module in modules],
              [{name: of[i] for name, of in keys.items()} for i in range(len(modules))])
    starts = [i for i in range(count) if not i or _shapes(inputs[i]) != _shapes(inputs[i - 1])]
    outputs, parts = [], []
    for start, stop in pairwise([*starts, count]):  # inputs of one form are one loop
        of_part = jax.tree.map(lambda v, start=start, stop=stop: v[start:stop], stacks)
        common, given = shared(inputs[start:stop])
        carry, (found, changed) = jax.lax.scan(partial(body, common), carry, (*of_part, given))
        outputs += [jax.tree.map(lambda v, i=i: v[i], found) for i in range(stop - start)]
        parts.append(changed)
    for module, collections in zip(modules, jax.tree.map(lambda *v: jnp.concatenate(v), *parts), strict=True):
        for name, values in collections.items():
            for key, value in values.items():
                module.put_variable(name, key, value)
    return carry, outputs
