"""Families of models, each a function (config, spec) -> Family."""

from gen.families import gan, vae
from gen.families.types import Batch, Family, Metrics, TrainState

FAMILIES = {"gan": gan.make, "vae": vae.make}

__all__ = ["FAMILIES", "Batch", "Family", "Metrics", "TrainState"]
