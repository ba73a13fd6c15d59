"""Families of models, each a function (config, spec) -> Family."""

from gen.families import diffusion, gan, vae, vaegan, vqvae
from gen.families.types import Batch, Family, Metrics, TrainState

FAMILIES = {"diffusion": diffusion.make, "gan": gan.make, "vae": vae.make, "vaegan": vaegan.make, "vqvae": vqvae.make}

CAUTIONS = {"gan": gan.cautions}
"""By family, config -> a line for each choice that trains but undoes what it is for."""


def cautions(config) -> list[str]:
    """A line for each choice of the config that trains but undoes what it is for, to be said when a run begins."""
    return CAUTIONS[config.family](config) if config.family in CAUTIONS else []


__all__ = ["CAUTIONS", "FAMILIES", "Batch", "Family", "Metrics", "TrainState", "cautions"]
