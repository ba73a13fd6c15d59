"""What is timed: fixed models on synthetic data of the sizes of the real sets, and the settings they are timed in."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gen.data import Spec


class Workload(NamedTuple):
    """What is trained.

    Attributes:
      config: an experiment's config, still without the defaults.
      spec: of the synthetic examples.
      examples: how many there are.
      in_peer: the peer's program, `benchmarks/torch_peers` say, has this workload too.
      packed: it is small enough for 64 runs in one program.
    """

    config: dict[str, Any]
    spec: Spec
    examples: int
    in_peer: bool = False
    packed: bool = False


def _train(batch_size: int, log_every: int) -> dict[str, int]:
    """The section `train` of a run that does nothing but train, `log_every` steps a dispatch."""
    return {"steps": 100 * log_every, "batch_size": batch_size, "log_every": log_every, "evaluate_every": 0,
            "sample_every": 0, "checkpoint_every": 0}


def _burda(objective: str, samples: int, log_every: int) -> dict[str, Any]:
    """One stochastic layer of 50 and two deterministic ones of 200 (Burda et al. 2016, section 5 and appendix C)."""
    return {
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
        "latents": 50,
        "samples": samples,
        "encoder": {"name": "mlp", "hidden": (200, 200), "activation": "tanh"},
        "decoder": {"name": "mlp", "hidden": (200, 200), "activation": "tanh"},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": objective},
        "optimizer": {"name": "adam", "learning_rate": 1e-3, "eps": 1e-4},
        "train": _train(100, log_every),
    }


def _gan(data: dict, latents: int, generator: dict, discriminator: dict, loss: str, adam: dict, train: dict) -> dict:
    """Both players with the same optimizer, one step each in turn."""
    return {
        "family": "gan", "data": data, "latents": latents, "generator": generator, "discriminator": discriminator,
        "loss": {"name": loss}, "generator_optimizer": {"name": "adam"} | adam,
        "discriminator_optimizer": {"name": "adam"} | adam, "train": train,
    }


_CONV_VAE = {
    "family": "vae",
    "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
    "latents": 50,
    "encoder": {"name": "dcgan"},
    "decoder": {"name": "dcgan"},
    "likelihood": {"name": "bernoulli"},
    "objective": {"name": "elbo"},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "train": _train(64, 10),
}

# PacGAN's 2-D networks (Lin et al. 2018, appendix).
_RING = _gan({"name": "ring"}, 2, {"name": "mlp", "hidden": (400,) * 4, "batch_norm": True}, {"name": "maxout"},
             "non_saturating", {"learning_rate": 1e-4, "b1": 0.8, "b2": 0.999}, _train(100, 100))
_CIFAR = {"name": "cifar10", "range": "symmetric"}
_DCGAN = _gan(_CIFAR, 100, {"name": "dcgan"}, {"name": "dcgan"}, "non_saturating",
              {"learning_rate": 2e-4, "b1": 0.5, "b2": 0.999}, _train(64, 50))
# Miyato et al. 2018, appendix B.4, at half their width and with one critic step.
_RESNET = _gan(_CIFAR, 128, {"name": "resnet", "width": 128}, {"name": "resnet", "width": 64, "spectral_norm": True},
               "hinge", {"learning_rate": 2e-4, "b1": 0.0, "b2": 0.9}, _train(64, 2))
_R3GAN = _gan(_CIFAR, 64, {"name": "r3gan"}, {"name": "r3gan"}, "relativistic_paired",
              {"learning_rate": 2e-4, "b1": 0.0, "b2": 0.99}, _train(64, 2)) | {
    "discriminator_bias": False, "penalties": {"r1": {"weight": 0.5}, "r2": {"weight": 0.5}},
}
# A quarter of PyTorch-StudioGAN's width, without labels.
_BIGGAN = _gan(_CIFAR, 80, {"name": "biggan", "width": 24}, {"name": "biggan", "width": 24}, "hinge",
               {"learning_rate": 2e-4, "b1": 0.0, "b2": 0.999}, _train(64, 2))
_STYLES = {"name": "stylegan2", "width": 32, "largest": 128}
_STYLEGAN2 = _gan(_CIFAR, 128, _STYLES | {"style_width": 128, "mapping_depth": 2}, _STYLES, "non_saturating",
                  {"learning_rate": 2e-4, "b1": 0.0, "b2": 0.99}, _train(64, 2)) | {"bounded": False}
# Sonnet's example, with a PixelCNN of its codes that learns beside it.
_VQVAE = {
    "family": "vqvae", "data": {"name": "cifar10", "range": "unit"}, "codes": 512, "code_size": 64,
    "encoder": {"name": "residual"}, "decoder": {"name": "residual"}, "prior": {"name": "pixelcnn"},
    "optimizer": {"name": "adam", "learning_rate": 3e-4},
    "prior_optimizer": {"name": "adam", "learning_rate": 1e-3}, "train": _train(32, 10),
}
_DDPM = {
    "family": "diffusion", "data": _CIFAR, "prediction": "epsilon",
    "denoiser": {"name": "unet", "width": 32, "multiples": (1, 2, 2), "attention": True},
    "optimizer": {"name": "adam", "learning_rate": 2e-4}, "train": _train(32, 5),
}

_DIGITS, _POINTS = Spec((28, 28, 1), 0, "unit"), Spec((2,), 0, "real")
_IMAGES, _UNIT_IMAGES = (Spec((32, 32, 3), 0, range) for range in ("symmetric", "unit"))

WORKLOADS = {
    "vae_mlp": Workload(_burda("elbo", 1, 200), _DIGITS, 60_000, in_peer=True, packed=True),
    "iwae_mlp": Workload(_burda("iwae", 5, 100), _DIGITS, 60_000, in_peer=True, packed=True),
    "gan_ring": Workload(_RING, _POINTS, 100_000, in_peer=True, packed=True),
    "dcgan_32": Workload(_DCGAN, _IMAGES, 10_000, in_peer=True),
    "conv_vae": Workload(_CONV_VAE, _DIGITS, 60_000, in_peer=True, packed=True),
    "resnet_gan": Workload(_RESNET, _IMAGES, 10_000, in_peer=True),
    "r3gan_small": Workload(_R3GAN, _IMAGES, 10_000, in_peer=True),
    "biggan_small": Workload(_BIGGAN, _IMAGES, 10_000, in_peer=True),
    "stylegan2_small": Workload(_STYLEGAN2, _IMAGES, 10_000, in_peer=True),
    "vqvae": Workload(_VQVAE, _UNIT_IMAGES, 10_000, in_peer=True),
    "ddpm_unet": Workload(_DDPM, _IMAGES, 10_000, in_peer=True),
}


def synthetic(spec: Spec, n: int) -> dict[str, np.ndarray]:
    """n examples as a data set stores them: uniform pixels, or standard normal points."""
    rng, shape = np.random.default_rng(0), (n, *spec.shape)
    return {"x": rng.integers(0, 256, shape, np.uint8) if len(shape) == 4 else rng.standard_normal(shape, np.float32)}


class Setting(NamedTuple):
    """How a workload is trained.

    Attributes:
      batch_size: examples of a batch; 0: the workload's own number.
      precision: of the config (`gen.precision`).
      seeds: runs that train together in one program.
      devices: over which a batch is split.
    """

    batch_size: int = 0
    precision: str = "float32"
    seeds: int = 1
    devices: int = 1


OWN = Setting()

SETTINGS: dict[str, Sequence[Setting]] = {
    "cpu": (OWN,),
    "gpu": (
        OWN, Setting(64), Setting(512), Setting(512, "tensorfloat32"), Setting(64, "bfloat16"),
        Setting(512, "bfloat16"), Setting(seeds=8), Setting(seeds=64),
    ),
}
"""What a processor is timed in, and what an accelerator; the first is the workload's own, which peers have too."""


def settings(workload: Workload, name: str) -> list[Setting]:
    """The settings of that name in which the workload is timed, each once; of large models none with several runs."""
    own = workload.config["train"]["batch_size"]
    found = [setting._replace(batch_size=setting.batch_size or own) for setting in SETTINGS[name]]
    return list(dict.fromkeys(setting for setting in found if workload.packed or setting.seeds == 1))


def own(name: str) -> Setting:
    """The setting of the workload of this name."""
    return settings(WORKLOADS[name], "cpu")[0]
