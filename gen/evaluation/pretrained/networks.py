"""The networks whose outputs are compared: what each one computes, its weights, its rules of resizing, its scores.

The published checkpoints of Inception are `pt_inception-2015-12-05-6726825d.pth` (pytorch-fid) and
`weights-inception-2015-12-05-6726825d.pth` (torch-fidelity), whose tensors are equal; their names end in the head of
their SHA-256. DINOv2's project publishes no hashes: those here are what the files have that others fetched from it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from jaxtyping import Array, Float, PyTree

from gen.evaluation.pretrained import dinov2, inception
from gen.evaluation.pretrained.resize import DINOV2_RULES, RULES, Rule
from gen.evaluation.pretrained.weights import File, Published


class Network(NamedTuple):
    """A network of scores.

    Attributes:
      published: its weights.
      widths: outputs to how many numbers of an image they are.
      outputs: (variables, images as it takes them) -> outputs by name.
      rules: of resizing; the first one is what is usual.
      scores: the names that its scores have to those that `gen.evaluation.pretrained.scores` has; the first is usual.
      folder: of its weights and outputs, below that of the data sets.
    """

    published: Published
    widths: Mapping[str, int]
    outputs: Callable[[PyTree, Float[Array, "n s s 3"]], Mapping[str, Float[Array, "n d"]]]
    rules: Mapping[str, Rule]
    scores: Mapping[str, str]
    folder: str

    @property
    def resize(self) -> str:
        """The usual rule of resizing."""
        return next(iter(self.rules))

    @property
    def score(self) -> str:
        """The usual score."""
        return next(iter(self.scores))

    @property
    def extrapolated(self) -> str:
        """The score at an infinite number of samples."""
        return f"{self.score}_infinity"


WIDTHS = {"features": inception.FEATURES, "logits": inception.LOGITS, "spatial": inception.SPATIAL}
"""Of Inception."""

INCEPTION = Network(
    Published(
        "inception", "Inception", "inception", "inception/inception-2015-12-05.safetensors",
        (File("pt_inception-2015-12-05-6726825d.pth",
              "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/", "6726825d"),),
        inception.tensor_shapes, inception.folded, "no Inception of the FID (torchvision's has 1,000 classes)"),
    WIDTHS, lambda variables, x: inception.Inception().apply(variables, x)._asdict(), RULES,
    {name: name for name in ("fid", "kid", "is", "prdc", "sfid", "fid_infinity")}, "inception")


def dinov2_of(name: str, head: str) -> Network:
    """DINOv2 of a size; its scores are named as by Stein et al. 2023, without the I of Inception."""
    size, file = dinov2.SIZES[name], f"dinov2_{name}_pretrain"
    published = Published(
        f"dinov2_{name}", f"DINOv2 {name}", f"dinov2-{name}", f"dinov2/{file}.safetensors",
        (File(f"{file}.pth", f"https://dl.fbaipublicfiles.com/dinov2/dinov2_{name}/", head),),
        partial(dinov2.tensor_shapes, size), partial(dinov2.converted, size),
        f"no DINOv2 {name} without registers")
    model = dinov2.DINOv2(size)
    return Network(published, {"features": size.width}, lambda variables, x: {"features": model.apply(variables, x)},
                   DINOV2_RULES, {"fd": "fid", "kd": "kid", "prdc": "prdc", "fd_infinity": "fid_infinity"}, "dinov2")


NETWORKS = {
    "inception": INCEPTION,
    "dinov2_vitb14": dinov2_of("vitb14", "0b8b82f85de91b42"),
    "dinov2_vitl14": dinov2_of("vitl14", "d5383ea8f4877b24"),
}
"""By name."""
