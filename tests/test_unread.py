"""Options that nothing reads are refused, and read where the part that they are of is there."""

import functools

import flax.linen as nn
import pytest
from ml_collections import ConfigDict

from gen import commands
from gen.distributions.posteriors import POSTERIORS
from gen.errors import UserError
from gen.networks import DECODERS
from gen.networks.resnet import ResNetDecoder
from gen.schema import complete
from gen.unread import unread
from tests.helpers import diffusion_config, gan_config, vae_config


@pytest.mark.parametrize("make, unread, reader", [
    (gan_config, {"schedules__penalties__r2__weight__name": "linear"}, {"penalties__r2": True}),
    (gan_config, {"schedules__instance_noise__name": "linear"}, {"instance_noise": 0.1}),
    (gan_config, {"codes__weight": 2.0}, {"codes__continuous": 1}),
    (gan_config, {"schedules__codes__weight__name": "linear"}, {"codes__continuous": 1}),
    (gan_config, {"schedules__augment_probability__name": "linear"}, {"augment__translation": True}),
    (gan_config, {"ema_rampup": 0.05, "ema_half_life": 0.0}, {"ema_half_life": 500.0}),
    (gan_config, {"ada__every": 8}, {"ada__target": 0.6, "augment__translation": True}),
    (gan_config, {"path_length__decay": 0.9}, {"path_length__weight": 2.0}),
    (vae_config, {"posterior__scale": "softplus", "posterior__name": "point"}, {"posterior__name": "normal"}),
    (vae_config, {"data__binarize_seed": 3}, {"data__binarize": "static"}),
    (vae_config, {"decoder__conditioning": "batch_norm", "decoder__batch_norm": True}, {"conditional": True}),
    (gan_config, {"generator__conditioning": "batch_norm", "generator__batch_norm": True},
     {"conditioning__name": "projection"}),
    (diffusion_config, {"label_dropout": 0.3, "conditional": False, "sampler__guidance": 0.0}, {"conditional": True}),
])
def test_an_option_that_nothing_reads_is_an_error_that_names_it(make, unread, reader):
    with pytest.raises(UserError) as error:
        make(**unread)
    assert f"config.{next(iter(unread)).replace('__', '.').removesuffix('.name')}" in str(error.value)
    assert "\n" not in str(error.value)
    make(**(unread | reader))


def test_of_layers_above_the_posterior_begins_as_they_do():
    with pytest.raises(UserError, match="config.posterior.kernel_init='normal' is not read: set config.hierarchy"):
        vae_config(posterior__kernel_init="normal", hierarchy__name="chain")
    vae_config(posterior__kernel_init="normal")


def test_of_a_vae_gans_likelihood_the_scale_is_unread():
    config = vae_config(likelihood__name="normal", likelihood__scale=0.1)
    assert not unread(config)
    with config.unlocked():
        config.family = "vaegan"
    assert unread(config) == ["config.likelihood.scale=0.1 is not read: config.family=vaegan takes the mean alone."]


def test_of_an_autoencoding_discriminator_the_bias_is_unread():
    with pytest.raises(UserError, match="config.discriminator_bias=false"):
        gan_config(discriminator_bias=False, reconstruction__name="mlp")
    gan_config(discriminator_bias=False)


@pytest.mark.slow
@pytest.mark.parametrize("make, overrides, said", [
    (gan_config, {"augment__color": True}, "config.augment.color is of images, and an example of ring has the shape"),
    (gan_config, {"data__name": "shapes", "augment__blit": True, "augment__affine": True},
     "config.augment.blit: config.augment.affine has its operations; set config.augment.blit=false."),
    (vae_config, {"data__name": "shapes", "evaluators__dci": True, "latents": 1},
     "config.evaluators.dci: config.latents = 1: at least 2"),
    (vae_config, {"regularizers__mmd__weight": 1.0, "train__batch_size": 4, "train__microbatches": 4},
     "config.regularizers.mmd compares pairs of examples, and config.train.batch_size / config.train.microbatches = 1"),
    (vae_config, {"train__steps": 2**31, "train__log_every": 1}, "examples a step is not below 2**32"),
    (vae_config, {"train__best": "max elob"}, "unknown evaluation metric 'elob'. Did you mean 'elbo'?"),
    (diffusion_config, {"label_dropout": 0.0}, "config.sampler.guidance=1.0 needs a model that was trained without"),
    (diffusion_config, {"conditional": False}, "config.sampler.guidance=1.0 guides towards a label"),
    (diffusion_config, {"noise_schedule__log_snr_max": -11.0}, "log SNR goes from -11 to -9.99998; it has to fall"),
    (vae_config, {"data__name": "ring", "data__binarize": "none", "likelihood__name": "normal",
                  "encoder__name": "dcgan"}, "The model of this config cannot be built"),
])
def test_a_dry_run_finds_what_does_not_fit_together(make, overrides, said):
    with pytest.raises(UserError) as error:
        commands.examine(make(**overrides))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key, value, said", [
    ("ema_half_life", -500.0, "must be at least 0"), ("penalties.r1.every", 0, "must be at least 1"),
    ("weight_clip", -0.1, "must be at least 0"), ("generator.hidden", (0,), "each of its numbers must be at least 1"),
    ("seed", 2**32, "must be at least 0 and below 4294967296"), ("train.batch_size", 0, "must be at least 1"),
    ("evaluators.modes.samples", -1, "must be at least 1"),
    ("discriminator_optimizer.b1", 1.0, "must be at least 0 and below 1"),
])
def test_numbers_that_mean_nothing_are_one_line(key, value, said):
    with pytest.raises(UserError) as error:
        gan_config(**{key.replace(".", "__"): value})
    assert f"config.{key} = {value!r}: {said}" in str(error.value)


def test_the_layers_of_a_hierarchy_have_scales_of_their_own():
    with pytest.raises(UserError, match="config.posterior.scale='nonsense' is not read: config.hierarchy has"):
        vae_config(hierarchy__name="ladder", posterior__scale="nonsense")


def test_a_posterior_of_ones_own_has_the_options_that_it_has(monkeypatch):
    class Mine(nn.Module):
        encoder: nn.Module
        latents: int

    monkeypatch.setitem(POSTERIORS, "mine", Mine)
    assert vae_config(hierarchy__name="ladder", posterior__name="mine").posterior.name == "mine"


@pytest.mark.parametrize("part", [functools.partial(ResNetDecoder, width=8, conditioning="batch_norm"),
                                  lambda shape, dtype, conditioning="batch_norm": None, lambda shape, dtype: None])
def test_the_default_of_a_decoder_of_ones_own_is_not_set_for_nothing(part, monkeypatch):
    monkeypatch.setitem(DECODERS, "mine", part)
    assert gan_config(generator__name="mine").generator.name == "mine"
    with pytest.raises(UserError, match="conditioning"):
        gan_config(generator__name="mine", generator__conditioning="concatenate")


def test_a_run_that_has_begun_may_be_older_than_a_rule():
    config = ConfigDict(vae_config().to_dict() | {"ema_rampup": 0.1})
    assert complete(config, {}, begun=True).ema_rampup == 0.1
    with pytest.raises(UserError, match="config.ema_rampup"):
        complete(config, {})
