"""Log-densities and divergences in nats, against torch.distributions, NumPyro and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from gen.distributions import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    DiscretizedNormal,
    Normal,
    NormalMixture,
    PixelCategorical,
    kl_normal,
)
from gen.distributions.flows import InverseAutoregressiveFlow
from gen.distributions.priors import RealNVPPrior
from gen.objectives.regularizers import aggregate
from gen.probability import divergences
from tests.parity.comparisons import against, optional
from tests.parity.references import F, arrays, dense, gradients, normal, randomised, tensors, torch

D = torch and torch.distributions
LOC, SCALE, X = normal(0, 30), 0.5 * normal(1, 30), 2 * normal(2, 30)
LEVELS = jnp.float32(np.arange(256) / 255)


def with_gradients(ours, theirs, arguments):
    """Pairs: the values of both, and the gradients of their sums in the arguments."""
    t = tensors(arguments)
    value = theirs(*t)
    yield ours(*arguments), arrays(value)
    yield jax.grad(lambda a: ours(*a).sum())(arguments), gradients(value.sum(), t)


@against("torch", "normal: gradients", 1e-6)
def normal_density():
    return with_gradients(lambda loc, s, x: Normal(loc, s).log_prob(x),
                          lambda loc, s, x: D.Normal(loc, s.exp()).log_prob(x), (LOC, SCALE, X))


@against("numpyro", "normal", 1e-6)
def normal_density_too():
    yield Normal(LOC, SCALE).log_prob(X), optional("numpyro.distributions").Normal(LOC, np.exp(SCALE)).log_prob(X)


@against("torch", "Bernoulli with logits up to 40, also of grey values: gradients", 1e-6)
def bernoulli():
    x = jnp.float32(np.random.default_rng(0).uniform(size=30))
    logits = jnp.float32(np.linspace(-40, 40, 30))
    yield from with_gradients(
        lambda logits: Bernoulli(logits).log_prob(x),
        lambda logits: -F.binary_cross_entropy_with_logits(logits, torch.tensor(np.float64(x)), reduction="none"),
        (logits,))
    on = jnp.float32(x > 0.5)
    yield Bernoulli(LOC).log_prob(on), arrays(D.Bernoulli(logits=tensors(LOC)).log_prob(tensors(on)))


@against("torch", "mixture of 4 normals in 3 dimensions: gradients", 5e-6)
def normal_mixture():
    def theirs(logits, loc, log_scale, z):
        parts = D.Independent(D.Normal(loc, log_scale.exp()), 1)
        return D.MixtureSameFamily(D.Categorical(logits=logits), parts).log_prob(z)

    return with_gradients(lambda *parameters_z: NormalMixture(*parameters_z[:3]).log_prob(parameters_z[3]), theirs,
                          (normal(0, 4), normal(1, 4, 3), 0.3 * normal(2, 4, 3), normal(3, 20, 3)))


@against("torch", "aggregate posterior of 12 examples, and its marginals", 5e-6)
def aggregated():
    loc, log_scale, z = normal(0, 12, 3), 0.3 * normal(1, 12, 3), normal(2, 12, 3)
    mixture, even = tensors((loc, log_scale, z)), D.Categorical(logits=torch.zeros(12, dtype=torch.float64))
    parts = D.Normal(mixture[0], mixture[1].exp())
    joint = D.MixtureSameFamily(even, D.Independent(parts, 1)).log_prob(mixture[2])
    each = D.Categorical(logits=torch.zeros(3, 12, dtype=torch.float64))
    marginals = D.MixtureSameFamily(each, D.Normal(mixture[0].T, mixture[1].T.exp())).log_prob(mixture[2])
    found = aggregate(z, Normal(loc, log_scale))
    yield (found.joint, found.marginals), arrays((joint, marginals))


def intervals(family, loc, scale, values, low=0.0):
    """log of the family's mass around each level, its tails at both ends, in float64."""
    half, loc, scale, values = (1 - low) / 510, np.float64(loc), np.float64(scale), np.float64(values)
    upper = np.where(values > 1 - half, np.inf, values + half)
    lower = np.where(values < low + half, -np.inf, values - half)
    # The side of the mean on which the difference loses nothing.
    mass = np.where(values < loc, family.cdf(upper, loc, scale) - family.cdf(lower, loc, scale),
                    family.sf(lower, loc, scale) - family.sf(upper, loc, scale))
    return np.log(mass)


@against("scipy", "discretised logistic, scales e^-5 to 1, all 256 levels", 1e-5)
def discretized_logistic():
    for log_scale in (-5.0, -3.0, 0.0):
        q = DiscretizedLogistic(jnp.full(256, 0.3), jnp.full(256, log_scale))
        yield q.log_prob(LEVELS), intervals(stats.logistic, 0.3, np.exp(log_scale), LEVELS)


@against("scipy", "discretised normal, scales e^-3 to 1, all 256 levels", 2e-5)
def discretized_normal():
    for log_scale in (-3.0, -1.5, 0.0):
        q = DiscretizedNormal(jnp.full(256, 0.3), jnp.full(256, log_scale))
        yield q.log_prob(LEVELS), intervals(stats.norm, 0.3, np.exp(log_scale), LEVELS)


@against("scipy", "mixture of 5 discretised logistics, all 256 levels of [-1, 1]", 1e-5)
def logistic_mixture():
    x = jnp.float32(LEVELS * 2 - 1)
    logits, loc, log_scale = normal(0, 5), 0.5 * normal(1, 5), 0.5 * normal(2, 5) - 2
    q = DiscretizedLogisticMixture(*(jnp.broadcast_to(v, (256, 5)) for v in (logits, loc, log_scale)), low=-1.0)
    parts = [intervals(stats.logistic, m, np.exp(np.float64(s)), x, -1.0) for m, s in zip(loc, log_scale, strict=True)]
    weights = np.exp(np.float64(logits)) / np.exp(np.float64(logits)).sum()
    yield q.log_prob(x), np.log(weights @ np.exp(parts))


@against("torch", "softmax over 256 levels: gradients", 5e-6)
def categorical():
    level = np.random.default_rng(0).integers(256, size=8)
    return with_gradients(lambda logits: PixelCategorical(logits).log_prob(LEVELS[level]),
                          lambda logits: D.Categorical(logits=logits).log_prob(torch.tensor(level)),
                          (normal(0, 8, 256),))


@against("torch", "KL of diagonal normals: gradients", 2e-6)
def diagonal_kl():
    return with_gradients(
        lambda a, b, c, d: kl_normal(Normal(a, b), Normal(c, d)),
        lambda a, b, c, d: D.kl_divergence(D.Normal(a, b.exp()), D.Normal(c, d.exp())),
        (LOC, SCALE, normal(3, 30), 0.5 * normal(4, 30)))


@against("torch", "KL of normals with full covariances", 1e-10)
def full_kl():
    roots = [np.float64(normal(seed, 5, 3, 3)) for seed in (0, 1)]
    covariances = [root @ root.swapaxes(1, 2) + np.eye(3) for root in roots]
    means = [np.float64(normal(seed, 5, 3)) for seed in (2, 3)]
    p, q = (D.MultivariateNormal(torch.tensor(m), torch.tensor(c)) for m, c in zip(means, covariances, strict=True))
    ours = divergences.kl_gaussian(means[0], covariances[0], means[1], covariances[1])
    yield ours, D.kl_divergence(p, q).numpy()


@against("scipy", "KL, Jensen-Shannon divergence and total variation of masses in bins", 1e-12)
def masses():
    from scipy.spatial.distance import jensenshannon

    p, q = np.random.default_rng(0).dirichlet(np.ones(20), 2)
    yield divergences.kl(p, q), stats.entropy(p, q)
    yield divergences.jensen_shannon(p, q), jensenshannon(p, q) ** 2
    yield divergences.total_variation(p, q), np.linalg.norm(p - q, 1) / 2


@against("numpyro", "inverse autoregressive flow of two steps: values and log-determinant", 5e-6)
def inverse_autoregressive():
    """NumPyro's y = scale z + mean, with our gate: mean = (1 - sigma) m, scale = sigma."""
    flows = optional("numpyro.distributions.flows")
    module, z, context = InverseAutoregressiveFlow(2, (16,)), normal(0, 6, 4), normal(1, 6, 3)
    params = randomised(module.init(jax.random.key(0), z, context)["params"])
    bound = module.bind({"params": params})
    y, log_det = z, 0.0
    for net in bound.nets:
        def conditioner(v, net=net):
            m, s = jnp.moveaxis(net(v, context), -1, 0)
            sigma = jax.nn.sigmoid(s + module.forget_bias)
            return (1 - sigma) * m, jnp.log(sigma)

        step = flows.InverseAutoregressiveTransform(conditioner, log_scale_min_clip=-50.0, log_scale_max_clip=50.0)
        reversed_ = y[..., ::-1]
        after, stored = step.call_with_intermediates(reversed_)
        log_det += step.log_abs_det_jacobian(reversed_, after, stored)
        y = after
    yield module.apply({"params": params}, z, context), (y, log_det)


@against("torch", "RealNVP prior: its density by the determinant of the whole Jacobian", 5e-6)
def real_nvp():
    module, z = RealNVPPrior(4, (8, 8, 1), "unit", layers=3, hidden=(16,)), normal(0, 6, 4)
    params = randomised(module.init(jax.random.key(0), z, len, method="log_prob")["params"])
    p = tensors(params["flow"])

    def flow(x):
        for i in range(3):
            mask = torch.tensor([float((j + i) % 2) for j in range(4)], dtype=torch.float64)
            q = p[f"couplings_{i}"]
            s, t = dense(q["output"], F.relu(dense(q["layers_0"], x * mask))).chunk(2, -1)
            x = x * mask + (1 - mask) * (x * torch.tanh(s).exp() + t)
        return x

    points = torch.tensor(np.float64(z))
    theirs = [D.Normal(0.0, 1.0).log_prob(flow(x)).sum() + torch.linalg.slogdet(
        torch.autograd.functional.jacobian(flow, x))[1] for x in points]
    yield module.apply({"params": params}, z, len, method="log_prob"), arrays(torch.stack(theirs))
