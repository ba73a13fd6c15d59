"""Whole measurements of the same two folders of PNG files with the same random weights: from files to scores.

GEN_PARITY_IMAGES is how many images of each size, as for Inception's stages. Both take all images as the one subset of
KID, and the parts of the Inception score in the order of the files.
"""

import contextlib
import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gen
from gen.evaluation.pretrained import weights
from gen.evaluation.pretrained.networks import INCEPTION
from tests.parity.comparisons import against
from tests.parity.inception import IMAGES, KEPT, SIZES, file, images, network, pytorch_fid
from tests.parity.metrics import with_torchvision
from tests.parity.references import torch

PARTS = 4
"""Of the Inception score."""

NEIGHBOURS = 3
REGISTERED = "random"
"""The network's name at torch-fidelity."""

WHAT = f"of two folders of {IMAGES} images, of 32, 64, 512 px"


def folder(x: np.ndarray) -> Path:
    """PNG files of bytes."""
    place = Path(tempfile.mkdtemp(dir=KEPT.name))
    for i, image in enumerate(x):
        Image.fromarray(image).save(place / f"{i:05}.png", compress_level=1)
    return place


@functools.cache
def folders(size: int) -> tuple[Path, Path]:
    """Samples, and others of somewhat more contrast."""
    x, y = images(size, seed=1), images(size, seed=2)
    return folder(x), folder(np.uint8(np.clip(1.1 * (np.float32(y) - 128) + 128, 0, 255)))


@contextlib.contextmanager
def prepared_weights():
    """The network's checkpoint, prepared as a user prepares theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_DATA_DIR", KEPT.name)
        if not INCEPTION.published.path.exists():
            weights.prepare(INCEPTION.published, [file("zip")], allow_other=True)
        yield


@functools.cache
def ours(size: int, resize: str) -> dict[str, float]:
    """Our scores of the two folders, without the protocol in their names."""
    metrics = ("fid", "kid", "is", "prdc") if resize == "tf1" else ("fid",)
    with prepared_weights():
        found = gen.measure(*folders(size), metrics, resize=resize, subset=IMAGES, splits=PARTS, k=NEIGHBOURS)
    return {name.partition("_inception")[0]: value for name, value in found.items() if name != "protocol"}


@functools.cache
def of_torch_fidelity(size: int) -> dict[str, float]:
    """Its scores of them, under its names."""
    registry = with_torchvision("torch_fidelity.registry")
    if REGISTERED not in registry.FEATURE_EXTRACTORS_REGISTRY:
        registry.register_feature_extractor(REGISTERED, type(network()))
    one, two = map(str, folders(size))
    return with_torchvision("torch_fidelity").calculate_metrics(
        input1=one, input2=two, cuda=False, cache=False, verbose=False, save_cpu_ram=True, isc=True, fid=True, kid=True,
        prc=True, feature_extractor=REGISTERED, feature_layer_isc="logits_unbiased", feature_layer_fid="2048",
        feature_layer_kid="2048", feature_layer_prc="2048", isc_splits=PARTS, samples_shuffle=False, kid_subsets=1,
        kid_subset_size=IMAGES, prc_neighborhood=NEIGHBOURS)


def beside_torch_fidelity(**names: str):
    """Pairs of our scores and theirs, of each size."""
    for size in SIZES:
        found, theirs = ours(size, "tf1"), of_torch_fidelity(size)
        yield [found[name] for name in names], [theirs[other] for other in names.values()]


@against("torch-fidelity", f"FID by `tf1` {WHAT}", 2e-5)
def fid_tf1():
    yield from beside_torch_fidelity(fid="frechet_inception_distance")


@against("torch-fidelity", f"KID by `tf1`, a small difference of large sums, {WHAT}", 5e-4)
def kid_tf1():
    yield from beside_torch_fidelity(kid="kernel_inception_distance_mean")


@against("torch-fidelity", f"Inception score and its deviation by `tf1` {WHAT}", 1e-5)
def inception_score_tf1():
    yield from beside_torch_fidelity(**{"is": "inception_score_mean", "is_std": "inception_score_std"})


@against("torch-fidelity", f"precision and recall by `tf1` {WHAT}", 1e-6)
def precision_and_recall():
    yield from beside_torch_fidelity(precision="precision", recall="recall")


@against("pytorch-fid", f"FID by `half_pixel` {WHAT}", 2e-5)
def fid_half_pixel():
    pytorch_fid()
    score = with_torchvision("pytorch_fid.fid_score")
    for size in SIZES:
        theirs = score.calculate_fid_given_paths([str(path) for path in folders(size)], 50, "cpu", 2048, num_workers=0)
        yield ours(size, "half_pixel")["fid"], theirs


@against("clean-fid", f"FID by `clean` {WHAT} (pytorch-fid's network)", 2e-5)
def fid_clean():
    blocks = torch.nn.Sequential(*pytorch_fid().blocks)
    for size in SIZES:
        theirs = with_torchvision("cleanfid.fid").compare_folders(
            *map(str, folders(size)), lambda x: blocks((x - 128) / 128).flatten(1), "clean", device="cpu",
            verbose=False)
        yield ours(size, "clean")["fid"], theirs
