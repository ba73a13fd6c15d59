"""Denoising diffusion: the denoiser with its noise schedule, what a step is, samples."""

from gen.families.diffusion.family import DEFAULTS, SCHEMA, make

__all__ = ["DEFAULTS", "SCHEMA", "make"]
