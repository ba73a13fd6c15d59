"""Variational autoencoders: models of one layer of latents or several, what they minimise, what a step is."""

from gen.families.vae.family import ABOUT, DEFAULTS, FLOATS, SCHEMA, make

__all__ = ["ABOUT", "DEFAULTS", "FLOATS", "SCHEMA", "make"]
