"""Denoising diffusion: the denoiser with its noise schedule, what a step is, samples."""

from gen.families.diffusion.family import ABOUT, DEFAULTS, FLOATS, SCHEMA, make

__all__ = ["ABOUT", "DEFAULTS", "FLOATS", "SCHEMA", "make"]
