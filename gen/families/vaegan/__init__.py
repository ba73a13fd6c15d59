"""VAE-GAN: the three players, what a step is."""

from gen.families.vaegan.family import DEFAULTS, SCHEMA, make

__all__ = ["DEFAULTS", "SCHEMA", "make"]
