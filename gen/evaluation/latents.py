"""What the latents of a VAE carry: active units, and the KL split into information, correlation and marginals."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural
from gen.distributions import Normal
from gen.evaluation.checks import at_least, finite
from gen.evaluation.likelihood import batches, test_examples
from gen.evaluation.types import Subject
from gen.families.types import Batch
from gen.objectives.regularizers import aggregate
from gen.rng import stream
from gen.signals import asked

ACTIVE = 0.01
"""Variance of the posterior's mean over examples above which a latent is active (Burda et al. 2016, section 5.2)."""


def activity(means: Float[Array, "n d"]) -> Float[Array, "d"]:
    """A_u = Var_x(E_q[u | x]) of each latent (Burda et al. 2016, section 5.2)."""
    return means.var(0)


def active_units(means: Float[Array, "n d"]) -> int:
    """The number of latents whose activity is above 0.01."""
    return int((activity(means) > ACTIVE).sum())


class Decomposition(NamedTuple):
    """The mean KL(q(z|x) || p(z)) in three, in nats (Chen et al. 2018, eq. 2); they add up to it.

    Attributes:
      mutual_information: KL(q(z, n) || q(z) p(n)), what z tells of the index of its example; at most log n.
      total_correlation: KL(q(z) || prod_d q(z_d)).
      dimension_wise_kl: E log prod_d q(z_d) - log p(z); for a factorised prior sum_d KL(q(z_d) || p(z_d)).
    """

    mutual_information: Float[Array, ""]
    total_correlation: Float[Array, ""]
    dimension_wise_kl: Float[Array, ""]


def decomposition(z: Float[Array, "m d"], log_posterior: Float[Array, "m"], log_prior: Float[Array, "m"],
                  posterior: Normal, chunk: int = 50) -> Decomposition:
    """Estimates the three parts from m samples z ~ q(z|x), the aggregate posterior being the mean over all n examples.

    Args:
      log_posterior, log_prior: log q(z|x) and log p(z) at the samples.
      posterior: q(z|x) of all n examples, [n d].
      chunk: samples at a time; memory is chunk * n * d floats.
    """
    q = jax.lax.map(lambda z: jax.tree.map(lambda v: v[0], aggregate(z[None], posterior)), z, batch_size=chunk)
    marginals = q.marginals.sum(-1)
    return Decomposition((log_posterior - q.joint).mean(), (q.joint - marginals).mean(), (marginals - log_prior).mean())


def applied(subject: Subject, method: str, batch: Batch):
    """A method of x, and of the label of a conditional model, at all examples of a batch of any size.

    Raises a UserError where a result is not finite.
    """
    function = jax.jit(subject.method(method))
    label = (lambda part: (part["label"],)) if subject.config.get("conditional") else (lambda part: ())
    parts = [jax.tree.map(lambda v, n=n: v[:n], function(subject.state, part["x"], *label(part)))
             for part, n in asked(batches(batch, min(500, len(batch["x"]))), subject.ask)]
    whole = jax.tree.map(lambda *v: jnp.concatenate(v), *parts)
    for leaf in jax.tree.leaves(whole):
        finite(np.asarray(leaf), f"results of {method}")
    return whole


def encoded(subject: Subject, batch: Batch) -> Normal:
    """q(z|x) of all examples of a batch of any size, [n d]."""
    return applied(subject, "encode", batch)


def latents(subject: Subject, examples: Natural = 0, samples: Count = 1_000) -> dict[str, float]:
    """Active units and the decomposition of the KL over test examples (0: all of them), in nats.

    The posterior must be a diagonal normal, as `encode` gives it; `samples` of the examples serve as z, or all.
    Of a hierarchy there are the active units alone, of all layers and of each, those above at their means: its q(z|x)
    is no normal, so that it has no such decomposition.
    """
    key, samples = stream(subject.state.key, "latents"), at_least(1, samples, "The number of samples")
    batch = test_examples(subject, examples, stream(key, "decode"))
    posterior = encoded(subject, batch)
    active = {"active_units": float(active_units(posterior.loc))}
    if "by_layer" in subject.methods:
        layers = subject.method("by_layer")(subject.state, posterior.loc)
        return active | {f"active_units_layer_{i}": float(active_units(loc)) for i, loc in enumerate(layers, 1)}
    log_joint = subject.method("log_joint")

    @jax.jit
    def split(state, posterior):
        first = jax.tree.map(lambda v: v[:samples], posterior)
        z = first.sample(stream(key, "noise"))
        log_prior, _ = log_joint(state, {name: v[:samples] for name, v in batch.items()}, z[None])
        return decomposition(z, first.log_prob(z).sum(-1), log_prior[0], posterior)

    return active | {name: float(value) for name, value in split(subject.state, posterior)._asdict().items()}
