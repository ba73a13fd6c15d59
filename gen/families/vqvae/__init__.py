"""Vector-quantised autoencoders: the codebook, what a step is, samples of the prior on codes."""

from gen.families.vqvae.family import SCHEMA, make

__all__ = ["SCHEMA", "make"]
