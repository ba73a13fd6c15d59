"""Published image sets, from MNIST to STL-10, kept by TensorFlow Datasets in array_record files, without TensorFlow.

`prepare` writes a set once, from the originals (`gen.data.originals`); the functions named after the sets read it.
The library is imported where it is used: it takes a second that other data sets need not spend.
"""

import contextlib
import fcntl
import functools
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gen.config.ranges import Natural
from gen.data import originals, streaming
from gen.errors import UserError, lookup
from gen.files import user_path

Splits = tuple[dict[str, np.ndarray] | dict[str, streaming.Column], dict[str, np.ndarray], int | tuple[str, ...]]

SET_VERSION = "1.0.0"
FORMER = "former"
"""Name of a set that makes room for a new one, until that is in its place."""

CLASS_NAMES = {
    "fashion_mnist": ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
                      "ankle boot"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
        "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
        "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
        "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
        "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
        "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
        "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
        "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
        "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
        "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    ),
    "stl10": ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
}
"""In the order of their labels; MNIST's and SVHN's labels are the digits."""

SHAPES = {"mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3), "cifar100": (32, 32, 3),
          "svhn": (32, 32, 3), "stl10": (96, 96, 3), "binarized_mnist": (28, 28, 1), "omniglot": (28, 28, 1)}
"""Set to the shape of one of its images."""

CLASSES = {"binarized_mnist": 0, "omniglot": 50}
"""Set to the number of its labels, where they have no names; the others have the ten digits."""


def mnist(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
          ) -> Splits:
    """Handwritten digits, 28x28 grey: 60,000 to train on, 10,000 to test on.

    Args:
      train_examples, test_examples: keep the first so many images; 0 keeps all.
      loading: a key of `streaming.LOADINGS`, of the training images; those of the test split are always in memory.
      workers: processes that read a streamed set; 0 reads in this process.
    Returns:
      train, test, number of classes; the official splits in their order.
    Raises:
      UserError: where the set is not prepared, or a file of it is corrupt.
    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document Recognition, 1998.
    """
    return _load("mnist", train_examples, test_examples, loading, workers)


def fashion_mnist(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
                  ) -> Splits:
    """Articles of clothing in the format of MNIST (H. Xiao, K. Rasul, R. Vollgraf, 2017); see `mnist`."""
    return _load("fashion_mnist", train_examples, test_examples, loading, workers)


def cifar10(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
            ) -> Splits:
    """Natural images of 10 kinds, 32x32 RGB: 50,000 and 10,000 (A. Krizhevsky, 2009); see `mnist`."""
    return _load("cifar10", train_examples, test_examples, loading, workers)


def cifar100(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
             ) -> Splits:
    """Natural images of 100 kinds, 32x32 RGB: 50,000 and 10,000 (A. Krizhevsky, 2009); see `mnist`."""
    return _load("cifar100", train_examples, test_examples, loading, workers)


def svhn(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
         ) -> Splits:
    """House numbers' digits, 32x32 RGB: 73,257 and 26,032 (Y. Netzer et al., 2011, cropped digits); see `mnist`."""
    return _load("svhn", train_examples, test_examples, loading, workers)


def stl10(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
          ) -> Splits:
    """Natural images of 10 kinds, 96x96 RGB: 5,000 and 8,000 with labels (A. Coates et al., 2011); see `mnist`."""
    return _load("stl10", train_examples, test_examples, loading, workers)


def binarized_mnist(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto",
                    workers: Natural = 1) -> Splits:
    """MNIST binarised once, the static MNIST of the literature: 60,000 and 10,000 images of 0 and 255, no labels.

    The last 10,000 training images are the published validation set: `data.validation=10000` takes them off
    (H. Larochelle, I. Murray, The Neural Autoregressive Distribution Estimator, 2011); see `mnist`.
    """
    return _load("binarized_mnist", train_examples, test_examples, loading, workers)


def omniglot(train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
             ) -> Splits:
    """Handwritten characters of 50 alphabets, 28x28 grey: 24,345 and 8,070 (B. Lake et al., 2015); see `mnist`.

    The split and the size are those of Burda et al. 2016; their pixels are rounded to 8 bits.
    """
    return _load("omniglot", train_examples, test_examples, loading, workers)


def data_dir() -> Path:
    """Returns the folder of prepared sets: $GEN_DATA_DIR, or ~/.cache/gen."""
    return user_path(os.environ.get("GEN_DATA_DIR") or "~/.cache/gen")


def is_prepared(name: str, directory: Path) -> bool:
    """Says whether `directory` holds the complete set."""
    return (_folder(name, directory) / "dataset_info.json").exists()


def prepare(name: str, directory: Path, from_dir: Path | None = None) -> Path:
    """Writes the set as array_record files, replacing one that is there, and returns their folder.

    The originals are those in `from_dir`, else downloaded to `directory`/downloads and kept. The set is written aside
    and takes its name when it is complete, so that one that is there stays until then, whatever happens.

    Raises:
      UserError: for an unknown set, originals that are missing, corrupt or out of reach, a folder that another process
        prepares the set in or that cannot be written, and too little space.
    """
    lookup(SHAPES, name, "image set")
    try:
        with _alone(name, directory) as aside:
            if from_dir is None:
                from_dir = directory / "downloads" / name
                originals.fetch(name, from_dir)
            splits = originals.read(name, from_dir)
            _check_space(sum(x.nbytes for x, _ in splits.values()), directory)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                _write(_builder(name, aside, splits))
            _exchange(_folder(name, aside), _folder(name, directory), aside / FORMER)
    except OSError as error:
        raise UserError(f"{error.filename or directory}: the set cannot be written: {error.strerror}.") from error
    return _folder(name, directory)


@contextlib.contextmanager
def _alone(name: str, directory: Path) -> Iterator[Path]:
    """Holds the set for this process and yields a folder beside it, which is removed, as are those of killed processes.

    Raises a UserError where another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f".{name}.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"Another process is preparing {name} in {directory}: wait for it.") from error
        for left in directory.glob(f".preparing.{name}.*"):
            if (left / FORMER).exists() and not _folder(name, directory).exists():
                (left / FORMER).rename(_folder(name, directory))
            shutil.rmtree(left, ignore_errors=True)
        aside = Path(tempfile.mkdtemp(prefix=f".preparing.{name}.", dir=directory))
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _check_space(size: int, directory: Path) -> None:
    """Raises a UserError unless `size` bytes and a tenth more are free where `directory` is."""
    free = shutil.disk_usage(directory).free
    if free < 1.1 * size:
        raise UserError(f"{directory}: {1.1 * size / 2**20:,.0f} MiB are needed and {free / 2**20:,.0f} MiB are free: "
                        "make room, or name another --data_dir.")


def _exchange(new: Path, place: Path, former: Path) -> None:
    """Puts the folder `new` at `place`, and what was there at `former`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(former)
    new.rename(place)


def _folder(name: str, directory: Path) -> Path:
    return Path(directory) / name / SET_VERSION


def _write(builder) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=config)


def _builder(name: str, directory: Path, splits: dict[str, originals.Images] | None = None):
    """Returns the set's TFDS builder; only one that is to write needs `splits`."""
    import tensorflow_datasets as tfds

    features = {"x": tfds.features.Tensor(shape=SHAPES[name], dtype=np.uint8, encoding="bytes")}
    if classes_of(name):
        features["label"] = tfds.features.ClassLabel(num_classes=classes_of(name))

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
                yield i, {"x": x[i]} | ({} if label is None else {"label": int(label[i])})

    Builder.name = name
    return Builder(data_dir=os.fspath(directory), file_format="array_record")


def _load(name: str, train_examples: int, test_examples: int, loading: str, workers: int) -> Splits:
    directory = data_dir()
    if not is_prepared(name, directory):
        raise UserError(
            f"Data set {name!r} is not in {directory}: run `python scripts/prepare_data.py --dataset={name}` first."
        )
    with _naming(_folder(name, directory) / "dataset_info.json", name):
        splits = _builder(name, directory).info.splits
        sizes = {split: splits[split].num_examples for split in ("train", "test")}
    train, test = (Prepared(name, directory, split, min(n or sizes[split], sizes[split]), workers)
                   for split, n in (("train", train_examples), ("test", test_examples)))
    return streaming.load(train, loading), streaming.load(test, "resident"), CLASS_NAMES.get(name, classes_of(name))


def classes_of(name: str) -> int:
    """The number of the set's labels."""
    return len(CLASS_NAMES.get(name, ())) or CLASSES.get(name, 10)


@contextlib.contextmanager
def _naming(path: object, name: str):
    """Turns any error of the libraries that read `path` into one that names the file and says what to do."""
    try:
        yield
    except Exception as error:
        command = f"python scripts/prepare_data.py --dataset={name} --overwrite"
        raise UserError(f"{path} is missing or corrupt: `{command}` writes it again.") from error


@dataclass(frozen=True)
class Prepared:
    """The first `examples` records of a split of a prepared set (`streaming.Records`)."""

    name: str
    directory: Path
    split: str
    examples: int
    workers: int

    def __reduce__(self):
        return Prepared, (self.name, self.directory, self.split, self.examples, self.workers)

    def __len__(self) -> int:
        return self.examples

    @property
    def fields(self) -> dict:
        """Of one example."""
        label = {"label": ((), np.int32)} if classes_of(self.name) else {}
        return {"x": (SHAPES[self.name], np.uint8)} | label

    @functools.cached_property
    def source(self):
        """TFDS's data source of the split's tf.train.Example messages, opened by the process that reads it."""
        from tensorflow_datasets.core.decode import DeserializeMethod

        builder = _builder(self.name, self.directory)
        return builder.as_data_source(split=self.split, deserialize_method=DeserializeMethod.RAW_BYTES)

    def read(self, indices: streaming.Rows) -> dict[str, np.ndarray]:
        """Returns the examples; where they cannot be had together, the first that cannot be had alone is named."""
        try:
            return self._read(indices)
        except Exception:
            for i in map(int, indices):
                with _naming(self._place(i), self.name):
                    self._read([i])
            raise

    def _read(self, indices: streaming.Rows) -> dict[str, np.ndarray]:
        """Parsing the messages here takes a fifth of TFDS's own time."""
        from tensorflow_datasets.proto import tf_example_pb2

        records = self.source.__getitems__(list(map(int, indices)))
        features = [tf_example_pb2.Example.FromString(record).features.feature for record in records]
        pixels = b"".join(feature["x"].bytes_list.value[0] for feature in features)
        found = {"x": np.frombuffer(pixels, np.uint8).reshape(len(features), *SHAPES[self.name])}
        if classes_of(self.name):
            found["label"] = np.array([feature["label"].int64_list.value[0] for feature in features], np.int32)
        return found

    def _place(self, i: int) -> str:
        """The place of record i: "record 3 of FILE"."""
        with _naming(_folder(self.name, self.directory) / "dataset_info.json", self.name):
            split = _builder(self.name, self.directory).info.splits[self.split]
        ends = np.cumsum(split.shard_lengths)
        shard = int(np.searchsorted(ends, i, side="right"))
        return f"Record {i - (ends[shard - 1] if shard else 0)} of {split.filepaths[shard]}"
