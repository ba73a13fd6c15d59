"""One layer of latents: an encoder q(z|x), a decoder p(x|z), a prior p(z) (Kingma & Welling 2014)."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gen.config import make as make_part
from gen.data import Spec
from gen.distributions import Distribution, Normal
from gen.distributions.likelihoods import LIKELIHOODS, Likelihood
from gen.distributions.posteriors import POSTERIORS
from gen.distributions.priors import PRIORS
from gen.errors import UserError
from gen.families import common
from gen.families.types import Batch
from gen.families.vae.latent import (
    FREE,
    POSTERIOR,
    PRIOR_ENCODER,
    Inference,
    Model,
    Parameters,
    Temperature,
    Top,
    condition,
    scales,
)
from gen.networks import VAE_DECODERS, VAE_ENCODERS
from gen.objectives.bounds import Terms
from gen.objectives.regularizers import Latents
from gen.precision import policy
from gen.rng import along, stream


class Generative(nn.Module):
    """p(x|z): a decoder and a likelihood."""

    network: nn.Module
    likelihood: Likelihood
    shape: tuple[int, ...]

    def __call__(self, z: Float[Array, "*n d"], *condition: Array, train: bool) -> Distribution:
        """p(x|z) for z with any number of batch dimensions; a condition [b c] is repeated along the others."""
        repeated = (common.as_rows(jnp.broadcast_to(c, (*z.shape[:-1], c.shape[-1])))[0] for c in condition)
        rows, put_back = common.as_rows(z)
        return self.likelihood(put_back(self.network(rows, *repeated, train=train).astype(jnp.float32)))


def likelihood_of(config, spec: Spec) -> Likelihood:
    """The likelihood that the config names, for the units of the data."""
    likelihood = make_part(LIKELIHOODS, config.likelihood, "likelihood", range=spec.range)
    if spec.range not in likelihood.ranges:
        raise UserError(
            f"The {config.likelihood.name} likelihood needs data in the range {' or '.join(likelihood.ranges)}, and "
            f"data.range is {spec.range!r}: set --config.data.range={likelihood.ranges[0]}, or "
            "--config.likelihood.name=normal.")
    return likelihood


def generative(config, spec: Spec) -> Generative:
    """The decoder that the config names with its likelihood."""
    likelihood = likelihood_of(config, spec)
    shape = (*spec.shape[:-1], likelihood.channels(spec.shape[-1]))
    network = make_part(VAE_DECODERS, config.decoder, "decoder", shape=shape, dtype=policy(config).activations)
    return Generative(network, likelihood, spec.shape)


def posterior(config) -> nn.Module:
    """The posterior that the config names, on its encoder."""
    encoder = make_part(VAE_ENCODERS, config.encoder, "encoder", dtype=policy(config).activations)
    return make_part(POSTERIORS, config.posterior, "posterior", encoder=encoder, latents=config.latents)


def conditional_classes(config, spec: Spec) -> int:
    """The classes that a conditional model knows of, 0 for another.

    Raises:
      UserError: the data has no labels.
    """
    if config.conditional and not spec.classes:
        raise UserError(f"config.conditional needs labels, and {config.data.name} has none.")
    return spec.classes if config.conditional else 0


def set_output_bias(decoder: dict, likelihood: Likelihood, x: Float[Array, "b ..."]) -> dict:
    """Sets the bias of the decoder's output so that it begins at the mean of the data (Burda et al., released code).

    Raises:
      UserError: the likelihood's mean is not one output, or the network has no dense or convolutional `output`.
    """
    network = decoder["network"]
    try:
        bias, target = network["output"]["bias"], likelihood.output(x.mean(0))
    except (KeyError, ValueError) as e:
        raise UserError(f"config.output_bias=data_mean does not fit this decoder and likelihood ({e}): "
                        "set it to zero.") from e
    per_channel = bias.shape == x.shape[-1:]
    target = likelihood.output(x.reshape(-1, x.shape[-1]).mean(0)) if per_channel else target.reshape(bias.shape)
    return decoder | {"network": network | {"output": network["output"] | {"bias": target}}}


class OneLayer(NamedTuple):
    """The modules of p(z), p(x|z) and q(z|x). All methods are pure functions; `Model` says what they give.

    Attributes:
      classes: labels that the model is conditioned on, 0 for none.
    """

    config: ConfigDict
    q_z: nn.Module
    p_x_z: Generative
    p_z: nn.Module
    classes: int

    def encoder_of(self, params: Parameters, variables: Parameters):
        """x -> q(z|x) without changing any variable, for the prior's pseudo-inputs."""
        q_params = params.get(PRIOR_ENCODER, params[POSTERIOR])
        return lambda x: common.apply(self.q_z, q_params, variables["encoder"], x, train=False)[0][0]

    def prior_log_prob(self, params: Parameters, variables: Parameters, z: Float[Array, "k b d"]
                       ) -> Float[Array, "k b"]:
        """log p(z) in nats."""
        encode = self.encoder_of(params, variables)
        return self.p_z.apply({"params": params.get("prior", {})}, z, encode, method="log_prob")

    def init(self, key: PRNGKeyArray, batch: Batch) -> tuple[Parameters, Parameters]:
        """The parameters and variables at first, for the shapes of a batch and, where asked, its statistics."""
        x = batch["x"]
        labels = condition(batch["label"][:2] if self.classes else None, self.classes)
        encoder, encoder_variables = common.initial(self.q_z, stream(key, "init encoder"), x[:2], *labels)
        decoder, decoder_variables = common.initial(
            self.p_x_z, stream(key, "init decoder"), jnp.zeros((2, self.config.latents)), *labels)
        if self.config.output_bias == "data_mean":
            decoder = set_output_bias(decoder, self.p_x_z.likelihood, x)
        params, variables = {"encoder": encoder, "decoder": decoder}, {
            "encoder": encoder_variables, "decoder": decoder_variables}
        prior = self.p_z.init(stream(key, "init prior"), jnp.zeros((1, self.config.latents)),
                              self.encoder_of(params, variables), method="log_prob").get("params", {})
        if self.config.prior.name == "vamp":
            prior = self.p_z.set_examples(x)
        return params | ({"prior": prior} if prior else {}), variables

    def infer(self, params: Parameters, variables: Parameters, batch: Batch, key: PRNGKeyArray, k: int, *, train: bool
              ) -> tuple[Inference, Parameters]:
        """k posterior samples of each example, by reparameterisation (Kingma & Welling 2014, section 2.4)."""
        x, labels = batch["x"], condition(batch.get("label"), self.classes)
        (q, h), encoder_variables = common.apply(
            self.q_z, params["encoder"], variables["encoder"], x, *labels, train=train)
        base = q.loc + jnp.exp(q.log_scale) * jax.random.normal(along(key, 1), (k, *q.loc.shape))
        z, log_det = self.q_z.apply({"params": params["encoder"]}, base, h, method="transform")
        p_x, decoder_variables = common.apply(
            self.p_x_z, params["decoder"], variables["decoder"], z, *labels, train=train)
        log_prior, log_posterior = self.prior_log_prob(params, variables, z), q.log_prob(base).sum(-1)
        if log_det is None:
            held, kl = lambda: jax.lax.stop_gradient(q).log_prob(z).sum(-1), self.p_z.kl(q)
        else:
            log_posterior, held, kl = log_posterior - log_det, None, None
        if kl is None:
            kl = (log_posterior - log_prior).mean(0)[:, None]
        terms = Terms(self.p_x_z.likelihood.log_prob(p_x, x, 2), log_prior, log_posterior, held, kl)
        first = z[0], q if self.q_z.normal else None
        latents = Latents(*first, lambda: self.draw(params, variables, stream(key, "prior"), len(x)))
        return Inference(terms, latents), variables | {"encoder": encoder_variables, "decoder": decoder_variables}

    def encode(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."], *labels: Array) -> Normal:
        """q(z|x)."""
        return common.apply(self.q_z, params["encoder"], variables["encoder"], x, *labels, train=False)[0][0]

    def code(self, params: Parameters, variables: Parameters, x: Float[Array, "b ..."], *labels: Array
             ) -> Float[Array, "b d"]:
        """The latents at the centre of q(z|x)."""
        (q, h), _ = common.apply(self.q_z, params["encoder"], variables["encoder"], x, *labels, train=False)
        return self.q_z.apply({"params": params["encoder"]}, q.loc[None], h, method="transform")[0][0]

    def decode(self, params: Parameters, variables: Parameters, z: Float[Array, "*n d"], *labels: Array
               ) -> Distribution:
        """p(x|z)."""
        return common.apply(self.p_x_z, params["decoder"], variables["decoder"], z, *labels, train=False)[0]

    def draw(self, params: Parameters, variables: Parameters, key: PRNGKeyArray, n: int, top: Top = FREE,
             temperature: Temperature = 1.0) -> Float[Array, "n d"]:
        """n samples of p(z); a temperature other than 1 is that of N(0, I) alone."""
        if top.layers:
            return top.z
        (temperature,) = scales(temperature, 1)
        if temperature != 1:
            return self.cooled(key, n, temperature)
        encode = self.encoder_of(params, variables)
        return self.p_z.apply({"params": params.get("prior", {})}, key, n, encode, method="sample")


    def cooled(self, key: PRNGKeyArray, n: int, temperature: float) -> Float[Array, "n d"]:
        """n samples of N(0, I) times the temperature.

        Raises:
          UserError: p(z) is another prior.
        """
        if self.config.prior.name != "standard_normal":
            raise UserError(f"Samples at a temperature need config.prior.name=standard_normal, not "
                            f"{self.config.prior.name}.")
        return temperature * jax.random.normal(key, (n, self.config.latents))


def build(config, spec: Spec) -> Model:
    """Builds the modules of the VAE that the config describes, for examples of `spec`.

    Raises:
      UserError: the likelihood does not fit the units of the data, or a part's options are wrong.
    """
    q_z, p_x_z = posterior(config), generative(config, spec)
    p_z = make_part(PRIORS, config.prior, "prior", latents=config.latents, shape=spec.shape, range=spec.range)
    classes = conditional_classes(config, spec)
    if classes and config.prior.name == "vamp":
        raise UserError("A conditional VAE has no vamp prior: its pseudo-inputs have no labels.")
    if not q_z.normal and config.prior.name == "vamp":
        raise UserError(f"The vamp prior is a mixture of normal posteriors, and config.posterior.name="
                        f"{config.posterior.name} is a flow: set it to normal, or use another prior.")
    m = OneLayer(config, q_z, p_x_z, p_z, classes)
    return Model(((config.latents,),), m.init, m.infer, m.encode if q_z.normal else None, m.code, m.decode, m.draw,
                 m.prior_log_prob, p_x_z.likelihood)
