"""Self-supervision by rotations: the discriminator also tells by how many quarter turns images are turned.

Chen et al. 2019, section 3, in the form of mimicry's code: the first quarter of a batch stays, the second is turned
once, and so on. The discriminator learns it of real images, the generator is asked for images of which it can be told.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

TURNS = 4


def turned(x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b h w c"], Int[Array, "b"]]:
    """Row i of b turned by 4 i // b quarter turns, and these numbers. The images are square."""
    turns = [TURNS * i // len(x) for i in range(len(x))]
    parts = [jnp.rot90(x[turns.index(k):len(x) - turns[::-1].index(k)], k, (1, 2)) for k in sorted(set(turns))]
    return jnp.concatenate(parts), jnp.asarray(turns)


def cross_entropy(logits: Float[Array, "b 4"], turns: Int[Array, "b"]) -> Float[Array, ""]:
    """The mean of -log p(turns) in nats."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), turns[:, None], 1).mean()
