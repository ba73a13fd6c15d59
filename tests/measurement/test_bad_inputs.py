"""What cannot be measured: one line each, which says what is wrong, where and what to do; exit code 1, no traceback.

    IMAGES      as samples and as reference: nothing there, a loop of links, a file of another kind, an empty folder,
                one image, torn, lying and foreign image files; npz files that are empty, torn, damaged, ambiguous, of
                floats, NaN, objects, no images, other layouts, fewer bytes than they say; unknown data sets and splits
    RUNS        never trained, a damaged or foreign config, points and no images, no such checkpoint, a bad seed
    STATISTICS  of another network, rule or weights; not finite, no covariance, no numbers; damaged; with no images
    WEIGHTS     another network, hash or framework; code, TorchScript, frozen graphs; torn, not finite, not there
    OPTIONS     metrics, rules and numbers that there are none of, or more than there is
    OUTPUTS     that cannot be written
    ARRAYS      in Python

Palettes, 16 bits, alpha, CMYK and mixed sizes are no mistakes: they are converted, and told (`test_measure`).
"""

import json
import os
import pickle
import re
import shutil

import numpy as np
import pytest

import gen
from gen.errors import UserError
from gen.evaluation.pretrained.networks import INCEPTION
from gen.measurement import measuring
from gen.training import loop
from tests.evaluation.pretrained.fake import network as network  # fixtures
from tests.evaluation.pretrained.test_weights import file as file
from tests.helpers import gan_config, vae_config
from tests.measurement.bad_files import (
    Code,
    X,
    array_file,
    changed,
    cut,
    folder,
    good,
    link,
    npz,
    pipe,
    png,
    written,
    zipped,
)
from tests.measurement.commands import ended, refused


@pytest.fixture
def place(tmp_path, network, monkeypatch):  # noqa: F811
    """A folder with good.npz in it, which a small network measures."""
    monkeypatch.setattr(measuring, "extractor", network)
    np.savez(tmp_path / "good.npz", arr_0=X)
    return tmp_path


BYTES = {"descr": "|u1", "fortran_order": False, "shape": (4, 5, 5, 3)}

IMAGES = {
    "nothing there": (lambda p: p / "none", "no such folder or file"),
    "a name too long": (lambda p: p / ("a" * 5_000), "File name too long"),
    "a loop of links": (lambda p: link(p, "loop", p / "loop"), "no such folder or file"),
    "text": (lambda p: written(p, "images.txt", b"x"), "this is a file"),
    "a single picture": (lambda p: written(p, "one.png", png(p)), "this is a file"),
    "a pipe": (lambda p: pipe(p, "pipe"), "this is a file"),
    "an empty folder": (lambda p: folder(p), "no image in it.*end in .bmp"),
    "a folder of one image": (lambda p: folder(p, X[0]), "there is 1 image;"),
    "a torn PNG": (lambda p: folder(p, X[0], X[1], png(p)[:70]), "1 of 3 files cannot be read: 2.png.*--skip_bad"),
    "text named .png": (lambda p: folder(p, X[0], X[1], b"hello"), "1 of 3 files cannot be read: 2.png.*--skip_bad"),
    "a file without a byte": (lambda p: folder(p, b"", X[0], X[1]), "1 of 3 files cannot be read: 0.png.*--skip_bad"),
    "no readable image": (lambda p: folder(p, b"a", b"b"), "2 of 2 files cannot be read: 0.png.*; 1.png"),
    "a link to itself": (lambda p: link(folder(p, X[0], X[1]), "a.png", "a.png").parent, "1 of 3 files .*: a.png"),
    "a pipe named .png": (lambda p: pipe(folder(p, X[0], X[1]), "a.png").parent, "a.png .it is no regular file"),
    "an npz without a byte": (lambda p: written(p, "x.npz"), "x.npz cannot be read"),
    "text named .npz": (lambda p: written(p, "x.npz", b"hello"), "x.npz cannot be read"),
    "a torn npz": (lambda p: written(p, "x.npz", good(p)[:500]), "x.npz cannot be read"),
    "a changed byte": (lambda p: written(p, "x.npz", good(p)[:900] + b"\0\1" + good(p)[902:]), "Bad CRC-32"),
    "an array cut off": (lambda p: array_file(p, BYTES, bytes(250)), "says that it has 4 images, 300 bytes.*are 250"),
    "an array that goes on": (lambda p: array_file(p, BYTES, bytes(301)), "300 bytes, and there are 301"),
    "no array": (lambda p: array_file(p, None, b"hello"), "x.npz cannot be read"),
    "an unknown version": (lambda p: array_file(p, None, b"\x93NUMPY\x09\0"), "version 9.0"),
    "a negative shape": (lambda p: array_file(p, BYTES | {"shape": (-4, -5, 5, 3)}, bytes(300)), "images are .n, h"),
    "an npz of nothing": (lambda p: npz(p), "which of its arrays are the images. there are none"),
    "npz without arr_0": (lambda p: npz(p, a=X, b=X), "which of its arrays are the images. a, b; .*in arr_0"),
    "npz of many arrays": (lambda p: npz(p, **{f"a{i}": X for i in range(9)}), "a0, a1, a2, a3, a4, ...;"),
    "npz of floats": (lambda p: npz(p, arr_0=np.float32(X) / 255), "float32, and nothing says which value is white"),
    "npz of NaN": (lambda p: npz(p, arr_0=np.full(X.shape, np.nan)), "float64.*NaN.*give bytes"),
    "npz of int64": (lambda p: npz(p, arr_0=np.int64(X)), "int64.*give bytes"),
    "npz of signed bytes": (lambda p: npz(p, arr_0=X.view(np.int8)), "int8.*give bytes"),
    "channels first": (lambda p: npz(p, arr_0=X.transpose(0, 3, 1, 2)), "3, 9, 8.; channels come last"),
    "four channels": (lambda p: npz(p, arr_0=X[..., [0, 1, 2, 2]]), "1 or 3.; these are .12, 9, 8, 4"),
    "no channels": (lambda p: npz(p, arr_0=X[..., 0]), "1 or 3.; these are .12, 9, 8."),
    "a single array": (lambda p: npz(p, arr_0=X[0]), "images are .n, height"),
    "no images": (lambda p: npz(p, arr_0=X[:0]), "there are no images"),
    "images without pixels": (lambda p: npz(p, arr_0=X[:, :0]), "these are .12, 0, 8, 3"),
    "one image": (lambda p: npz(p, arr_0=X[:1], label=np.zeros(1)), "there is 1 image;"),
    "objects": (lambda p: npz(p, arr_0=np.array([{}, 1])), "images are .n, height"),
    "objects like images": (lambda p: npz(p, arr_0=np.full((2, 1, 1, 3), None)), "object.*give bytes"),
    "Fortran's order": (lambda p: npz(p, arr_0=np.asfortranarray(X)), "Fortran.*ascontiguousarray"),
    "an unknown data set": (lambda p: "digit:test", "digit:test: unknown data set. Did you mean 'digits'"),
    "a data set with a dash": (lambda p: "cifar-10:train", "unknown data set. Did you mean 'cifar10'"),
    "points": (lambda p: "ring:test", r"ring:test: images are \[n, height"),
    "an unknown split": (lambda p: "digits:valid", "digits:valid: name a split, digits:train or digits:test"),
    "no split": (lambda p: "digits", "digits: name a split"),
    "a set that is not prepared": (lambda p: "mnist:train", "prepare_data.py --dataset=mnist"),
}


@pytest.mark.parametrize("role", ["samples", "reference"])
@pytest.mark.parametrize("make, words", IMAGES.values(), ids=IMAGES)
def test_images(place, make, words, role, capsys):
    flags = {"samples": place / "good.npz", "reference": place / "good.npz"} | {role: make(place)}
    line = refused("measure", **flags)
    assert re.search(words, line) and str(flags[role]).split(":")[0][:250] in line, line
    assert capsys.readouterr().out == ""


MU, SIGMA = np.zeros(8), np.eye(8)
SKEW, NEGATIVE = SIGMA + np.eye(8, k=1), np.diag([1.0] * 7 + [-0.1])
RULE, OTHER = json.dumps({"resize": "clean"}), json.dumps({"weights": "ab" * 32})

STATISTICS = {
    "another network": ({"mu": np.zeros(7), "sigma": np.eye(7)}, r"shapes \(7,\) and \(7, 7\), not \(8,\) .*network"),
    "no square": ({"mu": MU, "sigma": SIGMA[:, :7]}, r"\(8, 7\), not \(8,\)"),
    "a number": ({"mu": np.array(1.0), "sigma": SIGMA}, r"shapes \(\) and"),
    "not symmetric": ({"mu": MU, "sigma": SKEW}, "sigma is no covariance: it is not symmetric"),
    "a negative variance": ({"mu": MU, "sigma": NEGATIVE}, "no covariance: it has the negative eigenvalue -0.1"),
    "a negative eigenvalue": ({"mu": MU, "sigma": 2 * SIGMA - np.ones((8, 8))}, "the negative eigenvalue -6"),
    "NaN": ({"mu": MU, "sigma": np.full((8, 8), np.nan)}, "holds a NaN"),
    "an infinity": ({"mu": np.full(8, np.inf), "sigma": SIGMA}, "holds a NaN or an infinity"),
    "text": ({"mu": np.array(["a"] * 8), "sigma": SIGMA}, "real numbers are needed"),
    "complex": ({"mu": MU, "sigma": SIGMA * 1j}, "complex128: real numbers are needed"),
    "objects": ({"mu": np.array([None] * 8), "sigma": SIGMA}, "cannot be read as statistics"),
    "another rule": ({"mu": MU, "sigma": SIGMA, "provenance": RULE}, "made with resize=clean, this .* has resize=tf1"),
    "other weights": ({"mu": MU, "sigma": SIGMA, "provenance": OTHER}, "made with weights=abab.* cannot be compared"),
    "a provenance of text": ({"mu": MU, "sigma": SIGMA, "provenance": "x"}, "cannot be read as statistics"),
    "a provenance of numbers": ({"mu": MU, "sigma": SIGMA, "provenance": "[1]"}, "provenance is no JSON object"),
    "no sigma": ({"mu": MU}, "images are .n, height"),
}


@pytest.mark.parametrize("arrays, words", STATISTICS.values(), ids=STATISTICS)
def test_statistics(place, arrays, words):
    line = refused("measure", samples=place / "good.npz", reference=npz(place, **arrays))
    assert re.search(words, line) and f"{place}/x.npz" in line, line


def test_statistics_that_are_damaged_or_too_few(place):
    content = npz(place, mu=MU, sigma=SIGMA).read_bytes()
    for metric, words in (("sfid", "x.npz has no mu_s"), ("kid", "which of its arrays are the images. mu, sigma")):
        assert re.search(words, refused("measure", samples=place / "good.npz", reference=place / "x.npz",
                                        metrics=metric))
    assert "which of its arrays" in refused("measure", samples=place / "x.npz", reference=place / "good.npz")
    written(place, "x.npz", content[:600] + b"\7\7" + content[602:])
    assert "x.npz cannot be read as statistics" in refused("measure", samples=place / "good.npz",
                                                           reference=place / "x.npz")


WEIGHTS = {
    "another hash": (lambda p: changed(p, **{"fc.bias": np.ones(3, np.float32)}), "published weights.*--allow_other"),
    "another network": (lambda p: changed(p, **{"a.b.conv.weight": None}), "no tensor 'a.b.conv.weight'"),
    "torchvision's": (lambda p: changed(p, **{"fc.weight": np.ones((2, 4))}), r"torchvision's has 1,000 classes"),
    "NaN": (lambda p: changed(p, **{"fc.weight": np.full((3, 4), np.nan)}), "'fc.weight' holds a NaN"),
    "a negative variance": (lambda p: changed(p, **{"a.b.bn.running_var": -np.ones(4)}), "negative variance"),
    "a torn checkpoint": (lambda p: cut(p, "zip"), "cannot be read as weights"),
    "a torn old checkpoint": (lambda p: cut(p, "legacy"), "cannot be read as weights"),
    "code": (lambda p: zipped(p, data=pickle.dumps({"a": Code()})), "asks for posix.system.*may be code"),
    "another pickle": (lambda p: written(p, "other.pth", pickle.dumps({"a": Code()}, 4)), "none of PyTorch's"),
    "TorchScript": (lambda p: zipped(p, data=b"", constants=b""), "TorchScript, which is code"),
    "a frozen graph": (lambda p: written(p, "graph.pb", b"\x0a\x29\x0a\x11Const"), "frozen graph of TensorFlow is not"),
    "an npz": (lambda p: npz(p, a=X), "zip without the one data.pkl"),
    "a page of an error": (lambda p: written(p, "other.pth", b"<!DOCTYPE html><html>"), "neither a checkpoint"),
    "no byte": (lambda p: written(p, "other.pth"), "it is empty"),
    "nothing there": (lambda p: p / "none.pth", "none.pth is missing"),
    "a folder": (lambda p: p, "cannot be read: Is a directory|no regular file"),
    "a pipe": (lambda p: pipe(p, "pipe"), "no regular file"),
}


@pytest.mark.parametrize("make, words", WEIGHTS.values(), ids=WEIGHTS)
def test_weights(file, make, words):  # noqa: F811
    path = make(file.parent)
    allowed = {} if "--allow_other" in words else {"allow_other": True}
    line = refused("prepare_weights", name="inception", **{"from": path}, **allowed)
    assert re.search(words, line) and str(path) in line, line
    assert not INCEPTION.published.path.exists() and not os.path.exists("ran")


def test_weights_of_a_measurement(file):  # noqa: F811
    npz(file.parent, arr_0=X)
    flags = {"samples": file.parent / "x.npz", "reference": file.parent / "x.npz"}
    assert "run `python scripts/prepare_weights.py --name=inception`" in refused("measure", **flags)
    assert ended("prepare_weights", name="inception", **{"from": file}) == 0
    INCEPTION.published.path.write_bytes(INCEPTION.published.path.read_bytes()[:-9])
    assert re.search("is cut off.*prepare_weights.py --name=inception --overwrite", refused("measure", **flags))
    assert "Unknown network 'inceptoin'. Did you mean 'inception'" in refused("prepare_weights", name="inceptoin")


OPTIONS = {
    "an unknown metric": ({"metrics": "fids"}, "Unknown metric 'fids'. Did you mean 'fid'"),
    "no metric": ({"metrics": ""}, "name some of fid"),
    "an unknown rule": ({"resize": "tf"}, "rule of resizing 'tf'.*'tf1'"),
    "more than there is": ({"n": 13}, "--n=13: there are 12 images"),
    "no subsets": ({"metrics": "kid", "subset": 1}, "--subset=1: at least 2"),
    "no neighbours": ({"metrics": "prdc", "k": 0}, "--k=0: at least 1"),
    "all are neighbours": ({"metrics": "prdc", "k": 12}, "k = 12 need more than 12 samples"),
    "no parts": ({"metrics": "is", "splits": 0}, "--splits=0: at least 1"),
    "more parts than images": ({"metrics": "is", "splits": 13}, "takes 13 parts, and there are 12"),
    "too few for a line": ({"extrapolate": True}, "begins with subsets of 5000 samples"),
    "a step that is none": ({"step": "last"}, "--step=last: expected a number or 'best'"),
    "statistics of no reference": ({"metrics": "is", "save_statistics": "s.npz"}, "is takes no features.*add fid"),
    "statistics of no features": ({"metrics": "sfid", "save_statistics": "s.npz"}, "sfid takes no features"),
    "statistics in no folder": ({"save_statistics": "none/s.npz"}, "none/s.npz: cannot be written: No such file"),
    "statistics below a file": ({"save_statistics": "good.npz/s.npz"}, "cannot be written: Not a directory"),
    "statistics for a folder": ({"save_statistics": "."}, "this is a folder; name a file"),
    "programs below a file": ({"compilation_cache": "good.npz/x"}, "--compilation_cache=good.npz/x: cannot be made"),
}


@pytest.mark.parametrize("flags, words", OPTIONS.values(), ids=OPTIONS)
def test_options_and_outputs(place, monkeypatch, flags, words):
    monkeypatch.chdir(place)
    line = refused("measure", samples="good.npz", reference="good.npz", **flags)
    assert re.search(words, line), line


def test_no_reference_and_no_place_for_what_is_computed(place, monkeypatch):
    assert "a reference is needed" in refused("measure", samples=place / "good.npz")
    monkeypatch.setenv("GEN_DATA_DIR", str(place / "good.npz"))
    line = refused("measure", samples=place / "good.npz", reference=place / "good.npz")
    assert re.search("good.npz.*outputs of Inception cannot be kept: Not a directory", line), line


def test_samples_are_looked_at_before_the_reference_is_computed(place, network):  # noqa: F811
    refused("measure", samples=place / "none", reference=place / "good.npz")
    refused("measure", samples=place / "good.npz", reference=place / "good.npz", real=place / "none")
    assert network.images == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folders of runs: a VAE of digits, a GAN of points."""
    folder = tmp_path_factory.mktemp("runs")
    for config, name in ((vae_config(), "vae"), (gan_config(), "ring")):
        assert loop.train(config, folder / name) == "finished"
    return folder


def copied(trained, place, name="vae", **files):
    """A copy of a run with other contents of its files, None for none."""
    shutil.copytree(trained / name, place / "run")
    for changed_file, content in files.items():
        path = place / "run" / changed_file.replace("_", ".", 1)
        (shutil.rmtree if path.is_dir() else os.remove)(path)
        if content is not None:
            path.write_text(content)
    return place / "run"


RUNS = {
    "never trained": (lambda t, p: copied(t, p, checkpoints=None), {}, "No checkpoint in .*train there first"),
    "points": (lambda t, p: t / "ring", {}, r"this run's examples are no images, but of the shape \(2,\)"),
    "no such step": (lambda t, p: t / "vae", {"step": 7}, "7"),
    "no config": (lambda t, p: copied(t, p, config_json="{}"), {}, "config.json"),
    "a torn config": (lambda t, p: copied(t, p, config_json='{"config": {'), {}, "config.json is no valid JSON"),
    "a seed that is none": (lambda t, p: t / "vae", {"seed": -1}, "seed=-1: a seed is at least 0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("make, flags, words", RUNS.values(), ids=RUNS)
def test_runs(place, trained, make, flags, words):
    path = make(trained, place)
    line = refused("measure", samples=path, reference=place / "good.npz", n=20, **flags)
    assert re.search(words, line) and (str(path) in line or "seed" in flags), line


@pytest.mark.slow
@pytest.mark.parametrize("out, words", [
    ("full", "the folder holds files already"), ("good.npz/x.npz", "cannot be written: Not a directory"),
    ("none/x.npz", "cannot be written: No such file"), ("good.npz/x/y", "cannot be written: Not a directory"),
])
def test_samples_that_cannot_be_written(place, trained, out, words):
    (place / "full").mkdir()
    written(place, "full/a.txt", b"mine")
    line = refused("sample", workdir=trained / "vae", n=3, out=place / out)
    assert words in line and f"--out={place / out}" in line, line
    assert (place / "full/a.txt").read_bytes() == b"mine"
    assert "are no images" in refused("sample", workdir=trained / "ring", n=3, out=place / "x.npz")


@pytest.mark.parametrize("array, words", [
    (X[:1], "there is 1 image;"), (X[:0], "there are no images"), (np.full((3, 4, 4, 3), np.nan), "float64.*NaN"),
    (np.float32(X) / 255, "float32, and nothing says"), (X[0], r"images are \[n"), (X[..., :2], "1 or 3"),
    (X.transpose(0, 3, 1, 2), "channels come last"),
])
def test_arrays(place, array, words):
    for samples, reference in ((array, X), (X, array)):
        with pytest.raises(UserError, match=words) as error:
            gen.measure(samples, reference)
        assert "\n" not in str(error.value)
