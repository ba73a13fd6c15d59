import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags
from absl.testing import flagsaver

from gen.data import images, load, originals
from gen.errors import UserError
from tests.environment import ROOT, environment


def run(*command):
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def prepare_data(**flags):
    """Runs the script's main with these flags, in this process."""
    spec = importlib.util.spec_from_file_location("prepare_data", ROOT / "scripts/prepare_data.py")
    script = importlib.util.module_from_spec(spec)
    with flagsaver.flagsaver():
        spec.loader.exec_module(script)
        for name, value in flags.items():
            absl_flags.FLAGS[name].value = str(value) if isinstance(value, Path) else value
        absl_flags.FLAGS.mark_as_parsed()
        script.main()


@pytest.fixture
def prepared(tiny_mnist, tmp_path, monkeypatch):
    """(folder of the prepared tiny MNIST, its splits); it is the default data folder."""
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "sets"))
    return images.prepare("mnist", images.data_dir(), tiny_mnist[0]), tiny_mnist[1]


def test_official_splits_in_their_order(prepared):
    data = load({"name": "mnist"})
    assert data.spec[:3] == ((28, 28, 1), 10, "unit")
    for part, (x, label) in ((data.train, prepared[1]["train"]), (data.test, prepared[1]["test"])):
        np.testing.assert_array_equal(part["x"], x)
        np.testing.assert_array_equal(part["label"], label)
        assert part["x"].dtype == np.uint8 and part["label"].dtype == np.int32


def test_first_examples(prepared):
    for split, other, in_all in (("train", "test", 40), ("test", "train", 8)):
        data = load({"name": "mnist", f"{split}_examples": 5})
        kept, whole = getattr(data, split), getattr(data, other)
        np.testing.assert_array_equal(kept["x"], prepared[1][split][0][:5])
        assert len(kept["label"]) == 5 and len(whole["x"]) == len(prepared[1][other][0])
        with pytest.raises(UserError, match=f"{split}_examples={in_all + 1}: there are {in_all} in all"):
            load({"name": "mnist", f"{split}_examples": in_all + 1})


@pytest.mark.parametrize("examples", [0, 3, 21])
def test_order_across_files(prepared, monkeypatch, tmp_path, examples):
    """A large set spans several files; here one of 40 examples does."""
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(try_download_gcs=False, num_shards=4)
    monkeypatch.setattr(images, "_write", lambda builder: builder.download_and_prepare(download_config=config))
    monkeypatch.setattr(originals, "read", lambda *_: prepared[1])
    images.prepare("mnist", images.data_dir(), tmp_path)
    assert len(list(prepared[0].glob("mnist-train.array_record*"))) == 4
    x, label = prepared[1]["train"]
    data = load({"name": "mnist", "train_examples": examples})
    np.testing.assert_array_equal(data.train["x"], x[: examples or None])
    np.testing.assert_array_equal(data.train["label"], label[: examples or None])


def test_missing_set_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"prepare_data.py --dataset=cifar10`") as error:
        load({"name": "cifar10"})
    assert "\n" not in str(error.value)


def corrupt(path, change):
    content = change(bytearray(path.read_bytes()))
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path.name} is missing or corrupt: .*--overwrite") as error:
        load({"name": "mnist"})
    assert "\n" not in str(error.value)


def flipped(content):
    """Every 97th byte: whichever part of the file holds the records, some of it changes."""
    for i in range(0, len(content), 97):
        content[i] ^= 0xFF
    return content


@pytest.mark.slow
@pytest.mark.parametrize("change", [flipped, lambda content: content[: len(content) // 2], lambda content: b""])
@pytest.mark.parametrize("split", ["train", "test"])
def test_corrupt_file_is_named(prepared, split, change):
    corrupt(next(prepared[0].glob(f"*{split}.array_record*")), change)


def test_one_flipped_pixel_is_found(prepared):
    """The records are compressed and carry a hash: one changed byte inside them is an error, never another image."""
    path = next(prepared[0].glob("*train.array_record*"))
    content = path.read_bytes()
    middle = max(range(0, len(content) - 1000, 1000), key=lambda i: len(set(content[i : i + 1000])))
    corrupt(path, lambda content: content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def test_corrupt_description_is_named(prepared):
    corrupt(prepared[0] / "dataset_info.json", lambda content: content[:40])


def test_missing_file_is_named(prepared):
    path = next(prepared[0].glob("*test.array_record*"))
    path.unlink()
    with pytest.raises(UserError, match=path.name):
        load({"name": "mnist"})


def test_interrupted_preparation_is_no_set(tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "sets"))
    splits = {split: (x, [*label[:-1], "not a label"]) for split, (x, label) in tiny_mnist[1].items()}
    monkeypatch.setattr(originals, "read", lambda *_: splits)
    with pytest.raises(Exception, match="not a label"):
        images.prepare("mnist", images.data_dir(), tiny_mnist[0])
    assert not images.is_prepared("mnist", images.data_dir())
    with pytest.raises(UserError, match="prepare_data.py"):
        load({"name": "mnist"})


def test_unknown_set(tmp_path):
    with pytest.raises(UserError, match="image set 'mnits'. Did you mean 'mnist'"):
        images.prepare("mnits", tmp_path)


@pytest.mark.slow
def test_tensorflow_is_never_imported(prepared):
    """Nor is TFDS where no image set is asked for."""
    code = """
import sys
from pathlib import Path
from gen.data import images, load, originals
load({"name": "ring"})
assert "tensorflow_datasets" not in sys.modules
originals.read = lambda *_: {split: load({"name": "mnist"}).test.values() for split in ("train", "test")}
images.prepare("mnist", Path(sys.argv[1]), Path("."))
assert "tensorflow_datasets" in sys.modules
sys.exit("tensorflow" in sys.modules)
"""
    done = run("-c", code, str(prepared[0].parent.parent / "again"))
    assert done.returncode == 0, done.stderr


def test_script(tiny_mnist, tmp_path, capsys):
    flags = {"dataset": "mnist", "from_dir": tiny_mnist[0], "data_dir": tmp_path}
    info = tmp_path / "mnist/1.0.0/dataset_info.json"
    prepare_data(**flags)
    assert capsys.readouterr().out == f"mnist is prepared in {info.parent}.\n"
    stamp = info.stat().st_mtime_ns
    prepare_data(**flags)
    assert "already prepared" in capsys.readouterr().out and info.stat().st_mtime_ns == stamp
    prepare_data(**flags, overwrite=True)
    assert "is prepared in" in capsys.readouterr().out and info.stat().st_mtime_ns > stamp
    with pytest.raises(UserError, match="train-images-idx3-ubyte.gz is missing"):
        prepare_data(**flags | {"from_dir": tmp_path / "mnist", "overwrite": True})
    assert info.stat().st_mtime_ns > stamp


@pytest.mark.slow
def test_script_error_is_one_line(tmp_path):
    done = run("scripts/prepare_data.py", "--dataset=mnit", f"--data_dir={tmp_path}")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "Did you mean 'mnist'" in done.stderr


def test_real_order(shared, tmp_path, monkeypatch):
    """What is read back is what the published files hold, in their order (2,000 of each split, to be quick)."""
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    splits = {split: (x[:2000], label[:2000]) for split, (x, label) in originals.read("mnist", shared).items()}
    monkeypatch.setattr(originals, "read", lambda *_: splits)
    images.prepare("mnist", tmp_path, shared)
    data = load({"name": "mnist"})
    for part, (x, label) in ((data.train, splits["train"]), (data.test, splits["test"])):
        np.testing.assert_array_equal(part["x"], x)
        np.testing.assert_array_equal(part["label"], label)


def test_a_set_that_is_there_stays_until_the_new_one_is_complete(prepared, tiny_mnist, monkeypatch):
    def fails(builder):
        (Path(builder.data_dir).parent / "half").mkdir(parents=True)
        raise OSError(28, "No space left on device", "half")

    monkeypatch.setattr(images, "_write", fails)
    with pytest.raises(UserError, match="half: the set cannot be written: No space left on device"):
        images.prepare("mnist", images.data_dir(), tiny_mnist[0])
    assert load({"name": "mnist"}).train["x"].shape[0] == len(prepared[1]["train"][0])
    assert not list(images.data_dir().glob(".preparing.*"))


def test_two_preparations_at_once_and_what_a_killed_one_left(prepared, tiny_mnist):
    directory, folder = images.data_dir(), prepared[0]
    left = directory / ".preparing.mnist.killed"
    left.mkdir()
    folder.rename(left / images.FORMER)
    with images._alone("mnist", directory):
        assert images.is_prepared("mnist", directory) and not left.exists()
        with pytest.raises(UserError, match="Another process is preparing mnist"):
            images.prepare("mnist", directory, tiny_mnist[0])
    assert images.prepare("mnist", directory, tiny_mnist[0]) == folder


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(prepared, tiny_mnist, monkeypatch):
    monkeypatch.setattr(images.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(UserError, match="MiB are needed and 0 MiB are free: make room"):
        images.prepare("mnist", images.data_dir(), tiny_mnist[0])
    assert images.is_prepared("mnist", images.data_dir())


def test_a_set_without_labels_has_none(tmp_path, monkeypatch):
    x = 255 * np.random.default_rng(0).integers(0, 2, (6, 28, 28, 1), dtype=np.uint8)
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "sets"))
    monkeypatch.setattr(originals, "read", lambda *_: {"train": (x, None), "test": (x[:2], None)})
    images.prepare("binarized_mnist", images.data_dir(), tmp_path)
    data = load({"name": "binarized_mnist", "validation": 2})
    assert data.spec.classes == 0 and data.train.keys() == data.validation.keys() == {"x"}
    np.testing.assert_array_equal(data.train["x"], x[:4])
    np.testing.assert_array_equal(data.validation["x"], x[4:])


@pytest.mark.parametrize("loading", ["resident", "streaming"])
def test_the_last_training_images_are_held_out(prepared, loading):
    x, label = prepared[1]["train"]
    data = load({"name": "mnist", "validation": 7, "loading": loading})
    assert len(data.train["x"]) == 33 and len(data.test["x"]) == 8
    np.testing.assert_array_equal(data.train["x"][:100], x[:33])
    np.testing.assert_array_equal(data.validation["x"], x[33:])
    np.testing.assert_array_equal(data.validation["label"], label[33:])
    assert load({"name": "mnist"}).validation == {}


@pytest.mark.parametrize("options, message", [
    ({"name": "mnist", "validation": 40}, "of 40 training examples, at least one trains"),
    ({"name": "stacked_mnist", "validation": 5}, "use stacked_mnist_fixed"),
])
def test_what_cannot_be_held_out_is_said(prepared, options, message):
    with pytest.raises(UserError, match=message):
        load(options)
