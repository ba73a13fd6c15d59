"""Families of models, each a function (config, spec) -> Family."""

from gen.families import diffusion, gan, vae, vaegan, vqvae
from gen.families.types import Batch, Family, Metrics, TrainState

FAMILIES = {"diffusion": diffusion.make, "gan": gan.make, "vae": vae.make, "vaegan": vaegan.make, "vqvae": vqvae.make}

__all__ = ["FAMILIES", "Batch", "Family", "Metrics", "TrainState"]
