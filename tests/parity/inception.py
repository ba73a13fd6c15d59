"""Inception's scores against the packages that published numbers come from, with the same random weights.

GEN_PARITY_IMAGES is how many images of each size, 8 unless it is set.
"""

import copy
import functools
import os
import tempfile
from pathlib import Path
from unittest import mock

import jax
import numpy as np

from gen.evaluation.pretrained import checkpoint
from gen.evaluation.pretrained.extraction import BATCH, extractor
from gen.evaluation.pretrained.inception import folded
from gen.evaluation.pretrained.networks import INCEPTION, WIDTHS
from gen.evaluation.pretrained.resize import RULES
from gen.evaluation.pretrained.weights import Weights
from tests.parity.comparisons import against
from tests.parity.metrics import with_torchvision
from tests.parity.references import torch

IMAGES = int(os.environ.get("GEN_PARITY_IMAGES", 8))
SIZES = (32, 64, 512)
KEPT = tempfile.TemporaryDirectory(prefix="gen-parity-")


def images(size: int, n: int = IMAGES, seed: int = 0) -> np.ndarray:
    """Blots of every scale: what resizing does to them depends on the rule, as of photographs."""
    rng, x = np.random.default_rng([seed, size]), 0
    for cells in (2, 4, 8, 16, 32):
        coarse = rng.normal(size=(n, cells, cells, 3))
        x = x + coarse.repeat(size // cells, 1).repeat(size // cells, 2) / cells**0.5
    return np.uint8(np.clip(128 + 50 * x, 0, 255))


def bytes_of(x: np.ndarray):
    """As the packages take them."""
    return torch.tensor(x.transpose(0, 3, 1, 2))


@functools.cache
def network():
    """torch-fidelity's network with random weights."""
    module = with_torchvision("torch_fidelity.feature_extractor_inceptionv3")
    module.load_state_dict_from_url = lambda *_, **__: None

    class Random(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, _):
            generator = torch.Generator().manual_seed(0)
            for name, values in self.state_dict().items():
                if values.dtype == torch.float32:
                    noise = torch.randn(values.shape, generator=generator)
                    values.copy_(noise * (2 / values[0].numel()) ** 0.5 if values.ndim == 4 else 0.1 * noise)
                if name.endswith(("bn.weight", "running_var")):
                    values.abs_().add_(1)

    return Random("random", ["2048", "logits_unbiased", "logits"])


@functools.cache
def file(form: str) -> Path:
    """The checkpoint of its weights."""
    path = Path(KEPT.name) / f"{form}.pth"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    return path


@functools.cache
def ours(resize: str):
    """A function of images to all outputs."""
    extract = extractor(INCEPTION, Weights(folded(checkpoint.read(file("zip"))), "", ""), resize, tuple(WIDTHS))

    def outputs(x: np.ndarray) -> dict[str, np.ndarray]:
        parts = list(extract(x[i:i + BATCH] for i in range(0, len(x), BATCH)))
        return {name: np.concatenate([part[name] for part in parts]) for name in WIDTHS}

    return outputs


@functools.cache
def pytorch_fid():
    """pytorch-fid's network with the same weights."""
    module = with_torchvision("pytorch_fid.inception")
    module.load_state_dict_from_url = lambda *_, **__: network().state_dict()
    return module.InceptionV3().eval()


def in_parts(network, x, size: int = 50):
    """A network's outputs, some images at a time."""
    with torch.no_grad():
        return torch.cat([network(part) for part in x.split(size)]).numpy()


@against("torch", "Inception's checkpoint, both forms, read without it", 0)
def checkpoints():
    for form in ("zip", "legacy"):
        yield checkpoint.read(file(form)), {name: values.numpy() for name, values in network().state_dict().items()}


def tf1_of_torch_fidelity():
    """Images, and what torch-fidelity makes of them."""
    other = with_torchvision("torch_fidelity.interpolate_compat_tensorflow").interpolate_bilinear_2d_like_tensorflow1x
    for x in (*map(images, SIZES), images(320)[:, :40, :300]):
        yield x, other(bytes_of(x).float(), size=(299, 299), align_corners=False).permute(0, 2, 3, 1).numpy()


@against("torch-fidelity", "rule `tf1` at 32, 64, 512 px and 40x300, on the host", 0)
def resize_tf1():
    for x, theirs in tf1_of_torch_fidelity():
        yield RULES["tf1"].resized(x), theirs


@against("torch-fidelity", "the same compiled, where products are added without rounding them", 2e-7)
def resize_tf1_compiled():
    for x, theirs in tf1_of_torch_fidelity():
        yield jax.jit(RULES["tf1"].resized)(x), theirs


@against("torch", "rule `half_pixel` at 32, 64, 512 px and 40x300", 1e-6)
def resize_half_pixel():
    for x in (*map(images, SIZES), images(320)[:, :40, :300]):
        theirs = torch.nn.functional.interpolate(bytes_of(x).float(), size=(299, 299), mode="bilinear",
                                                 align_corners=False).permute(0, 2, 3, 1)
        for resized in (RULES["half_pixel"].resized, jax.jit(RULES["half_pixel"].resized)):
            yield resized(x), theirs.numpy()


@against("clean-fid", "rule `clean` at 32, 64, 512 px and 40x300", 0)
def resize_clean():
    resizer = with_torchvision("cleanfid.resize").build_resizer("clean")
    for x in (*map(images, SIZES), images(320)[:, :40, :300]):
        yield RULES["clean"].resized(x), np.stack([resizer(image) for image in x])


@against("torch-fidelity", f"features and logits by `tf1`, {IMAGES} images of 32, 64, 512 px", 5e-6)
def outputs_tf1():
    for size in SIZES:
        x, found = images(size), ours("tf1")(images(size))
        theirs = in_parts(lambda part: torch.cat(network()(part)[:2], 1), bytes_of(x))
        yield [found["features"], found["logits"]], np.split(theirs, [2_048], axis=1)


@functools.cache
def in_both_precisions() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """torch-fidelity's features and logits of 4 images of 64 px: by its float32, and by float64 behind its resize."""
    module = with_torchvision("torch_fidelity.feature_extractor_inceptionv3")
    x, double = bytes_of(images(64, 4)), copy.deepcopy(network()).double()
    double.feature_extractor_internal_dtype = torch.float64
    resized = torch.tensor(RULES["tf1"].resized(images(64, 4))).permute(0, 3, 1, 2).double()
    with torch.no_grad(), mock.patch.object(module, "interpolate_bilinear_2d_like_tensorflow1x",
                                            lambda *_, **__: resized):
        exact = double(x)
    with torch.no_grad():
        return [[values.numpy() for values in found[:2]] for found in (network()(x), exact)]


@against("torch-fidelity", "features and logits against its network in float64", 2e-6)
def outputs_in_float64():
    found = ours("tf1")(images(64, 4))
    yield from zip((found["features"], found["logits"]), in_both_precisions()[1], strict=True)


@against("torch-fidelity", "its own float32 against its network in float64, to compare", 2e-6)
def their_own_rounding():
    yield from zip(*in_both_precisions(), strict=True)


@against("torch-fidelity", "spatial outputs: 7 channels of Mixed_6d's first branch", 5e-6)
def outputs_spatial():
    seen = []
    handle = network().Mixed_6d.branch1x1.register_forward_hook(lambda *args: seen.append(args[-1]))
    network()(bytes_of(images(64, 4)))
    handle.remove()
    yield ours("tf1")(images(64, 4))["spatial"], seen[0][:, :7].permute(0, 2, 3, 1).reshape(4, -1).numpy()


@against("pytorch-fid", f"features by `half_pixel`, {IMAGES} images of 32, 64, 512 px", 5e-6)
def outputs_half_pixel():
    for size in SIZES:
        theirs = in_parts(lambda part: pytorch_fid()(part / 255)[0].flatten(1), bytes_of(images(size)))
        yield ours("half_pixel")(images(size))["features"], theirs


@against("clean-fid", f"features by `clean`, {IMAGES} images of 32, 64, 512 px (pytorch-fid's network)", 5e-6)
def outputs_clean():
    resizer = with_torchvision("cleanfid.resize").build_resizer("clean")
    blocks = torch.nn.Sequential(*pytorch_fid().blocks)
    for size in SIZES:
        x = torch.tensor(np.stack([resizer(image) for image in images(size)])).permute(0, 3, 1, 2)
        yield ours("clean")(images(size))["features"], in_parts(lambda part: blocks((part - 128) / 128).flatten(1), x)
