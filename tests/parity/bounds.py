"""Variational bounds and their gradients, at fixed noise, against autograd and the estimators as papers give them.

A linear VAE: q(z|x) = N(x A + a, exp(s)^2), p(x|z) Bernoulli with logits z B + b, p(z) standard normal.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gen.distributions import Bernoulli, Normal, kl_normal, standard_normal
from gen.objectives.bounds import BOUNDS, Sides, Terms
from tests.parity.comparisons import against
from tests.parity.references import arrays, gradients, normal, tensors, torch

D = torch and torch.distributions
K, B, LATENTS, PIXELS = 6, 5, 3, 8
X = jnp.float32(normal(0, B, PIXELS) > 0)
NOISE = normal(1, K, B, LATENTS)
POSTERIOR = {"weights": 0.5 * normal(2, PIXELS, LATENTS), "bias": normal(3, LATENTS),
             "log_scale": 0.3 * normal(4, LATENTS) - 0.5}
MODEL = {"weights": normal(5, LATENTS, PIXELS), "bias": normal(6, PIXELS)}


def our_terms(model, posterior):
    loc = X @ posterior["weights"] + posterior["bias"]
    q = Normal(loc, jnp.broadcast_to(posterior["log_scale"], loc.shape))
    z = q.loc + jnp.exp(q.log_scale) * NOISE
    held = jax.lax.stop_gradient(q)
    log_likelihood = Bernoulli(z @ model["weights"] + model["bias"]).log_prob(X).sum(-1)
    prior = standard_normal((LATENTS,))
    return Terms(log_likelihood, prior.log_prob(z).sum(-1), q.log_prob(z).sum(-1), lambda: held.log_prob(z).sum(-1),
                 kl_normal(q, prior))


def our_bound(name, options):
    """The value, and the gradient of what each side climbs."""
    def climbed(parameters, side):
        found = BOUNDS[name](our_terms(*parameters), **options)
        return (getattr(found, side) if isinstance(found, Sides) else found).sum()

    both = MODEL, POSTERIOR
    model = jax.grad(climbed)(both, "model")[0]
    return climbed(both, "model"), (model, jax.grad(climbed)(both, "posterior")[1])


class Theirs:
    """The same terms in PyTorch, with z at hand for estimators that stop at it."""

    def __init__(self):
        self.model, self.posterior = tensors(MODEL), tensors(POSTERIOR)
        x, noise = (torch.tensor(np.float64(v)) for v in (X, NOISE))
        loc = x @ self.posterior["weights"] + self.posterior["bias"]
        scale = self.posterior["log_scale"].exp().expand(loc.shape)
        self.q, self.p = D.Normal(loc, scale), D.Normal(torch.zeros_like(loc), torch.ones_like(loc))
        self.z = loc + scale * noise
        p_x = D.Bernoulli(logits=self.z @ self.model["weights"] + self.model["bias"])
        self.log_likelihood = p_x.log_prob(x).sum(-1)
        self.log_prior = self.p.log_prob(self.z).sum(-1)
        self.log_w = self.log_likelihood + self.log_prior - self.q.log_prob(self.z).sum(-1)
        held = D.Normal(loc.detach(), scale.detach())
        self.log_w_held = self.log_likelihood + self.log_prior - held.log_prob(self.z).sum(-1)
        self.kl = D.kl_divergence(self.q, self.p).sum(-1)

    def climb(self, value):
        """Both sides climb the same value."""
        return value, (gradients(value, self.model), gradients(value, self.posterior))

    def iwae(self, log_w):
        return (torch.logsumexp(log_w, 0) - np.log(len(log_w))).sum()

    def through_z(self, weights):
        """sum_k weights_k (d log w_k / dz_k) (dz_k / dphi): by the chain rule, stopping at z."""
        (slope,) = torch.autograd.grad(self.log_w_held.sum(), self.z, retain_graph=True)
        return gradients((weights.detach()[..., None] * slope.detach() * self.z).sum(), self.posterior)


def elbo(t):
    return t.climb((t.log_likelihood.mean(0) - t.kl).sum())


def monte_carlo_elbo(t):
    return t.climb(t.log_w.mean(0).sum())


def iwae(t):
    return t.climb(t.iwae(t.log_w))


def miwae(t):
    return t.climb(torch.stack([t.iwae(t.log_w[i::2]) for i in range(2)]).mean(0))


def ciwae(t):
    return t.climb(0.5 * t.log_w.mean(0).sum() + 0.5 * t.iwae(t.log_w))


def piwae(t):
    value = t.iwae(t.log_w)
    return value, (gradients(value, t.model), miwae(t)[1][1])


def stl(t):
    """Roeder et al. 2017, algorithm 1."""
    value = t.log_w.mean(0).sum()
    return value, (gradients(value, t.model), t.through_z(torch.full_like(t.log_w, 1 / K)))


def dreg(t):
    """Tucker et al. 2019, algorithm 1."""
    value = t.iwae(t.log_w)
    return value, (gradients(value, t.model), t.through_z(torch.softmax(t.log_w, 0) ** 2))


CASES = {"elbo": ({}, elbo), "monte_carlo_elbo": ({}, monte_carlo_elbo), "iwae": ({}, iwae),
         "miwae": ({"groups": 2}, miwae), "ciwae": ({}, ciwae), "piwae": ({"groups": 2}, piwae), "stl": ({}, stl),
         "dreg": ({}, dreg)}


def bound(name):
    options, theirs = CASES[name]
    value, slopes = theirs(Theirs())
    yield our_bound(name, options), (arrays(value), slopes)


for _name in CASES:
    against("torch", f"`{_name}`: value, gradients of model and posterior", 5e-6)(lambda name=_name: bound(name))
