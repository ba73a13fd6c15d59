"""Generative adversarial networks: the players, their game, what a step is, samples."""

from gen.families.gan.checks import cautions
from gen.families.gan.family import ABOUT, FLOATS, SCHEMA, make

__all__ = ["ABOUT", "FLOATS", "SCHEMA", "cautions", "make"]
