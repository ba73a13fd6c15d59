"""Regularizers of a VAE's aggregate posterior: functions (latents, **options) of one batch, any of them with any bound.

The loss gains weight * regularizer; the weight is a leaf of the TrainState. One that takes `discriminate` needs the
second player of FactorVAE.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import NonNegative
from gen.distributions import Normal
from gen.errors import UserError
from gen.probability.divergences import inverse_multiquadratic, squared_mmd

Scalar = float | Float[Array, ""]


class Latents(NamedTuple):
    """The latents of a batch.

    Attributes:
      z: a posterior sample of each example.
      posterior: the normal q(z|x) of each example that z is drawn from, in a ladder given the layer above; None where
        q is a flow.
      prior: draws as many samples of p(z). A function, since in a hierarchy they take the way down once more.
    """

    z: Float[Array, "b d"]
    posterior: Normal | None
    prior: Callable[[], Float[Array, "b d"]]

    @property
    def normal(self) -> Normal:
        """The posterior, or a UserError where it is a flow."""
        if self.posterior is None:
            raise UserError("This regularizer needs the moments of q(z|x), which a flow does not give: set "
                            "config.posterior.name=normal, or use the regularizers factor or mmd.")
        return self.posterior


class Aggregate(NamedTuple):
    """Log-densities at z_i ~ q(z|x_i) under the aggregate posterior of a set of examples, in nats.

    Attributes:
      joint: log q(z_i), with q(z) the mean of q(z|x_j) over the set.
      marginals: log q(z_i[d]) of each dimension.
    """

    joint: Float[Array, "b"]
    marginals: Float[Array, "b d"]


def aggregate(z: Float[Array, "b d"], posterior: Normal) -> Aggregate:
    """The mean over the set in place of the mean over the data: Chen et al. 2018, eq. S6, without its constant log N.

    The set may differ from the examples of z; then nothing is counted twice.
    """
    pairs = jax.tree.map(lambda v: v.T[:, None], posterior).log_prob(z.T[..., None])
    n = jnp.log(posterior.loc.shape[0])
    return Aggregate(jax.nn.logsumexp(pairs.sum(0), axis=-1) - n, jax.nn.logsumexp(pairs, axis=-1).T - n)


def total_correlation(latents: Latents) -> Float[Array, ""]:
    """KL(q(z) || prod_d q(z_d)) by the batch's own mixture; weight beta - 1 is beta-TCVAE (Chen et al. 2018, eq. 4).

    A batch of b knows of at most log b nats of information about the example; what z tells beyond them counts as
    correlation, so that small batches keep latents from being used.
    """
    q = aggregate(latents.z, latents.normal)
    return (q.joint - q.marginals.sum(-1)).mean()


def factor(latents: Latents, discriminate: Callable[[Array], Array]) -> Float[Array, ""]:
    """KL(q(z) || prod_d q(z_d)) as the mean logit of a density-ratio estimator (Kim & Mnih 2018, eq. 3)."""
    return discriminate(latents.z).mean()


def covariance_penalty(covariance: Float[Array, "d d"], diagonal: Scalar) -> Float[Array, ""]:
    """sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2."""
    variance = jnp.diagonal(covariance)
    off = jnp.square(covariance).sum() - jnp.square(variance).sum()
    return off + diagonal * jnp.square(variance - 1).sum()


def dip_i(latents: Latents, diagonal: NonNegative[Scalar] = 10.0) -> Float[Array, ""]:
    """Cov_x(E[z|x]) towards the identity (Kumar et al. 2018, eq. 6).

    The weight is lambda_od, `diagonal` is lambda_d / lambda_od.
    """
    return covariance_penalty(_covariance(latents.normal.loc), diagonal)


def dip_ii(latents: Latents, diagonal: NonNegative[Scalar] = 1.0) -> Float[Array, ""]:
    """Cov(z) = Cov_x(E[z|x]) + E_x[Cov(z|x)] towards the identity (Kumar et al. 2018, eq. 7)."""
    q = latents.normal
    return covariance_penalty(_covariance(q.loc) + jnp.diag(jnp.exp(2 * q.log_scale).mean(0)), diagonal)


def _covariance(x: Float[Array, "b d"]) -> Float[Array, "d d"]:
    centred = x - x.mean(0)
    return centred.T @ centred / len(x)


def mmd(latents: Latents) -> Float[Array, ""]:
    """Maximum mean discrepancy between q(z) and p(z), unbiased, with inverse multiquadratic kernels.

    With the bound elbo at beta = 0 it is the WAE-MMD; beta = 1 - alpha and weight alpha + lambda - 1 is the InfoVAE
    (Zhao et al. 2019, eq. 6).
    """
    return squared_mmd(latents.z, latents.prior(), inverse_multiquadratic)


REGULARIZERS = {"total_correlation": total_correlation, "factor": factor, "dip_i": dip_i, "dip_ii": dip_ii, "mmd": mmd}
