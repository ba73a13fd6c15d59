"""Densities under maps: the inverse of a distribution function, the change of variables, and maps that fold."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Masses = Float[np.ndarray, "b"]


def inverse_cdf(u: Float[np.ndarray, "n"], x: Float[np.ndarray, "k"], cdf: Float[np.ndarray, "k"]
                ) -> Float[np.ndarray, "n"]:
    """F^-1(u), of a distribution function with the values `cdf` at increasing x and linear between them.

    u ~ U(0, 1) makes F^-1(u) a sample: P(F^-1(u) <= x) = P(u <= F(x)) = F(x) (Devroye 1986, theorem II.2.1).
    """
    return np.interp(u, cdf, x)


def change_of_variables(log_prob: Callable[[Array], Array], inverse: Callable[[Array], Array], x: Float[Array, "n d"]
                        ) -> Float[Array, "n"]:
    """log p(x) = log p_z(f^-1(x)) + log |det d f^-1(x) / dx| of x = f(z), f invertible, in nats.

    The Jacobian is computed as a whole, O(d^3); flows (`gen.distributions.flows`) are maps where it is triangular.

    Args:
      log_prob: log p_z of a vector [d].
      inverse: f^-1 of a vector [d].
    """
    def one(x: Float[Array, "d"]) -> Float[Array, ""]:
        return log_prob(inverse(x)) + jnp.linalg.slogdet(jax.jacfwd(inverse)(x))[1]

    return jax.vmap(one)(x)


def pushforward(x: Float[np.ndarray, "k"], mass: Float[np.ndarray, "c"], edges: Float[np.ndarray, "e"]) -> Masses:
    """Mass in the bins between `edges` of a map that is linear, up or down, from one of its values x to the next.

    Exact for such maps, monotone or not: cell i spreads its mass evenly from x[i] to x[i + 1]. Mass outside is lost.
    """
    low, width = np.minimum(x[1:], x[:-1]), np.abs(np.diff(x))
    share = np.clip((edges[:, None] - low) / np.maximum(width, 1e-12), 0, 1)
    return np.diff(share @ mass)
