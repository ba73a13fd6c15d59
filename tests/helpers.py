"""What whole-run tests share: tiny configs of the families and how to compare states."""

from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from gen import config as configs
from gen.data import Spec, load
from gen.runs import Run
from gen.schema import complete
from gen.training import program
from tests.environment import ROOT

TRAIN = {"steps": 12, "batch_size": 16, "log_every": 2, "evaluate_every": 4, "sample_every": 0, "checkpoint_every": 4}


_VAE = {
    "family": "vae",
    "data": {"name": "digits", "binarize": "dynamic"},
    "latents": 2,
    "encoder": {"name": "mlp", "hidden": (8,)},
    "decoder": {"name": "mlp", "hidden": (8,)},
    "likelihood": {"name": "bernoulli"},
    "objective": {"name": "elbo"},
    "optimizer": {"name": "adam"},
    "mesh": {"data": 1},
    "train": TRAIN | {"best": "max elbo"},
}


def vae_config(**overrides) -> ConfigDict:
    """A VAE on digits that trains in a second; overrides by dotted keys with "__" for the dot."""
    return _complete(_VAE, overrides)


def hierarchy_config(**overrides) -> ConfigDict:
    """The same with a small convolutional hierarchy of latents, which needs no encoder and decoder."""
    config = {key: part for key, part in _VAE.items() if key not in ("encoder", "decoder")}
    hierarchy = {"name": "convolutional_ladder", "halvings": (0, 1), "first_halving": False, "width": 4, "blocks": 1,
                 "dropout": 0.1}
    return _complete(config | {"hierarchy": hierarchy}, overrides)


def gan_config(**overrides) -> ConfigDict:
    """A GAN on the ring, with batch norm, a penalty, two critic steps and a moving average, as small."""
    config = {
        "family": "gan",
        "data": {"name": "ring", "examples": 1_000, "test_examples": 100},
        "latents": 2,
        "generator": {"name": "mlp", "hidden": (8,), "batch_norm": True},
        "discriminator": {"name": "mlp", "hidden": (8,)},
        "loss": {"name": "non_saturating"},
        "penalties": {"r1": {"weight": 0.1}},
        "critic_steps": 2,
        "ema_half_life": 100.0,
        "generator_optimizer": {"name": "adam"},
        "discriminator_optimizer": {"name": "adam"},
        "evaluators": {"modes": {"samples": 50}},
        "mesh": {"data": 1},
        "train": TRAIN,
    }
    return _complete(config, overrides)


def vqvae_config(**overrides) -> ConfigDict:
    """A VQ-VAE on digits with sixteen codes on a grid of 4 x 4, as small."""
    network = {"name": "residual", "width": 8, "inner": 4, "blocks": 1}
    config = {
        "family": "vqvae",
        "data": {"name": "digits"},
        "halvings": 1,
        "codes": 16,
        "code_size": 3,
        "encoder": network,
        "decoder": network,
        "prior": {"name": "pixelcnn", "width": 8, "blocks": 1},
        "optimizer": {"name": "adam"},
        "prior_optimizer": {"name": "adam"},
        "mesh": {"data": 1},
        "train": TRAIN,
    }
    return _complete(config, overrides)


def untrained(config: ConfigDict, folder: Path) -> Run:
    """A run of the config at its initial values."""
    dataset = load(config.data)
    made = program.make(config, dataset.spec)
    return Run(folder, config, dataset.spec, made, made.init(0, dataset.train), 0)


def diffusion_config(**overrides) -> ConfigDict:
    """A conditional diffusion model on digits, trained on the bound, with guidance and a moving average."""
    config = {
        "family": "diffusion",
        "data": {"name": "digits", "range": "symmetric"},
        "timesteps": 10,
        "bound_levels": 2,
        "conditional": True,
        "denoiser": {"name": "mlp", "hidden": (8,), "features": 8},
        "noise_schedule": {"name": "cosine"},
        "loss": {"name": "bound"},
        "sampler": {"name": "ddpm", "steps": 5, "guidance": 1.0},
        "ema_half_life": 100.0,
        "optimizer": {"name": "adam"},
        "mesh": {"data": 1},
        "train": TRAIN | {"best": "max elbo"},
    }
    return _complete(config, overrides)


def parameter_counts(experiment: str, side: int = 32, classes: int = 10) -> tuple[int, int]:
    """Parameters of generator and discriminator of an experiment of `experiments/gan`, for colour images."""
    config = complete(configs.load(f"{ROOT}/experiments/gan/{experiment}"), {})
    spec = Spec((side, side, 3), classes, config.data.range)
    params = program.abstract_state(program.make(config, spec), spec).params
    generator, discriminator = (sum(leaf.size for leaf in jax.tree.leaves(params[player]))
                                for player in ("generator", "discriminator"))
    return generator, discriminator


CONFIGS = {"vae": vae_config, "gan": gan_config, "diffusion": diffusion_config}
MODELS = CONFIGS | {"hierarchy": hierarchy_config}


def _complete(config: dict, overrides: dict) -> ConfigDict:
    return complete(ConfigDict(config), {key.replace("__", "."): value for key, value in overrides.items()})


def squared_mmd(x, y, kernel=lambda a, b: (np.dot(a, b) / len(a) + 1) ** 3) -> float:
    """The unbiased estimate of MMD^2 as its double sums, one kernel value at a time; by default that of the KID."""
    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def leaves(state) -> dict[str, np.ndarray]:
    """The leaves of a TrainState by path, keys as their data."""
    def plain(leaf):
        return np.asarray(jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)

    return {jax.tree_util.keystr(path): plain(leaf) for path, leaf in jax.tree.leaves_with_path(state)}


def assert_same_bits(a, b) -> None:
    """Fails unless two states are equal bit for bit."""
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    differing = [path for path in a if a[path].tobytes() != b[path].tobytes()]
    assert not differing, f"{len(differing)} of {len(a)} leaves differ: {differing[:3]}"


def assert_close(a, b) -> None:
    """Fails unless two states are equal up to float32 rounding."""
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    for path in a:
        np.testing.assert_allclose(a[path], b[path], rtol=1e-4, atol=2e-5, err_msg=path)


def stop_after(dispatches: int):
    """A stop signal that comes during the given dispatch."""
    calls = iter(range(1, 1_000))
    return lambda: next(calls) >= dispatches


def all_of(inference):
    """An `Inference` with what it makes on request made, so that it may leave a jitted function."""
    terms, latents = inference.terms, inference.latents
    return inference._replace(terms=terms._replace(log_posterior_held=terms.log_posterior_held()),
                              latents=latents._replace(prior=latents.prior()))
