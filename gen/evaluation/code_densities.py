"""Densities fitted to the codes of a trained autoencoder, to draw latents from in place of its prior.

Each is a function (key, codes [n d], **options) -> draw, and draw(key, m) gives m latents.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from sklearn.mixture import GaussianMixture

from gen.config.ranges import Count
from gen.distributions import Normal, kl_normal, standard_normal
from gen.distributions.flows import RealNVP
from gen.errors import UserError
from gen.networks.layers import Dense
from gen.rng import stream

Codes = Float[Array | np.ndarray, "n d"]
Draw = Callable[[PRNGKeyArray, int], Float[Array | np.ndarray, "m d"]]

BATCH, RATE = 256, 1e-3
"""Of the training of a flow or of a second VAE, with Adam; the rate falls to 0 on half a cosine."""


def mixture(key: PRNGKeyArray, z: Codes, components: Count = 10) -> Draw:
    """A mixture of normals with full covariances, fitted by EM ("ex-post density estimation", Ghosh et al. 2020).

    Raises a UserError where there are fewer codes than normals.
    """
    if len(z) < max(components, 2):
        raise UserError(f"config.evaluators.mixture_fid: {len(z)} codes for {components} normals: take fewer normals.")
    fitted = GaussianMixture(components, random_state=0).fit(np.float64(z))
    return lambda key, n: np.float32(fitted.sample(n)[0])


def flow(key: PRNGKeyArray, z: Codes, layers: Count = 8, hidden: tuple[Count, ...] = (128, 128),
         steps: Count = 2_000) -> Draw:
    """RealNVP, fitted by maximum likelihood (Dinh et al. 2017)."""
    z, scaled_back = standardised(z)
    flow = RealNVP(z.shape[1], layers, hidden)

    def loss(params, z, key):
        u, log_det = flow.apply(params, z)
        return -(standard_normal(z.shape[1:]).log_prob(u).sum(-1) + log_det).mean()

    params = trained(loss, flow.init(stream(key, "init"), z[:2]), z, key, steps)
    return lambda key, n: scaled_back(
        flow.apply(params, jax.random.normal(key, (n, z.shape[1])), method="inverse"))


class SecondVAE(nn.Module):
    """A VAE of codes, with as many latents u as a code has numbers: q(u|z), and p(z|u) = N(f(u), gamma^2 I).

    Dai & Wipf 2019, section 4: the codes have no manifold of lower dimension left, so that a VAE fits their density.
    Adam moves gamma, one number that may have far to go, ten times as fast as a weight. It begins at e^-2: at 1, the
    deviation of standardised codes, no latent would earn its KL.
    """

    features: int
    hidden: tuple[int, ...]

    def setup(self):
        self.encoder = nn.Sequential([layer for width in self.hidden for layer in (Dense(width), nn.relu)]
                                     + [Dense(2 * self.features)])
        self.decoder = nn.Sequential([layer for width in self.hidden for layer in (Dense(width), nn.relu)]
                                     + [Dense(self.features)])
        self.tenth_of_log_gamma = self.param("tenth_of_log_gamma", nn.initializers.constant(-0.2), ())

    def decode(self, u: Float[Array, "b d"]) -> Normal:
        """p(z|u)."""
        loc = self.decoder(u)
        return Normal(loc, jnp.broadcast_to(10 * self.tenth_of_log_gamma, loc.shape))

    def __call__(self, z: Float[Array, "b d"], key: PRNGKeyArray) -> Float[Array, "b"]:
        """The ELBO in nats."""
        q = Normal(*jnp.split(self.encoder(z), 2, axis=-1))
        kl = kl_normal(q, standard_normal((self.features,))).sum(-1)
        return self.decode(q.sample(key)).log_prob(z).sum(-1) - kl


def second_vae(key: PRNGKeyArray, z: Codes, hidden: tuple[Count, ...] = (256, 256), steps: Count = 4_000) -> Draw:
    """A second VAE, fitted by its ELBO (Dai & Wipf 2019, section 4); z ~ p(z|u) with its noise, as they draw."""
    z, scaled_back = standardised(z)
    model = SecondVAE(z.shape[1], hidden)
    params = model.init(stream(key, "init"), z[:2], key)

    def loss(params, z, key):
        return -model.apply(params, z, key).mean()

    params = trained(loss, params, z, key, steps)

    def draw(key, n):
        u = jax.random.normal(stream(key, "u"), (n, z.shape[1]))
        return scaled_back(model.apply(params, u, method="decode").sample(stream(key, "z")))

    return draw


def standardised(z: Codes) -> tuple[Float[Array, "n d"], Callable[[Array], Array]]:
    """Codes of mean 0 and deviation 1 in each coordinate, and the way back. A constant coordinate stays at 0."""
    z = jnp.asarray(z, jnp.float32)
    mean, deviation = z.mean(0), jnp.maximum(z.std(0), 1e-6)
    return (z - mean) / deviation, lambda scaled: mean + deviation * scaled


def trained(loss: Callable[[PyTree, Array, PRNGKeyArray], Array], params: PyTree, z: Float[Array, "n d"],
            key: PRNGKeyArray, steps: int) -> PyTree:
    """The parameters after so many steps of Adam on batches of codes, drawn with replacement."""
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def step(carry, i):
        params, opt_state = carry
        own = stream(key, "step", i)
        batch = z[jax.random.randint(stream(own, "batch"), (BATCH,), 0, len(z))]
        updates, opt_state = optimizer.update(jax.grad(loss)(params, batch, own), opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    return jax.jit(lambda start: jax.lax.scan(step, start, jnp.arange(steps))[0][0])((params, optimizer.init(params)))
