"""Few numbers that many need, computed once: an option of speed, no other mathematics.

XLA:CPU puts what is computed of a few numbers into the loops over pixels that use them, and then computes it anew for
each pixel, one at a time, up to ten times slower than both loops apart. A barrier does not help, as it is gone before
loops are fused. Of a product of matrices it takes the result.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def settled(x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
    """The same array, on the CPU as a product with the unit matrix; and so is its gradient.

    Of finite numbers: one that is not makes NaN of its whole row on the CPU.
    """
    return lax.platform_dependent(x, cpu=lambda x: x @ jnp.eye(x.shape[-1], dtype=x.dtype), default=lambda x: x)
