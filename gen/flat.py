"""Trees of many arrays as a few long ones: what is computed entry by entry is then a few kernels in place of hundreds.

A deep network has hundreds of arrays, and its optimizer's step, its moving average and the norm of its gradient are
some kernels of each, which XLA compiles one by one: with 200 to 400 arrays a third of all kernels of a step, and of the
time to compile it. XLA's own concatenation and slices would be as many kernels again, so the copies are two foreign
functions, which come with those of `gen.networks.onednn`; without them and on other devices nothing is flat.

The copies cost time too: a step is up to 3 % longer, and one of 10 ms 8 %, measured on two cores. So trees of few
arrays, which compile soon, stay as they are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, PyTree

MANY = 100
"""Arrays from which on a tree is made flat."""

FUNCTIONS = ("gen_pack", "gen_unpack")
"""What the library has to define."""

_state = {"there": False}  # whether the two functions are registered with XLA, which is the process's too

Shapes = tuple[tuple[int, ...], ...]
Path = tuple[Any, ...]


def use(library: Any) -> None:
    """Makes trees flat from now on, by the functions of this C library."""
    for name in FUNCTIONS:
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    _state["there"] = True


@contextmanager
def without() -> Iterator[None]:
    """Trees of what is traced within are not made flat."""
    before = dict(_state)
    _state["there"] = False
    try:
        yield
    finally:
        _state.update(before)


def serves(tree: PyTree) -> bool:
    """Whether this tree is made flat: many arrays in float32, for one CPU."""
    leaves = jax.tree.leaves(tree)
    return (_state["there"] and len(leaves) >= MANY and all(x.dtype == jnp.float32 for x in leaves)
            and jax.device_count() == 1 and jax.default_backend() == "cpu")


def packed(tree: PyTree[Float[Array, "..."]]) -> dict[str, dict[str, Array]]:
    """One array for all of a tree's that have the same number of axes and the same name, the last of their path.

    It has as many axes and lies under that name too, so that what looks at names and axes alone finds what it found:
    {"4": {"kernel": [1 1 1 n]}, "1": {"bias": [m]}}.
    """
    def one(axes: str, arrays: Sequence[Array]) -> Array:
        return _pack.bind(*arrays, lead=0).reshape(*[1] * (int(axes) - 1), -1)

    return {axes: {name: one(axes, arrays) for name, arrays in named.items()} for axes, named in _groups(tree).items()}


def unpacked(flat: dict[str, dict[str, Array]], like: PyTree[Float[Array, "..."]]) -> PyTree[Float[Array, "..."]]:
    """The tree of the shapes of `like` whose `packed` this is."""
    parts = {axes: {name: iter(_unpack.bind(flat[axes][name].ravel(), shapes=tuple(x.shape for x in arrays), lead=0))
                    for name, arrays in named.items()} for axes, named in _groups(like).items()}
    return jax.tree_util.tree_map_with_path(lambda path, x: next(parts[_axes(x)][_name(path)]), like)


def shortest(tree: PyTree) -> PyTree:
    """The same entries: the flat tree where this one is made flat, else the tree."""
    return packed(tree) if serves(tree) else tree


def entrywise(function: Callable) -> Callable:
    """`function`, which computes entries of trees from those of the same place alone, on flat trees where they serve.

    Every tree of its arguments and results that is built as its first argument is, inside of others too, is flat for
    it. Equal entry by entry to `function` itself, but for how XLA rounds fused products.
    """
    def whole(*trees: PyTree) -> PyTree:
        if not serves(trees[0]):
            return function(*trees)
        like = trees[0]
        built, flat = jax.tree.structure(like), jax.tree.structure(jax.eval_shape(packed, like))
        results = function(*_changed(trees, built, packed))
        return _changed(results, flat, lambda tree: unpacked(tree, like))

    return whole


def _changed(trees: PyTree, built: Any, change: Callable) -> PyTree:
    """With `change` of every tree inside that is built so."""
    def found(tree: PyTree) -> bool:
        return jax.tree.structure(tree) == built

    return jax.tree.map(lambda tree: change(tree) if found(tree) else tree, trees, is_leaf=found)


def _groups(tree: PyTree) -> dict[str, dict[str, list[Array]]]:
    groups: dict[str, dict[str, list[Array]]] = {}
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        groups.setdefault(_axes(x), {}).setdefault(_name(path), []).append(x)
    return groups


def _axes(x: Array) -> str:
    return str(max(1, x.ndim))


def _name(path: Path) -> str:
    return jax.tree_util.keystr(path[-1:], simple=True)


def _packed_by_xla(*arrays: Array, lead: int) -> Array:
    """What programs for other platforms have in place of the first function."""
    return jnp.concatenate([x.reshape(*x.shape[:lead], -1) for x in arrays], axis=-1)


def _unpacked_by_xla(flat: Array, *, shapes: Shapes, lead: int) -> list[Array]:
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = jnp.split(flat, ends[:-1], axis=-1)
    return [x.reshape(*flat.shape[:lead], *shape) for x, shape in zip(parts, shapes, strict=True)]


def _pack_shape(*arrays: Any, lead: int) -> jax.core.ShapedArray:
    n = sum(math.prod(x.shape[lead:]) for x in arrays)
    return jax.core.ShapedArray((*arrays[0].shape[:lead], n), arrays[0].dtype)


def _unpack_shapes(flat: Any, *, shapes: Shapes, lead: int) -> list[jax.core.ShapedArray]:
    return [jax.core.ShapedArray((*flat.shape[:lead], *shape), flat.dtype) for shape in shapes]


def _pack_batched(arrays: Sequence[Array], dims: Sequence[int | None], *, lead: int) -> tuple[Array, int]:
    """Under `vmap`: a row of the flat array for each."""
    (size,) = {x.shape[d] for x, d in zip(arrays, dims, strict=True) if d is not None}
    rows = [jnp.broadcast_to(x, (size, *x.shape)) if d is None else jnp.moveaxis(x, d, 0)
            for x, d in zip(arrays, dims, strict=True)]
    return _pack.bind(*rows, lead=lead + 1), 0


def _unpack_batched(arrays: Sequence[Array], dims: Sequence[int], *, shapes: Shapes, lead: int
                    ) -> tuple[list[Array], list[int]]:
    return _unpack.bind(jnp.moveaxis(arrays[0], dims[0], 0), shapes=shapes, lead=lead + 1), [0] * len(shapes)


def _pack_transposed(cotangent: Array, *arrays: Any, lead: int) -> list[Array]:
    return _unpack.bind(cotangent, shapes=tuple(x.aval.shape[lead:] for x in arrays), lead=lead)


def _unpack_transposed(cotangents: Sequence[Any], flat: Any, *, shapes: Shapes, lead: int) -> list[Array]:
    return [_pack.bind(*map(ad.instantiate_zeros, cotangents), lead=lead)]


def _primitive(name: str, by_xla: Callable, shapes: Callable, batched: Callable, transposed: Callable) -> Primitive:
    made = Primitive(name)
    made.multiple_results = name == "gen_unpack"
    made.def_abstract_eval(shapes)
    made.def_impl(lambda *args, **params: jax.jit(partial(made.bind, **params))(*args))
    lowered = jax.ffi.ffi_lowering(name)
    mlir.register_lowering(made, lambda ctx, *args, **params: lowered(ctx, *args), platform="cpu")
    mlir.register_lowering(made, mlir.lower_fun(by_xla, multiple_results=made.multiple_results))
    batching.primitive_batchers[made] = batched
    ad.deflinear2(made, transposed)
    return made


_pack = _primitive("gen_pack", _packed_by_xla, _pack_shape, _pack_batched, _pack_transposed)
_unpack = _primitive("gen_unpack", _unpacked_by_xla, _unpack_shapes, _unpack_batched, _unpack_transposed)
