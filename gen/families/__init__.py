"""Families of models, each a function (config, spec) -> Family; `make` adds what a config asks of any of them."""

from ml_collections import ConfigDict

from gen.data import Spec
from gen.errors import lookup
from gen.families import diffusion, gan, vae, vaegan, vqvae
from gen.families.added import averaged, scheduled
from gen.families.types import Batch, Family, Metrics, TrainState

FAMILIES = {"diffusion": diffusion.make, "gan": gan.make, "vae": vae.make, "vaegan": vaegan.make, "vqvae": vqvae.make}

FLOATS = {"diffusion": diffusion.FLOATS, "gan": gan.FLOATS, "vae": vae.FLOATS, "vaegan": vaegan.FLOATS,
          "vqvae": vqvae.FLOATS}
"""By family, the keys at or below which are the floats of a config that may have a schedule."""

AVERAGED = ("vae", "vaegan", "vqvae")
"""Families whose moving averages are kept here; the others choose what theirs are of."""

CAUTIONS = {"gan": gan.cautions}
"""By family, config -> a line for each choice that trains but undoes what it is for."""

TOLD = {"diffusion": ("loss", "elbo"), "gan": ("discriminator_loss", "generator_loss"), "vae": ("elbo", "kl"),
        "vaegan": ("feature_error", "kl"), "vqvae": ("reconstruction_error", "perplexity")}
"""By family, the metrics of training that say most at a glance."""


def make(config: ConfigDict, spec: Spec) -> Family:
    """The family that the config describes, for examples of `spec`, with its schedules and its moving average."""
    family = lookup(FAMILIES, config.family, "family")(config, spec)
    if config.family in AVERAGED:
        family = averaged(config, family)
    return scheduled(config, family, FLOATS[config.family])


def cautions(config) -> list[str]:
    """A line for each choice of the config that trains but undoes what it is for, to be said when a run begins."""
    return CAUTIONS[config.family](config) if config.family in CAUTIONS else []


__all__ = ["AVERAGED", "CAUTIONS", "FAMILIES", "FLOATS", "TOLD", "Batch", "Family", "Metrics", "TrainState", "cautions",
           "make"]
