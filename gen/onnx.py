"""Functions of JAX as ONNX models, which ONNX Runtime runs without JAX; by jax2onnx, an extra (`gen[onnx]`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, Var

from gen.errors import UserError, extra, reason

CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
"""Primitive that calls a function to its parameter that has the function; derivatives are not needed here."""

TOLERANCE = 1e-4
"""Of the check of a model, absolute and relative."""


def converted(function: Callable[..., jax.Array], inputs: Mapping[str, jax.Array], output: str) -> bytes:
    """An ONNX model that computes function(*inputs), for inputs of these shapes and names, and the name of the output.

    ONNX Runtime computes it once for these inputs. Raises a UserError where the extra is not installed, where it cannot
    convert the function, and where the result is not the function's.
    """
    try:
        from jax2onnx import to_onnx
        from onnxruntime import InferenceSession
    except ImportError as error:
        raise UserError(f"ONNX models need a package: {extra('onnx')}.") from error
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs.values()]
    traced = jax.make_jaxpr(function)(*inputs.values())  # here: the converter changes what JAX's functions do meanwhile
    try:
        model = to_onnx(of_platform(traced, "cpu"), shapes, input_names=list(inputs), output_names=[output])
        written = model.SerializeToString()
        (found,) = InferenceSession(written).run(None, {name: np.asarray(x) for name, x in inputs.items()})
    except Exception as error:  # each plugin of the converter has types of its own
        raise UserError(f"jax2onnx cannot convert this model: {reason(error)}") from error
    if not np.allclose(found, function(*inputs.values()), rtol=TOLERANCE, atol=TOLERANCE):
        raise UserError("jax2onnx converts this model wrongly: ONNX Runtime's output differs from the model's.")
    return written


def of_platform(traced: ClosedJaxpr, platform: str) -> Callable[..., jax.Array]:
    """The traced function, whose `lax.platform_dependent` takes this platform's branch: ONNX has no platforms.

    On the CPU convolutions are matrix products (`gen.networks.layers`), which the converter knows; it does not know
    transposed ones.
    """
    def plain(*args: jax.Array) -> jax.Array:
        (result,) = _evaluated(traced, args, platform)
        return result
    return plain


def _evaluated(closed: ClosedJaxpr, args: Sequence[Any], platform: str) -> list[Any]:
    known = dict(zip([*closed.jaxpr.constvars, *closed.jaxpr.invars], [*closed.consts, *args], strict=True))

    def value(atom: Var | Literal) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for eqn in closed.jaxpr.eqns:
        known |= zip(eqn.outvars, _outputs(eqn, [value(atom) for atom in eqn.invars], platform), strict=True)
    return [value(atom) for atom in closed.jaxpr.outvars]


def _outputs(eqn: JaxprEqn, args: Sequence[Any], platform: str) -> Sequence[Any]:
    if eqn.primitive.name == "platform_index":
        return [None]
    if platforms := eqn.params.get("branches_platforms"):
        branch = next(i for i, names in enumerate(platforms) if names is None or platform in names)
        return _evaluated(eqn.params["branches"][branch], args[1:], platform)
    if called := CALLS.get(eqn.primitive.name):
        return _evaluated(eqn.params[called], args, platform)
    if eqn.primitive.name == "stack":  # the converter does not know it
        axis = eqn.params["axis"]
        return [lax.concatenate([lax.expand_dims(part, (axis,)) for part in args], axis)]
    found = eqn.primitive.bind(*args, **eqn.params)
    return found if eqn.primitive.multiple_results else [found]
