"""MNIST, Fashion-MNIST and CIFAR-10, kept by TensorFlow Datasets in array_record files, without TensorFlow.

`prepare` writes a set once, from the originals (`gen.data.originals`); the functions named after the sets read it.
The library is imported where it is used: it takes a second that other data sets need not spend.
"""

import contextlib
import io
import os
import shutil
from pathlib import Path

import numpy as np

from gen.data import originals
from gen.errors import UserError, lookup

Splits = tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]

CLASSES = 10
SET_VERSION = "1.0.0"
SHAPES = {"mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
"""Set to the shape of one of its images."""


def mnist(train_examples: int = 0, test_examples: int = 0) -> Splits:
    """Handwritten digits, 28x28 grey: 60,000 to train on, 10,000 to test on.

    Args:
      train_examples, test_examples: keep the first so many images; 0 keeps all.
    Returns:
      train, test, number of classes; the official splits in their order.
    Raises:
      UserError: where the set is not prepared, or a file of it is corrupt.
    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document Recognition, 1998.
    """
    return _load("mnist", train_examples, test_examples)


def fashion_mnist(train_examples: int = 0, test_examples: int = 0) -> Splits:
    """Articles of clothing in the format of MNIST (H. Xiao, K. Rasul, R. Vollgraf, 2017); see `mnist`."""
    return _load("fashion_mnist", train_examples, test_examples)


def cifar10(train_examples: int = 0, test_examples: int = 0) -> Splits:
    """Natural images of 10 kinds, 32x32 RGB: 50,000 and 10,000 (A. Krizhevsky, 2009); see `mnist`."""
    return _load("cifar10", train_examples, test_examples)


def data_dir() -> Path:
    """Returns the folder of prepared sets: $GEN_DATA_DIR, or ~/.cache/gen."""
    return Path(os.environ.get("GEN_DATA_DIR") or "~/.cache/gen").expanduser()


def is_prepared(name: str, directory: Path) -> bool:
    """Says whether `directory` holds the complete set."""
    return (_folder(name, directory) / "dataset_info.json").exists()


def prepare(name: str, directory: Path, from_dir: Path | None = None) -> Path:
    """Writes the set as array_record files, replacing one that is there, and returns their folder.

    The originals are those in `from_dir`, else downloaded to `directory`/downloads and kept. The set takes its name
    only when it is complete.

    Raises:
      UserError: for an unknown set, and originals that are missing, corrupt or out of reach.
    """
    lookup(SHAPES, name, "image set")
    if from_dir is None:
        from_dir = directory / "downloads" / name
        originals.fetch(name, from_dir)
    splits = originals.read(name, from_dir)
    shutil.rmtree(_folder(name, directory), ignore_errors=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _write(_builder(name, directory, splits))
    return _folder(name, directory)


def _folder(name: str, directory: Path) -> Path:
    return Path(directory) / name / SET_VERSION


def _write(builder) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=config)


def _builder(name: str, directory: Path, splits: dict[str, originals.Images] | None = None):
    """Returns the set's TFDS builder; only one that is to write needs `splits`."""
    import tensorflow_datasets as tfds

    image = tfds.features.Tensor(shape=SHAPES[name], dtype=np.uint8, encoding="bytes")
    features = {"x": image, "label": tfds.features.ClassLabel(num_classes=CLASSES)}

    class Info(tfds.core.DatasetInfo):
        """Does not ask TFDS's server for the description of its own set of the same name."""

        def initialize_from_bucket(self):
            pass

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """Keeps the order of the examples, which TFDS would shuffle otherwise."""

        VERSION = tfds.core.Version(SET_VERSION)
        code_path = None  # else TFDS 4.9.10 imports importlib_resources, on which it does not depend: issue 11212

        def _info(self):
            return Info(builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True)

        def _split_generators(self, _):
            return {split: self._generate_examples(*arrays) for split, arrays in splits.items()}

        def _generate_examples(self, x, label):
            for i in range(len(x)):
                yield i, {"x": x[i], "label": int(label[i])}

    Builder.name = name
    return Builder(data_dir=os.fspath(directory), file_format="array_record")


def _load(name: str, train_examples: int, test_examples: int) -> Splits:
    directory = data_dir()
    if not is_prepared(name, directory):
        raise UserError(
            f"Data set {name!r} is not in {directory}: run `python scripts/prepare_data.py --dataset={name}` first."
        )
    with _naming(_folder(name, directory) / "dataset_info.json", name):
        builder = _builder(name, directory)
        wanted = {"train": train_examples, "test": test_examples}
        sizes = {split: n or builder.info.splits[split].num_examples for split, n in wanted.items()}
    return *(_read(builder, split, size) for split, size in sizes.items()), CLASSES


@contextlib.contextmanager
def _naming(path: os.PathLike, name: str):
    """Turns any error of the libraries that read `path` into one that names the file and says what to do."""
    try:
        yield
    except Exception as error:
        command = f"python scripts/prepare_data.py --dataset={name} --overwrite"
        raise UserError(f"{path} is missing or corrupt: `{command}` writes it again.") from error


def _read(builder, split: str, examples: int) -> dict[str, np.ndarray]:
    """Reads the first `examples` of a split, file by file."""
    info = builder.info.splits[split]
    parts, wanted = [], examples
    for shard, (path, length) in enumerate(zip(info.filepaths, info.shard_lengths, strict=True)):
        if wanted > 0:
            with _naming(path, builder.name):
                parts.append(_read_file(builder, f"{split}[{shard}shard:{shard + 1}shard]", min(length, wanted)))
        wanted -= length
    return {key: np.concatenate([part[key] for part in parts]) for key in ("x", "label")}


def _read_file(builder, split: str, examples: int) -> dict[str, np.ndarray]:
    """Returns the arrays of one file; parsing the tf.train.Example messages here takes a fifth of TFDS's own time."""
    from tensorflow_datasets.core.decode import DeserializeMethod
    from tensorflow_datasets.proto import tf_example_pb2

    source = builder.as_data_source(split=split, deserialize_method=DeserializeMethod.RAW_BYTES)
    records = source.__getitems__(range(examples))
    features = [tf_example_pb2.Example.FromString(record).features.feature for record in records]
    pixels = b"".join(feature["x"].bytes_list.value[0] for feature in features)
    label = np.array([feature["label"].int64_list.value[0] for feature in features], np.int32)
    return {"x": np.frombuffer(pixels, np.uint8).reshape(examples, *SHAPES[builder.name]), "label": label}
