"""Adversarial losses with their gradients, and penalties with the gradients of gradients, against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np

from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.penalties import PENALTIES, TINY
from tests.parity.comparisons import against
from tests.parity.references import F, arrays, gradients, normal, tensors, torch

REAL, FAKE = 3 * normal(0, 40), 3 * normal(1, 40) - 1
SMOOTHING, TARGETS = 0.1, (-1.0, 1.0, 0.0)


def cross_entropy(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target), reduction="none")


def margin(x):
    """max(0, 1 - x)."""
    return F.hinge_embedding_loss(x, torch.tensor(-1.0), reduction="none")


def squared(x, target):
    return F.mse_loss(x, torch.full_like(x, target), reduction="none") / 2


def relative(real, fake):
    return cross_entropy(real - fake.mean(), 1) + cross_entropy(fake - real.mean(), 0)


LOSSES = {
    "minimax": ({"label_smoothing": SMOOTHING},
                lambda r, f: cross_entropy(r, 1 - SMOOTHING) + cross_entropy(f, 0), lambda r, f: -cross_entropy(f, 0)),
    "non_saturating": ({}, lambda r, f: cross_entropy(r, 1) + cross_entropy(f, 0), lambda r, f: cross_entropy(f, 1)),
    "hinge": ({}, lambda r, f: margin(r) + margin(-f), lambda r, f: -f),
    "least_squares": (dict(zip(("fake_target", "real_target", "generator_target"), TARGETS, strict=True)),
                      lambda r, f: squared(r, TARGETS[1]) + squared(f, TARGETS[0]),
                      lambda r, f: squared(f, TARGETS[2])),
    "wasserstein": ({}, lambda r, f: f - r, lambda r, f: -f),
    "relativistic_paired": ({}, lambda r, f: cross_entropy(r - f, 1), lambda r, f: cross_entropy(f - r, 1)),
    "relativistic_average": ({}, relative, lambda r, f: relative(f, r)),
    "boundary_equilibrium": ({"balance": 0.3}, lambda r, f: 0.3 * f - r, lambda r, f: -f),
}
"""Name to (options, discriminator's side, generator's side) in PyTorch."""


def sides(name):
    """Values and gradients of both sides."""
    options, *theirs = LOSSES[name]
    loss = ADVERSARIAL[name](**options)
    for our, their in zip((loss.discriminator, loss.generator), theirs, strict=True):
        logits = tensors((REAL, FAKE))
        value = their(*logits)
        yield our(REAL, FAKE), arrays(value)
        yield jax.grad(lambda pair, our=our: our(*pair).mean())((REAL, FAKE)), gradients(value.mean(), logits)


for _name in LOSSES:
    against("torch", f"`{_name}`: both sides, gradients", 1e-6)(lambda name=_name: sides(name))

WEIGHTS = {"first": normal(2, 6, 16), "bias": normal(3, 16), "second": normal(4, 16)}
X, Y = normal(5, 12, 6), normal(6, 12, 6) + 0.5
KEY = jax.random.key(0)


def our_penalty(name, options, weights):
    def critic(x):
        return jnp.tanh(x @ weights["first"] + weights["bias"]) @ weights["second"]

    return PENALTIES[name](critic, jnp.asarray(X), jnp.asarray(Y), KEY, **options).mean()


def their_penalty(points, weights, cost):
    x = torch.tensor(np.float64(points), requires_grad=True)
    logits = torch.tanh(x @ weights["first"] + weights["bias"]) @ weights["second"]
    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return cost((slope**2).sum(1)).mean()


def mixed():
    """The points of `wgan_gp`, from its own draws."""
    mix = np.float64(jax.random.uniform(KEY, (12, 1)))
    return mix * np.float64(X) + (1 - mix) * np.float64(Y)


def near():
    """The points of `dragan`, from its own draws."""
    size, direction = (np.float64(jax.random.uniform(key, shape))
                       for key, shape in zip(jax.random.split(KEY), ((12, 1), X.shape), strict=True))
    return np.float64(X) + 0.5 * size * np.float64(X).std() * direction


PENALTY = {
    "r1": ({}, lambda: X, lambda s: s),
    "r2": ({}, lambda: Y, lambda s: s),
    "wgan_gp": ({}, mixed, lambda s: (torch.sqrt(s + TINY) - 1) ** 2),
    "wgan_gp, one-sided": ({"one_sided": True, "target": 6.0}, mixed,
                           lambda s: F.relu(torch.sqrt(s + TINY) - 6) ** 2),
    "dragan": ({}, near, lambda s: (torch.sqrt(s + TINY) - 1) ** 2),
}
"""Name to (options, points, cost of the squared norm)."""


def penalty(name):
    options, points, cost = PENALTY[name]
    weights = tensors(WEIGHTS)
    value = their_penalty(points(), weights, cost)
    ours, slopes = jax.value_and_grad(lambda w: our_penalty(name.partition(",")[0], options, w))(WEIGHTS)
    yield ours, arrays(value)
    yield slopes, gradients(value, weights)


for _name in PENALTY:
    against("torch", f"penalty `{_name}`: value, gradients of the gradient", 2e-6)(lambda name=_name: penalty(name))
