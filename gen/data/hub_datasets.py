"""Image sets of the Hugging Face Hub, or saved by its library `datasets`, which is an extra (`gen[datasets]`)."""

import numpy as np

from gen.config.ranges import Count, Natural
from gen.data.folder import MODES, square
from gen.data.streaming import RESIDENT_BYTES
from gen.errors import UserError, extra, nearest, reason
from gen.files import user_path

Splits = tuple[dict[str, np.ndarray], dict[str, np.ndarray], int | tuple[str, ...]]


def hugging_face(path: str, subset: str = "", train_split: str = "train", test_split: str = "test", image: str = "",
                 label: str = "", size: Count = 64, channels: Count = 3, train_examples: Natural = 0,
                 test_examples: Natural = 0) -> Splits:
    """Squares of `size` pixels of the images of a data set by name, "ylecun/mnist", or saved by `save_to_disk`.

    Args:
      path: the name on the Hub, or the folder.
      subset: of a set that has several.
      train_split, test_split: names of its splits.
      image, label: names of its columns; by default the first one of images, and the first one of classes, if any.
      size, channels: of the images, cut and resized as those of a folder; in memory.
      train_examples, test_examples: keep the first so many; 0 keeps all.
    Returns:
      train, test, names of the classes, 0 without labels.
    Raises:
      UserError: the library is not installed, no such set, split or column, a column of no images or classes, more than
        fits in memory, options out of range.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"config.data.name='hugging_face' needs the library: {extra('datasets')}.") from error
    if channels not in MODES or not 1 <= size <= 4_096:
        raise UserError(f"config.data: channels={channels} must be 1 or 3, size={size} in 1..4096.")
    folder = user_path(path)
    try:
        found = datasets.load_from_disk(str(folder)) if folder.is_dir() else datasets.load_dataset(path, subset or None)
    except Exception as error:  # of the network, the Hub, or a file
        raise UserError(f"config.data.path={path}: cannot be read: {reason(error)}.") from error
    splits = found if isinstance(found, datasets.DatasetDict) else {train_split: found}
    for key, split in (("train_split", train_split), ("test_split", test_split)):
        if split not in splits:
            raise UserError(f"config.data.{key}={split!r}: {path} has no such split.{nearest(split, list(splits))}")
    features = splits[train_split].features
    image = image or next((name for name, kind in features.items() if isinstance(kind, datasets.Image)), "")
    label = label or next((name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)), "")
    if not isinstance(features.get(image), datasets.Image):
        raise UserError(f"config.data.image={image!r}: {path} has no such column of images; it has "
                        f"{', '.join(features)}.")
    if label and not isinstance(features.get(label), datasets.ClassLabel):
        raise UserError(f"config.data.label={label!r}: {path} has no such column of classes; it has "
                        f"{', '.join(features)}.")
    parts = [_read(path, splits[split], most, image, label, size, channels)
             for split, most in ((train_split, train_examples), (test_split, test_examples))]
    return *parts, tuple(features[label].names) if label else 0


def _read(path: str, rows, most: int, image: str, label: str, size: int, channels: int) -> dict[str, np.ndarray]:
    rows = rows.select(range(min(most or len(rows), len(rows))))
    if (total := len(rows) * size**2 * channels) > RESIDENT_BYTES:
        raise UserError(f"config.data.path={path}: {len(rows):,} images of {size} x {size} take {total:,} bytes: keep "
                        "fewer by train_examples.")
    try:
        x = np.stack([square(row, size, channels) for row in rows[image]])
    except Exception as error:  # Pillow's decoders raise errors of many types
        raise UserError(f"config.data.path={path}: an image cannot be read: {reason(error)}.") from error
    labels = np.asarray(rows[label], np.int32) if label else np.zeros(0, np.int32)
    if (labels < 0).any():
        raise UserError(f"config.data.path={path}: some labels in its column {label} are -1, as of a split without "
                        "labels: choose another split, or another config.data.label.")
    return {"x": x} | ({"label": labels} if label else {})
