"""What a GAN's config may not say, and what it may but in all likelihood should not."""

from ml_collections import ConfigDict

from gen.data import Spec
from gen.errors import UserError
from gen.families.gan.rotations import TURNS


def check_augment(config: ConfigDict, spec: Spec) -> None:
    """Raises a UserError for augmentations, and the penalty of consistency under them, of what they are not for."""
    keys = [f"augment.{name}" for name in config.augment] + [
        f"penalties.{name}" for name in config.penalties if name == "consistency"]
    if keys and len(spec.shape) != 3:
        raise UserError(f"config.{keys[0]} is of images, and an example of {config.data.name} has the shape "
                        f"{tuple(spec.shape)}: set config.{keys[0]}=false.")
    if {"blit", "affine"} <= set(config.augment):
        raise UserError("config.augment.blit: config.augment.affine has its operations; set config.augment.blit=false.")
    if "color_matrix" in config.augment and spec.shape[-1] not in (1, 3):
        raise UserError(f"config.augment.color_matrix is of gray images or of those of three colours, and those of "
                        f"{config.data.name} have {spec.shape[-1]} channels: set config.augment.color_matrix=false.")


def part(config: ConfigDict) -> tuple[int, str]:
    """The rows that the discriminator judges at once, and what of the config they are."""
    parts = config.train.microbatches
    return (config.train.batch_size // parts,
            "config.train.batch_size" + (" / config.train.microbatches" if parts > 1 else ""))


def check_groups(config: ConfigDict) -> None:
    """Raises a UserError unless groups of minibatch standard deviation fill what the discriminator judges at once."""
    group, (rows, name) = config.minibatch_stddev, part(config)
    if group and (group < 2 or rows % group):
        raise UserError(f"config.minibatch_stddev={group} must be 0, or at least 2 and a divisor of {name} = {rows}.")


def check_rotation(config: ConfigDict, spec: Spec) -> None:
    """Raises a UserError where what should be rotated is no square image, or too few for each of the turns."""
    if not any(config.rotation.values()):
        return
    if len(spec.shape) != 3 or spec.shape[0] != spec.shape[1]:
        raise UserError(f"config.rotation is of square images, and an example of {config.data.name} has the shape "
                        f"{tuple(spec.shape)}: set config.rotation.real=0 and config.rotation.fake=0.")
    rows, name = part(config)
    if rows < TURNS:
        raise UserError(f"config.rotation turns a part of each batch by each of {TURNS} angles: {name} = {rows} must "
                        f"be at least {TURNS}.")


def check_mixing(config: ConfigDict) -> None:
    """Raises a UserError where the second latents of mixed styles would not be drawn as the first."""
    if not config.generator.get("mixing", 0):
        return
    if config.latent_distribution != "normal":
        raise UserError(f"config.generator.mixing draws second latents from N(0, I), and the first are from "
                        f"config.latent_distribution={config.latent_distribution!r}: set mixing to 0 or choose normal.")
    if config.codes.categorical or config.codes.continuous:
        raise UserError("config.generator.mixing draws second latents without config.codes: set it to 0, or leave out "
                        "the codes.")


def check_paths(config: ConfigDict, styled: bool) -> None:
    """Raises a UserError for path length regularisation of a generator without styles, or of no image."""
    if config.path_length.weight and not styled:
        raise UserError(f"config.path_length.weight={config.path_length.weight:g} is of paths between styles, and "
                        f"config.generator.name={config.generator.name!r} has none: set it to 0, or choose stylegan2.")
    if config.path_length.weight and config.path_length.shrink > config.train.batch_size:
        raise UserError(f"config.path_length.shrink={config.path_length.shrink} leaves nothing of batches of "
                        f"{config.train.batch_size}: it may be at most that.")


OF_FEATURES = ("product", "mapped")
"""Kinds of conditioning whose logit is a product with the label's embedding."""

OF_LOGITS = frozenset({"consistency", "lecam"})
"""Penalties of logits; the others are of the gradient by each example."""


def check_reconstruction(config: ConfigDict) -> None:
    """Raises a UserError for an autoencoder whose errors the logits of labels would replace."""
    conditioning = config.get("conditioning", {}).get("name")
    if "reconstruction" in config and conditioning in OF_FEATURES:
        raise UserError(f"config.conditioning.name={conditioning!r} makes logits of features and labels, and those of "
                        "config.reconstruction are errors: choose concatenate, projection or auxiliary.")


def cautions(config: ConfigDict) -> list[str]:
    """A line for each choice of a GAN's config that trains but undoes what it is for; what to do instead."""
    return [line for rule in (batch_norm_under_penalties, unbounded_critic, energy_without_autoencoder)
            if (line := rule(config))]


def batch_norm_under_penalties(config: ConfigDict) -> str:
    """Through batch norm a logit depends on the other examples, so that there is no gradient of one example."""
    parts = [part for part in ("discriminator", "reconstruction") if config.get(part, {}).get("batch_norm", False)]
    names = [name for name in config.penalties if name not in OF_LOGITS]
    if not parts or not names:
        return ""
    return (f"config.penalties.{names[0]} is of the gradient of each example, which there is not "
            f"with batch norm in the discriminator (Gulrajani et al. 2017, section 4): set "
            f"config.{parts[0]}.batch_norm=false.")


def unbounded_critic(config: ConfigDict) -> str:
    """The Wasserstein loss has no bound over all functions."""
    normed = config.discriminator.get("spectral_norm", False)
    bounded = config.weight_clip or normed or set(config.penalties) - OF_LOGITS
    if config.loss.name != "wasserstein" or bounded:
        return ""
    return ("config.loss.name='wasserstein' needs a critic that is kept Lipschitz, and nothing keeps it: add "
            "config.penalties.wgan_gp.weight=10, config.weight_clip=0.01 or config.discriminator.spectral_norm=true.")


def energy_without_autoencoder(config: ConfigDict) -> str:
    """The boundary equilibrium is one of reconstruction errors, which are at least 0."""
    if config.loss.name != "boundary_equilibrium" or "reconstruction" in config:
        return ""
    return ("config.loss.name='boundary_equilibrium' balances the errors of an autoencoder, and the discriminator "
            "is none: set config.reconstruction.name, as experiments/gan/lucic.py:began does.")
