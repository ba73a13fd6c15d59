"""How much of its codebook a VQ-VAE uses."""

import jax.numpy as jnp

from gen.config.ranges import Natural
from gen.evaluation.latents import applied
from gen.evaluation.likelihood import test_examples
from gen.evaluation.types import Subject
from gen.families.vqvae.codebook import perplexity
from gen.rng import stream


def codebook(subject: Subject, examples: Natural = 0) -> dict[str, float]:
    """Perplexity of the codes of all test examples together (of the first `examples`), and how many codes they use.

    Training logs the perplexity of a batch, which falls short of this one where a batch has few codes.
    """
    codes = applied(subject, "codes", test_examples(subject, examples, stream(subject.state.key, "codebook")))
    return {"perplexity": float(perplexity(codes, subject.config.codes)), "codes_used": float(len(jnp.unique(codes)))}
