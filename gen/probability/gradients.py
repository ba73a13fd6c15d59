"""Two unbiased estimators of d E_q[f(z)] / d q, for the parameters of a normal q: one sample each.

Their variance is what sets them apart (Kingma & Welling 2014, section 2.2; Mohamed et al. 2020).
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from gen.distributions.elementary import Normal

Scalar = Float[Array, ""]


def reparameterised(key: PRNGKeyArray, f: Callable[[Array], Scalar], q: Normal) -> Normal:
    """d f(loc + scale eps) / d q, eps ~ N(0, I): needs f's gradient (Kingma & Welling 2014, section 2.4).

    Returns the derivatives with respect to `loc` and `log_scale`, in the places of both.
    """
    return jax.grad(lambda q: f(q.sample(key)))(q)


def score_function(key: PRNGKeyArray, f: Callable[[Array], Scalar], q: Normal, baseline: float | Scalar = 0.0
                   ) -> Normal:
    """(f(z) - baseline) d log q(z) / d q, z ~ q: needs f's values alone (Williams 1992: REINFORCE).

    E_q[d log q / d q] = 0, so that a baseline that does not depend on z changes the variance and not the mean.
    """
    z = jax.lax.stop_gradient(q.sample(key))
    return jax.grad(lambda q: (f(z) - baseline) * q.log_prob(z).sum())(q)
