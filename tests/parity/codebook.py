"""The codebook of a VQ-VAE, its moving averages and the commitment, against vector-quantize-pytorch."""

import jax.numpy as jnp
import numpy as np

from gen.families.vqvae import codebook as books
from tests.parity.comparisons import against, optional
from tests.parity.references import normal, torch

CODES, SIZE, N, DECAY = 12, 4, 50, 0.9


@against("vector-quantize-pytorch", "codes, quantised vectors, commitment, moving averages: five steps", 2e-6)
def steps():
    start = normal(0, CODES, SIZE)
    other = optional("vector_quantize_pytorch").VectorQuantize(
        SIZE, CODES, decay=DECAY, eps=books.SMOOTHING, commitment_weight=1.0, rotation_trick=False,
        threshold_ema_dead_code=0)
    for name in ("embed", "embed_avg"):
        getattr(other._codebook, name).copy_(torch.tensor(np.asarray(start))[None])
    codebook = {"counts": jnp.ones(CODES), "sums": jnp.asarray(start)}
    e = jnp.asarray(start)
    for step in range(5):
        z = normal(10 + step, N, SIZE)
        codes = books.nearest(z, e)
        quantised, theirs, commitment = other(torch.tensor(np.asarray(z))[None])
        yield np.asarray(codes), theirs[0].numpy()
        yield (e[codes], np.square(np.asarray(z - e[codes])).mean()), (
            quantised[0].detach().numpy(), commitment.item())
        codebook = books.averaged(codebook, jnp.asarray(z), codes, DECAY)
        e = books.embeddings(codebook)
        yield e, other._codebook.embed[0].numpy()


@against("scipy", "perplexity of codes", 1e-6)
def perplexity():
    from scipy.stats import entropy

    codes = np.random.default_rng(0).integers(9, size=300) ** 2 // 8
    yield books.perplexity(jnp.asarray(codes), CODES), np.exp(entropy(np.bincount(codes)))
