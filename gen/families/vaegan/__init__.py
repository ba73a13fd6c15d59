"""VAE-GAN: the three players, what a step is."""

from gen.families.vaegan.family import ABOUT, DEFAULTS, FLOATS, SCHEMA, make

__all__ = ["ABOUT", "DEFAULTS", "FLOATS", "SCHEMA", "make"]
