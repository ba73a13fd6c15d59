"""A small convolutional model of each family, trained by gradient descent, whose steps are linear in gradients."""

from ml_collections import ConfigDict

from gen.data import load
from gen.schema import complete
from gen.training import program
from tests.helpers import gan_config, vae_config

SGD = {"name": "sgd", "learning_rate": 0.01}
TRAIN = {"steps": 6, "batch_size": 32, "log_every": 3, "evaluate_every": 0, "sample_every": 0, "checkpoint_every": 3}
DCGAN, RESIDUAL = {"name": "dcgan", "width": 4}, {"name": "residual", "width": 8, "inner": 4, "blocks": 1}
BASE = {"data": {"name": "digits", "range": "symmetric"}, "mesh": {"data": 1}, "train": TRAIN}

MODELS = {
    "vae": BASE | {
        "family": "vae", "latents": 2, "encoder": DCGAN, "decoder": DCGAN, "optimizer": SGD,
        "data": {"name": "digits", "binarize": "dynamic"}, "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
    },
    "gan": BASE | {
        "family": "gan", "latents": 4, "generator": DCGAN, "discriminator": DCGAN | {"batch_norm": False},
        "loss": {"name": "relativistic_paired"}, "penalties": {"r1": {"weight": 0.1}, "r2": {"weight": 0.1}},
        "generator_optimizer": SGD, "discriminator_optimizer": SGD,
    },
    "vaegan": BASE | {
        "family": "vaegan", "latents": 4, "encoder": DCGAN, "decoder": DCGAN, "discriminator": DCGAN,
        "data": {"name": "digits"}, "likelihood": {"name": "bernoulli"}, "optimizer": SGD,
    },
    "vqvae": BASE | {
        "family": "vqvae", "halvings": 1, "codes": 8, "code_size": 3, "encoder": RESIDUAL, "decoder": RESIDUAL,
        "data": {"name": "digits"}, "prior": {"name": "pixelcnn", "width": 8, "blocks": 1}, "optimizer": SGD,
        "prior_optimizer": SGD,
    },
    "diffusion": BASE | {
        "family": "diffusion", "timesteps": 10, "bound_levels": 2,
        "denoiser": {"name": "unet", "width": 8, "multiples": (1, 2)},
        "noise_schedule": {"name": "cosine"}, "loss": {"name": "simple"}, "sampler": {"name": "ddim", "steps": 5},
        "optimizer": SGD,
    },
}


def config(family: str, **overrides) -> ConfigDict:
    """The model's config; overrides by dotted keys with "__" for the dot."""
    return complete(ConfigDict(MODELS[family]), {key.replace("__", "."): value for key, value in overrides.items()})


def built(config):
    """(program, training data on the default device, data set) of a config."""
    dataset = load(config.data)
    return program.make(config, dataset.spec), program.on_device(dataset.train), dataset


def evaluators(**chosen):
    """Overrides that have these evaluators, each with its options, or none of them for False."""
    return {f"evaluators__{name}{f'__{key}' if key else ''}": value for name, options in chosen.items()
            for key, value in (options.items() if isinstance(options, dict) else [("", options)])}


RAW = {"features": "raw", "samples": 100}
EVALUATED = {
    "ring": lambda: gan_config(**evaluators(modes={"samples": 100})),
    "line": lambda: gan_config(data__name="line", latents=1, **evaluators(modes=False, optimal_discriminator=True)),
    "digits": lambda: config("gan", **evaluators(fid=RAW, kid=RAW, prdc=RAW, memorization=RAW)),
    "polygons": lambda: config("gan", data__name="polygons", data__examples=100, data__test_examples=50,
                               **evaluators(polygons={"samples": 50})),
    "vae": lambda: config("vae", **evaluators(log_likelihood={"samples": 50, "examples": 20},
                                              latents={"samples": 50}, mixture_fid=RAW | {"components": 2})),
    "small vae": lambda: vae_config(**evaluators(annealed_log_likelihood={"examples": 4, "steps": 20})),
    "vqvae": lambda: config("vqvae", **evaluators(codebook=True)),
    "shapes": lambda: vae_config(
        data__name="shapes", data__size=16, data__examples=50, data__test_examples=200, latents=3,
        **evaluators(mig={"samples": 50, "examples": 200}, sap={"examples": 200}, dci={"examples": 200},
                     factor_score={"votes": 50})),
}
"""Model to the config that evaluates it; classifiers and clocks are tested elsewhere."""
