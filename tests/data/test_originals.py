import contextlib
import functools
import http.server
import io
import threading

import numpy as np
import pytest
from scipy.io import savemat

from gen.data import originals
from gen.errors import UserError


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): ...


class Truncating(Quiet):
    """Announces the whole file and closes the connection after half of it."""

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2])


@contextlib.contextmanager
def served(folder, monkeypatch, name="mnist", handler=Quiet):
    """Serves `folder` at 127.0.0.1 as the place of the set's published files."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        point_to(f"http://127.0.0.1:{server.server_port}/", monkeypatch, name)
        yield
        server.shutdown()
        thread.join()


def point_to(url, monkeypatch, name="mnist"):
    files = {file: original._replace(url=url) for file, original in originals.ORIGINALS[name].items()}
    monkeypatch.setitem(originals.ORIGINALS, name, files)


def assert_splits(found, expected):
    assert found.keys() == expected.keys()
    for split in expected:
        for array, other in zip(found[split], expected[split], strict=True):
            assert array.dtype == np.uint8
            np.testing.assert_array_equal(array, other)


def flip(path, at=0.5):
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(content)


def test_idx_files(tiny_mnist):
    folder, splits = tiny_mnist
    assert_splits(originals.read("mnist", folder), splits)


def test_folder_of_several_sets(tiny_mnist, tmp_path):
    folder, splits = tiny_mnist
    (tmp_path / "all").mkdir()
    folder.rename(tmp_path / "all/mnist")
    assert_splits(originals.read("mnist", tmp_path / "all"), splits)


@pytest.mark.parametrize("layout", [0, 1])
def test_both_layouts_of_cifar(tiny_cifar, layout):
    assert_splits(originals.read("cifar10", tiny_cifar[layout]), tiny_cifar[2])


def one_line_error(name, folder, match):
    with pytest.raises(UserError, match=match) as error:
        originals.read(name, folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_corrupt_or_missing_idx_file_is_named(tiny_mnist, file):
    flip(tiny_mnist[0] / file)
    one_line_error("mnist", tiny_mnist[0], f"{file} is corrupt")
    (tiny_mnist[0] / file).unlink()
    one_line_error("mnist", tiny_mnist[0], f"{file} is missing")


def test_corrupt_archive_is_named(tiny_cifar):
    flip(tiny_cifar[1] / originals.CIFAR_ARCHIVE)
    one_line_error("cifar10", tiny_cifar[1], "cifar-10-binary.tar.gz is corrupt")


@pytest.mark.parametrize("at", [0.0, 0.5, 0.9])
def test_corrupt_sheet_is_named(tiny_cifar, at):
    flip(tiny_cifar[0] / "data_batch_3.webp", at)
    one_line_error("cifar10", tiny_cifar[0], "data_batch_3.webp.* corrupt")


def test_wrong_missing_or_short_labels_are_named(tiny_cifar):
    path = tiny_cifar[0] / "labels.npz"
    labels = dict(np.load(path))
    np.savez(path, y_train=labels["y_train"][::-1], y_test=labels["y_test"])
    one_line_error("cifar10", tiny_cifar[0], "labels.npz")
    np.savez(path, y_train=labels["y_train"][:-1], y_test=labels["y_test"])
    one_line_error("cifar10", tiny_cifar[0], "labels.npz is corrupt: y_train ends before")
    flip(path)
    one_line_error("cifar10", tiny_cifar[0], "labels.npz")
    path.unlink()
    one_line_error("cifar10", tiny_cifar[0], "cifar-10-binary.tar.gz is missing")


def test_missing_sheet_is_named(tiny_cifar):
    (tiny_cifar[0] / "test_batch.webp").unlink()
    one_line_error("cifar10", tiny_cifar[0], "test_batch.webp is missing")


def test_download(tiny_mnist, tmp_path, monkeypatch):
    folder, splits = tiny_mnist
    target = tmp_path / "downloads/mnist"
    with served(folder, monkeypatch):
        originals.fetch("mnist", target)
    assert_splits(originals.read("mnist", target), splits)
    originals.fetch("mnist", target)


def failed_download(target, match):
    with pytest.raises(UserError, match=match) as error:
        originals.fetch("mnist", target)
    assert "\n" not in str(error.value) and "--from_dir" in str(error.value)
    assert not list(target.glob("*labels*")) and not list(target.glob("*.partial"))


def test_download_with_a_wrong_checksum(tiny_mnist, tmp_path, monkeypatch):
    flip(tiny_mnist[0] / "train-images-idx3-ubyte.gz")
    with served(tiny_mnist[0], monkeypatch):
        failed_download(tmp_path / "new", "train-images-idx3-ubyte.gz: .*expected md5")
    assert not list((tmp_path / "new").iterdir())


def test_truncated_download(tiny_mnist, tmp_path, monkeypatch):
    with served(tiny_mnist[0], monkeypatch, handler=Truncating):
        failed_download(tmp_path / "new", "train-images-idx3-ubyte.gz: ")


def test_file_not_on_the_server(tiny_mnist, tmp_path, monkeypatch):
    (tiny_mnist[0] / "train-images-idx3-ubyte.gz").unlink()
    with served(tiny_mnist[0], monkeypatch):
        failed_download(tmp_path / "new", "train-images-idx3-ubyte.gz: .*not found")


def test_connection_refused(tiny_mnist, tmp_path, monkeypatch):
    with served(tiny_mnist[0], monkeypatch):
        pass
    failed_download(tmp_path / "new", "refused")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean", "train"),
    [("mnist", 0.1307, 60_000), ("fashion_mnist", 0.2860, 60_000), ("cifar10", 0.4734, 50_000)],
)
def test_real_files(shared, name, mean, train):
    """The files' checksums are the published ones; for CIFAR-10 those of the binary batches rebuilt from the sheets."""
    splits = originals.read(name, shared)
    assert len(splits["train"][0]) == train and len(splits["test"][0]) == 10_000
    assert np.mean(splits["train"][0]) / 255 == pytest.approx(mean, abs=1e-4)
    if name != "mnist":
        assert np.bincount(splits["test"][1]).tolist() == [1000] * 10


def published(name, files, folder, monkeypatch):
    """Writes files of a set, whose checksums are the published ones for the test: sha256, or git's name."""
    folder.mkdir(exist_ok=True)
    known = {}
    for file, content in files.items():
        (folder / file).write_bytes(content)
        digits = len(originals.ORIGINALS[name][file].checksum)
        known[file] = originals.Original("http://127.0.0.1:9/", originals.checksum(io.BytesIO(content), digits))
    monkeypatch.setitem(originals.ORIGINALS, name, known)
    return folder


def mat(**arrays):
    content = io.BytesIO()
    savemat(content, arrays)
    return content.getvalue()


def test_a_checksum_is_known_by_its_length():
    assert originals.checksum(io.BytesIO(b""), 32) == "d41d8cd98f00b204e9800998ecf8427e"
    assert originals.checksum(io.BytesIO(b"hello\n"), 40) == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert originals.checksum(io.BytesIO(b""), 64).startswith("e3b0c44298fc1c14")


def amat(rows):
    return b"".join(b" ".join(b"%d" % value for value in row) + b" \n" for row in rows)


def test_binarised_mnist_is_text_whose_validation_rows_come_last(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = {split: rng.integers(0, 2, (n, 784)) for split, n in (("train", 5), ("valid", 2), ("test", 3))}
    files = {f"binarized_mnist_{split}.amat": amat(values) for split, values in rows.items()}
    found = originals.read("binarized_mnist", published("binarized_mnist", files, tmp_path, monkeypatch))
    for split, values in (("train", np.concatenate([rows["train"], rows["valid"]])), ("test", rows["test"])):
        np.testing.assert_array_equal(found[split][0], 255 * values.reshape(-1, 28, 28, 1))
        assert found[split][0].dtype == np.uint8 and found[split][1] is None
    files["binarized_mnist_test.amat"] = files["binarized_mnist_test.amat"][:-4]
    with pytest.raises(UserError, match="test.amat is corrupt: it does not hold rows of 784"):
        originals.read("binarized_mnist", published("binarized_mnist", files, tmp_path, monkeypatch))


def test_omniglot_is_turned_upright_in_8_bits_with_its_alphabets(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28))
    columns = images.swapaxes(1, 2).reshape(3, 784).T / 255
    alphabets = np.eye(50)[:, [49, 0, 7]]
    files = {"chardata.mat": mat(data=columns, target=alphabets, testdata=columns[:, :1], testtarget=alphabets[:, :1])}
    found = originals.read("omniglot", published("omniglot", files, tmp_path, monkeypatch))
    np.testing.assert_array_equal(found["train"][0][..., 0], images)
    np.testing.assert_array_equal(found["train"][1], [49, 0, 7])
    assert found["test"][0].shape == (1, 28, 28, 1) and found["train"][0].dtype == np.uint8
