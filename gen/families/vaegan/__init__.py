"""VAE-GAN: the three players, what a step is."""

from gen.families.vaegan.family import DEFAULTS, FLOATS, SCHEMA, make

__all__ = ["DEFAULTS", "FLOATS", "SCHEMA", "make"]
