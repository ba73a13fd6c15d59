"""Options of a config that the parts it chooses do not read: a user who sets one expects it to matter.

What the rows of a table share may be unread in some of them, and is no fault: PacGAN's passes, FactorVAE's player.
"""

import inspect
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from gen.config.messages import show
from gen.networks import VAE_DECODERS
from gen.schedules import acts, scheduled

Rule = Callable[[ConfigDict], str]
"""A resolved config -> what is set for nothing and what would read it, in a line; "" where all is read."""


def discriminator_bias(config: ConfigDict) -> str:
    """An autoencoder has no last layer of one logit."""
    if config.discriminator_bias or "reconstruction" not in config:
        return ""
    return "config.discriminator_bias=false: with config.reconstruction the discriminator has no such layer."


def codes_weight(config: ConfigDict) -> str:
    """InfoGAN's weight is of codes."""
    codes, moved = config.codes, scheduled(config, "codes.weight")
    if codes.categorical or codes.continuous or (codes.weight == 1 and not moved):
        return ""
    key = "schedules.codes.weight" if moved else f"codes.weight={codes.weight}"
    return f"config.{key}: there are no codes; set config.codes.categorical or continuous."


def augmentation(config: ConfigDict) -> str:
    """Probabilities, fixed or adaptive, are of augmentations; an adaptive one is not the fixed one."""
    fixed, target = config.augment_probability, config.ada.target
    if not config.augment and (acts(config, "augment_probability") or target):
        moved = scheduled(config, "augment_probability")
        key = (f"ada.target={target}" if target else "schedules.augment_probability" if moved
               else f"augment_probability={fixed}")
        return f"config.{key}: there is no augmentation; add one, as config.augment.translation=true."
    if target and acts(config, "augment_probability"):
        return "config.augment_probability is not read with config.ada.target: set config.ada.initial."
    return ""


def network_conditioning(config: ConfigDict) -> str:
    """How a network takes labels is of a model that has some."""
    section = "generator" if config.family == "gan" else "decoder"
    if "conditioning" in config or config.get("conditional", False) or section not in config:
        return ""
    options = inspect.signature(VAE_DECODERS.get(config[section].name, lambda: None)).parameters
    usual = {name: option.default for name, option in options.items() if name == "conditioning"}
    return _set_for_nothing(config, section, usual, "there are no labels")


def label_embedding(config: ConfigDict) -> str:
    """An embedding is of labels."""
    if not config.label_embedding or "conditioning" in config:
        return ""
    return f"config.label_embedding={config.label_embedding}: there are no labels; set config.conditioning.name."


def label_dropout(config: ConfigDict) -> str:
    """Labels can be left out of a conditional model alone."""
    if config.conditional or config.label_dropout == 0.1:
        return ""
    return f"config.label_dropout={config.label_dropout}: without config.conditional=true there are no labels."


def binarize_seed(config: ConfigDict) -> str:
    """The seed is of pixels that are binarised once."""
    data = config.data
    if data.binarize_seed == 0 or data.binarize == "static":
        return ""
    return f"config.data.binarize_seed={data.binarize_seed} is read with config.data.binarize=static alone."


def ramp_up(config: ConfigDict) -> str:
    """A ramp is of a half-life."""
    if not config.ema_rampup or config.ema_half_life:
        return ""
    return f"config.ema_rampup={config.ema_rampup:g}: there is no moving average; set config.ema_half_life."


def adaptation(config: ConfigDict) -> str:
    """How a probability adapts is read where it has a target."""
    if config.ada.target:
        return ""
    return _set_for_nothing(config, "ada", {"initial": 0.0, "images": 500_000, "every": 4}, "set config.ada.target")


def paths(config: ConfigDict) -> str:
    """How lengths of paths are followed is read where they have a weight."""
    if config.path_length.weight:
        return ""
    return _set_for_nothing(config, "path_length", {"decay": 0.99, "every": 4, "shrink": 2},
                            "set config.path_length.weight")


def posterior_scale(config: ConfigDict) -> str:
    """A point has no scale, and the layers of a hierarchy have their own."""
    if config.posterior.name != "point" and "hierarchy" not in config:
        return ""
    why = "config.hierarchy has scales of its own" if "hierarchy" in config else "a point has none"
    return _set_for_nothing(config, "posterior", {"log_variance_bounds": (), "scale": "exp"}, why)


def posterior_init(config: ConfigDict) -> str:
    """The layers of a hierarchy begin as it says."""
    if "hierarchy" not in config:
        return ""
    return _set_for_nothing(config, "posterior", {"kernel_init": "lecun_normal"},
                            "set config.hierarchy.kernel_init, where there is one")


def likelihood_scale(config: ConfigDict) -> str:
    """A VAE-GAN takes the mean of its likelihood alone."""
    return _set_for_nothing(config, "likelihood", {"scale": 1.0}, "config.family=vaegan takes the mean alone")


def _set_for_nothing(config: ConfigDict, section: str, defaults: dict[str, Any], why: str) -> str:
    for key, default in defaults.items():
        if (value := config[section].get(key, default)) != default:
            return f"config.{section}.{key}={show(value)} is not read: {why}."
    return ""


RULES: dict[str, tuple[Rule, ...]] = {
    "": (binarize_seed, ramp_up, network_conditioning),
    "gan": (discriminator_bias, codes_weight, augmentation, label_embedding, adaptation, paths),
    "vae": (posterior_scale, posterior_init),
    "vaegan": (likelihood_scale,),
    "diffusion": (label_dropout,),
}
"""By family; "" are those of all."""


def unread(config: ConfigDict) -> list[str]:
    """A line for each option of a resolved config that nothing reads."""
    rules = RULES[""] + RULES.get(config.family, ())
    return [line for rule in rules if (line := rule(config))]
