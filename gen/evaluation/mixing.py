"""A picture of what the layers of a generator with styles hold (Karras et al. 2019, section 3.1)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from gen.data import to_uint8
from gen.evaluation.types import Subject
from gen.figures.grids import image_grid
from gen.rng import stream

ROWS, COLUMNS = 4, 6
"""Images that give the first styles, and those that give the others."""

COARSE = 4
"""Layers up to 8 x 8 pixels: two at each size, the one that makes the smallest image among them."""


def draw(subject: Subject) -> dict[str, UInt8[np.ndarray, "h w c"]]:
    """`mixing`: the first column and the first row are samples; nothing for models without styles.

    The image at (i, j) has the styles of the first `COARSE` layers of the sample at the left and all others of the
    sample above it.
    """
    if "mix" not in subject.methods:
        return {}
    state, key = subject.state, stream(subject.state.key, "mixing")
    latents = jax.jit(subject.method("latents"), static_argnums=2)(state, key, ROWS + COLUMNS)
    coarse, fine = latents[:ROWS], latents[ROWS:]
    decode, mix = jax.jit(subject.method("decode")), jax.jit(subject.method("mix"))
    pairs = jnp.repeat(coarse, COLUMNS, 0), jnp.tile(fine, (ROWS, 1))
    mixed = mix(state, *pairs, COARSE)
    left, above = decode(state, coarse), decode(state, fine)
    rows = [jnp.concatenate([jnp.ones_like(left[:1]), above])]
    rows += [jnp.concatenate([left[i:i + 1], mixed[i * COLUMNS:(i + 1) * COLUMNS]]) for i in range(ROWS)]
    images = np.asarray(to_uint8(jnp.concatenate(rows), subject.dataset.spec.range))
    return {"mixing": image_grid(images, rows=ROWS + 1)}
