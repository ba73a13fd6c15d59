"""Denoising diffusion: the denoiser with its noise schedule, what a step is, samples."""

from gen.families.diffusion.family import DEFAULTS, FLOATS, SCHEMA, make

__all__ = ["DEFAULTS", "FLOATS", "SCHEMA", "make"]
