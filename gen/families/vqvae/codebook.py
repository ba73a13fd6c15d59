"""The codebook of a VQ-VAE, as moving averages (van den Oord et al. 2017, appendix A.1)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

SMOOTHING = 1e-5
Codebook = dict[str, Array]
"""counts [k], sums [k d]: moving averages of how many vectors each code has, and of their sum."""


def embeddings(codebook: Codebook) -> Float[Array, "k d"]:
    """e_i = sums_i / counts_i, counts smoothed as by a few more vectors (van den Oord et al. 2017, appendix A.1)."""
    counts = codebook["counts"]
    total = counts.sum()
    smoothed = (counts + SMOOTHING) / (total + len(counts) * SMOOTHING) * total
    return codebook["sums"] / smoothed[:, None]


def nearest(z: Float[Array, "*n d"], e: Float[Array, "k d"]) -> Int[Array, "*n"]:
    """The code whose embedding is nearest to each vector (van den Oord et al. 2017, eq. 1), of several the first.

    The number of the least distance as a minimum itself: XLA:CPU computes an argmin one number at a time.
    """
    distances = jnp.square(e).sum(-1) - 2 * z @ e.T
    least = distances.min(-1, keepdims=True)
    return jnp.where(distances == least, jnp.arange(len(e)), len(e) - 1).min(-1)


def averaged(codebook: Codebook, z: Float[Array, "n d"], codes: Int[Array, "n"], decay: float | Float[Array, ""]
             ) -> Codebook:
    """The codebook after a step in which these vectors had these codes (van den Oord et al. 2017, eq. 6-8)."""
    one_hot = jax.nn.one_hot(codes, len(codebook["counts"]))
    new = {"counts": one_hot.sum(0), "sums": one_hot.T @ z}
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, codebook, new)


def perplexity(codes: Int[Array, "..."], k: int) -> Float[Array, ""]:
    """exp of the entropy of the codes' frequencies: how many codes are in use."""
    p = jnp.bincount(codes.reshape(-1), length=k) / codes.size
    return jnp.exp(jax.scipy.special.entr(p).sum())
