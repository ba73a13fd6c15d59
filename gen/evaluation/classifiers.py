"""The classifiers that are kept: each under the name of its data set, as arrays in one npz file.

Images of MNIST are always the same; those of other sets depend on their options. So the name of a classifier of such a
set ends in a digest of what an image and its label are there, and that of a folder has the folder's name too:
`folder-flowers-1a2b3c4d`. One of another network than LeNet has that name last, `cifar10-convnet`. A folder that is
moved keeps its classifier, one that is renamed needs another.
"""

import hashlib
import inspect
import io
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from gen.data import SOURCES, Dataset, Spec
from gen.data import load as load_data
from gen.data.images import SHAPES
from gen.errors import UserError, reason
from gen.evaluation.classifier import Classifier, accuracy, check, train
from gen.files import check_writable, user_path, write_atomically

FOLDER = "runs/classifiers"
"""Where classifiers are kept, each in a folder of its name."""

PLAIN = "lenet"
"""The network of a classifier without a name of its own."""

OF_CHANNELS = {"stacked_mnist": "mnist", "stacked_mnist_fixed": "mnist"}
"""Data set to the data set whose classifier reads each of its channels; every other set has its own classifier."""

FIXED = ("digits", "mnist_small", *SHAPES)
"""Data sets of which no option changes an image."""

OF_NUMBERS = frozenset({"path", "loading", "workers", "examples", "train_examples", "test_examples", "test_fraction",
                        "seed"})
"""Options that say how many examples there are, which and where, and not what they look like."""

OF_MEMORY = frozenset({"loading", "workers"})
"""Options that change no example."""

Data = Mapping | ConfigDict
"""The section `data` of a config."""


def options(data: Data) -> dict[str, Any]:
    """The data source's own options, by its defaults where the section leaves them out."""
    parameters = inspect.signature(SOURCES[data["name"]]).parameters
    return {name: data.get(name, parameter.default) for name, parameter in parameters.items()}


def name_of(data: Data, spec: Spec, network: str = PLAIN) -> str:
    """The name of the classifier that reads this data set, of this network."""
    last = [] if network == PLAIN else [network]
    name = OF_CHANNELS.get(data["name"], data["name"])
    if name in FIXED:
        return "-".join([name, *last])
    image = {key: value for key, value in options(data).items() if key not in OF_NUMBERS}
    text = json.dumps([image, list(spec.shape), list(spec.class_names) or spec.classes], sort_keys=True)
    of_folder = [_word(user_path(data["path"]).resolve().name)] if "path" in data else []
    return "-".join([name, *of_folder, hashlib.sha256(text.encode()).hexdigest()[:8], *last])


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", text).strip("._") or "images"


def train_command(data: Data, spec: Spec, folder: Path | str = FOLDER, network: str = PLAIN) -> str:
    """The shell command that trains the classifier of a data set into `folder`."""
    name, kept = OF_CHANNELS.get(data["name"], data["name"]), name_of(data, spec, network)
    words = ["python", "scripts/train_classifier.py", f"--dataset={name}"]
    words += [] if network == PLAIN else [f"--network={network}"]
    if name not in FIXED:
        parameters = inspect.signature(SOURCES[name]).parameters
        words += [f"--config.data.{key}={_typed(value)}" for key, value in options(data).items()
                  if key not in OF_MEMORY and value != parameters[key].default]
    if str(folder) != FOLDER:
        words.append(f"--out={Path(folder) / kept}")
    return shlex.join(words)


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def make_folder(folder: Path) -> None:
    """Makes the folder of a classifier. Raises a UserError where none can be kept there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: the classifier cannot be written: {error.strerror}.") from error
    check_writable(folder / "weights.npz")


def save(classifier: Classifier, folder: Path | str, facts: Mapping) -> Path:
    """Writes weights.npz, and `facts` (test accuracy, protocol) as facts.json, into `folder`. Returns it.

    Raises a UserError where they cannot be written.
    """
    folder = Path(folder)
    arrays = {"/".join(path): array for path, array in flatten_dict(classifier.variables).items()}
    plain = {name: np.array(getattr(classifier, name)) for name in ("scale", "shape", "classes", "class_names")}
    content = io.BytesIO()
    np.savez(content, **plain, **arrays)
    make_folder(folder)
    write_atomically(folder / "weights.npz", content.getvalue())
    write_atomically(folder / "facts.json", json.dumps(dict(facts), indent=2) + "\n")
    return folder


def load(data: Data, spec: Spec, folder: Path | str = FOLDER, network: str = PLAIN) -> Classifier:
    """Reads the classifier of a data set, kept in `folder`.

    Raises:
      UserError: the data are points or have no labels, or the classifier is not there, cannot be read or is of other
        images or classes; the message says what to do.
    """
    _classifiable(data, spec)
    path = Path(folder) / name_of(data, spec, network) / "weights.npz"
    command = train_command(data, spec, folder, network)
    if not path.is_file():
        raise UserError(f"There is no classifier of {path.parent.name!r} in {path.parent}: train it with `{command}`.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        scale, shape, classes = (arrays.pop(name).tolist() for name in ("scale", "shape", "classes"))
        names = arrays.pop("class_names", np.array(())).tolist()
        variables = unflatten_dict({tuple(key.split("/")): array for key, array in arrays.items()})
        found = Classifier(variables, scale, tuple(shape), classes, tuple(names), network)
    except Exception as error:  # a damaged file raises errors of any type
        raise UserError(f"{path} cannot be read ({reason(error)}): `{command} --overwrite` writes it again.") from error
    _check_fit(found, path, data, spec, f"`{command} --overwrite` trains another")
    return found


def _classifiable(data: Data, spec: Spec) -> None:
    if len(spec.shape) != 3:
        raise UserError(f"Data set {data['name']!r} has points, not images to classify: set features=raw.")
    if spec.classes < 2:
        where = f" {data['path']}: its images do not lie in subfolders, the names of their classes" \
            if "path" in data else ""
        raise UserError(f"Data set {data['name']!r} has no labels to learn{where}: set features=raw.")


def _check_fit(found: Classifier, path: Path, data: Data, spec: Spec, advice: str) -> None:
    """Raises a UserError unless a classifier is of images of this shape, or of their channels, and of these classes."""
    shape, of_channels = tuple(spec.shape), data["name"] in OF_CHANNELS
    if found.shape != ((*shape[:2], 1) if of_channels else shape):
        raise UserError(f"The classifier in {path.parent} is of images {found.shape}, {data['name']!r} has {shape}: "
                        f"{advice}.")
    names = tuple(spec.class_names)
    if not of_channels and (found.classes != spec.classes or found.class_names not in ((), names)):
        raise UserError(f"The classifier in {path.parent} is of {_classes(found.classes, found.class_names)}, "
                        f"{data['name']!r} has {_classes(spec.classes, names)}: {advice}.")


def _classes(n: int, names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{n} classes" + (f" ({shown})" if names else "")


def train_and_save(data: Data, out: Path | str | None, steps: int, seed: int = 0, overwrite: bool = False,
                   network: str = PLAIN) -> int:
    """Trains the classifier of a data set, keeps it in `out` (by default in `FOLDER`, under its name), prints the
    progress; returns an exit code."""
    if data["name"] in OF_CHANNELS:
        raise UserError(f"--dataset={data['name']}: its channels are read by the classifier of "
                        f"{OF_CHANNELS[data['name']]!r}: train that one.")
    dataset: Dataset = load_data(data)
    folder = Path(out or f"{FOLDER}/{name_of(data, dataset.spec, network)}")
    if (folder / "facts.json").is_file() and not overwrite:
        print(f"{folder} holds a classifier already; --overwrite trains it again.")
        return 0
    check(dataset, seed)
    make_folder(folder)
    trained = train(dataset, steps=steps, seed=seed, network=network, report=lambda step, loss: print(
        f"step {step} of {steps}  loss {loss:.4f}", flush=True))
    facts = {"dataset": data["name"], "test_accuracy": accuracy(trained, dataset.test["x"], dataset.test["label"]),
             "test_images": len(dataset.test["x"]), "steps": steps, "seed": seed, "options": options(data),
             "network": network}
    print(f"{save(trained, folder, facts)}: {facts['test_accuracy']:.2%} of {facts['test_images']} test images right")
    return 0
