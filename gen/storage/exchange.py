"""A trained model as files that other programs read too: its tensors in safetensors, what it is in `config.json`.

Of the TrainState all is kept but the optimizers', so that whatever a run can do but train on is the same, bit for bit.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import UserError
from gen.evaluation.pretrained.checkpoint import Tensors, read, safetensors
from gen.families import TrainState
from gen.files import write_atomically

WEIGHTS, CONFIG, CARD, SAMPLES = "model.safetensors", "config.json", "README.md", "samples.png"
"""What the folder of an exported model holds."""

FORMAT = "gen model 1"


def exported(folder: Path) -> bool:
    """Whether the folder holds an exported model, not a run."""
    return (folder / WEIGHTS).exists()


def write(folder: Path, state: TrainState, description: Mapping[str, Any]) -> None:
    """Writes the tensors of a state and the description of its run. Raises a UserError where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}.") from error
    tensors = {name: np.asarray(leaf) for name, leaf in named(bare(state)).items()}
    about = {"format": FORMAT, "step": int(state.step)}
    write_atomically(folder / WEIGHTS, safetensors(tensors, {"format": FORMAT}))
    write_atomically(folder / CONFIG, json.dumps(about | dict(description), indent=2))


def bare(state: TrainState) -> TrainState:
    """The state without the optimizers', its key as numbers."""
    return state.replace(opt_state={}, key=jax.random.key_data(state.key))


def named(state: TrainState) -> dict[str, Any]:
    """The arrays of a bare state, or their shapes, by their places, "params.generator.Dense_0.kernel"."""
    leaves, _ = jax.tree.flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def restore(folder: Path, abstract: TrainState) -> TrainState:
    """The state of an exported model; `abstract` is that of its config, as `jax.eval_shape` gives it.

    Raises a UserError of one line where the file is damaged, is no safetensors, or holds other tensors.
    """
    path = folder / WEIGHTS
    found = read(path)
    shapes = jax.eval_shape(bare, abstract)
    wanted = named(shapes)
    check(path, found, wanted)
    state = jax.tree.unflatten(jax.tree.structure(shapes), [jnp.asarray(found[name]) for name in wanted])
    return state.replace(key=jax.random.wrap_key_data(state.key))


def check(path: Path, found: Tensors, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> None:
    """Raises a UserError for the first tensor that is missing, of another shape or type, or of no use."""
    for name, leaf in wanted.items():
        if name not in found:
            raise UserError(f"{path} lacks the tensor {name!r} of this config: it is of another model.")
        array = found[name]
        if array.shape != leaf.shape or array.dtype != leaf.dtype:
            raise UserError(f"{path}: the tensor {name!r} is {array.dtype}{list(array.shape)}, and this config has "
                            f"{leaf.dtype}{list(leaf.shape)}.")
    if extra := sorted(found.keys() - wanted.keys()):
        raise UserError(f"{path} has a tensor {extra[0]!r}, which this config has not: it is of another model.")
