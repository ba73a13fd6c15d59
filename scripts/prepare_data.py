"""Prepares an image data set for training: `python scripts/prepare_data.py --dataset=mnist [--from_dir=DIR]`.

Takes the originals from DIR, or downloads them, checks their checksums, and writes array_record files.
"""

from pathlib import Path

from absl import flags

from gen import launch
from gen.data import images
from gen.errors import lookup
from gen.files import user_path

DATASET = flags.DEFINE_string("dataset", None, f"One of {', '.join(images.SHAPES)}.", required=True)
FROM_DIR = flags.DEFINE_string("from_dir", None, "Folder of the originals; without it they are downloaded.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared sets are kept; default $GEN_DATA_DIR or ~/.cache/gen.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Write a set again that is already prepared.")


def main() -> int:
    directory = user_path(DATA_DIR.value) if DATA_DIR.value else images.data_dir()
    lookup(images.SHAPES, DATASET.value, "image set")
    if images.is_prepared(DATASET.value, directory) and not OVERWRITE.value:
        print(f"{DATASET.value} is already prepared in {directory}; --overwrite writes it again.")
        return 0
    folder = images.prepare(DATASET.value, directory, Path(FROM_DIR.value) if FROM_DIR.value else None)
    print(f"{DATASET.value} is prepared in {folder}.")
    return 0


if __name__ == "__main__":
    launch.command(main)
