"""How the discriminator uses labels, by name; the layers are in `players`."""

from gen.config.ranges import Count, NonNegative


def concatenate() -> str:
    """The label is appended to the discriminator's input, one-hot (Mirza & Osindero 2014)."""
    return "concatenate"


def projection() -> str:
    """The logit gains <V y, features> (Miyato & Koyama 2018, eq. 3)."""
    return "projection"


def product(size: Count = 768) -> str:
    """The logit is <U features, E y>, no layer of one logit beside it: R3GAN's released code (Huang et al. 2024)."""
    return "product"


def mapped(size: Count = 512, depth: Count = 8) -> str:
    """The logit is <U features + b, M(y)> / sqrt(size), M a mapping network: StyleGAN2-ADA (Karras et al. 2020)."""
    return "mapped"


def auxiliary(weight: NonNegative[float] = 1.0) -> str:
    """A head of the discriminator tells the label; both players help it, times `weight` (Odena et al. 2017, eq. 3)."""
    return "auxiliary"


CONDITIONINGS = {"concatenate": concatenate, "projection": projection, "product": product, "mapped": mapped,
                 "auxiliary": auxiliary}
"""How the discriminator uses the label; how the generator does is an option of its network."""
