"""Vector-quantised autoencoders: the codebook, what a step is, samples of the prior on codes."""

from gen.families.vqvae.family import ABOUT, FLOATS, SCHEMA, make

__all__ = ["ABOUT", "FLOATS", "SCHEMA", "make"]
