"""Variational autoencoders: models of one layer of latents or several, what they minimise, what a step is."""

from gen.families.vae.family import DEFAULTS, FLOATS, SCHEMA, make

__all__ = ["DEFAULTS", "FLOATS", "SCHEMA", "make"]
