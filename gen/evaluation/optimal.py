"""The minimax game on the real line, beside the best discriminator there is (Goodfellow et al. 2014, section 4).

V(D, G) = E_data log D(x) + E_G log(1 - D(x)), in nats. For densities p of the data and q of the generator its maximum
over D is at D*(x) = p(x) / (p(x) + q(x)) (their proposition 1): max_D V = 2 JSD(p || q) - log 4 (their theorem 1).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from scipy.special import ndtr

from gen.data import mixtures
from gen.errors import UserError
from gen.evaluation.checks import finite
from gen.evaluation.types import Subject
from gen.figures.lines import line_picture
from gen.probability.densities import Masses, pushforward
from gen.probability.divergences import jensen_shannon

CELLS, BINS = 2_000, 2_000
"""Cells of latents, in each of which the generator counts as linear, and equal bins of examples, which the borders of
the cells split further: errors are of order 1/n^2, also where the generator's density jumps."""

LATENTS = {"normal": (6.0, ndtr), "uniform": (1.0, lambda z: (z + 1) / 2)}
"""Distribution of z to (largest |z| of the cells, distribution function)."""


class Line(NamedTuple):
    """The game on bins: their edges, the mass of data and of the generator in each, the logits at their centres."""

    edges: Float[np.ndarray, "e"]
    data: Masses
    generator: Masses
    logits: Masses

    @property
    def centres(self) -> Masses:
        """The middle of each bin."""
        return (self.edges[1:] + self.edges[:-1]) / 2


def game_value(p: Masses, q: Masses, logits: Masses) -> float:
    """V = sum p log D + q log(1 - D), in nats, with D = sigmoid(logits)."""
    return float(-(p @ np.logaddexp(0, -logits)) - q @ np.logaddexp(0, logits))


def line(subject: Subject) -> Line:
    """The game of a run on bins that cover data and generator.

    Raises:
      UserError: the data is no mixture on the line, or the game is not of one latent, unconditional, unpacked and
        without codes, or a sample depends on the others.
    """
    config = subject.config
    means, std = mixtures.components(config.data)
    if subject.dataset.spec.shape != (1,) or std == 0:
        raise UserError("The evaluator optimal_discriminator needs data.name=line, and data.std > 0.")
    decode, discriminate = subject.method("decode"), subject.method("discriminate")
    if (config.latents, config.packing) != (1, 1) or "conditioning" in config or config.instance_noise:
        raise UserError("The evaluator optimal_discriminator needs latents=1, packing=1, no conditioning, "
                        "and instance_noise=0.")
    if config.codes.categorical or config.codes.continuous:
        raise UserError("The evaluator optimal_discriminator needs latents that are no config.codes.")
    if config.generator_statistics == "batch" and config.generator.get("batch_norm", False):
        raise UserError("The evaluator optimal_discriminator needs samples that do not depend on each other: set "
                        "config.generator_statistics=running or averaged.")
    span, cdf = LATENTS[config.latent_distribution]
    z = np.linspace(-span, span, CELLS + 1)
    x = finite(np.asarray(decode(subject.state, jnp.float32(z)[:, None]), np.float64), "samples")[:, 0]
    even = np.linspace(min(x.min(), means.min() - 8 * std), max(x.max(), means.max() + 8 * std), BINS + 1)
    edges = np.unique(np.concatenate([even, x]))
    masses = np.diff(mixtures.cdf(config.data)(edges)), pushforward(x, np.diff(cdf(z)), edges)
    centres = np.float32((edges[1:] + edges[:-1]) / 2)[:, None]
    return Line(edges, *masses, np.asarray(discriminate(subject.state, jnp.asarray(centres)), np.float64))


def optimal_discriminator(subject: Subject) -> dict[str, float]:
    """The game's value at the discriminator, at the best one, and how far apart data and generator are; in nats.

    optimal_value: 2 JSD - log 4, of which -log 4 = -1.386 is the least. value: V of the trained discriminator, never
    more. gap: how much it leaves. jsd: JSD of data and generator. No samples: the generator's density is that of the
    latents' under its map. A moving average of the generator is taken where the run keeps one.
    """
    game = line(subject)
    jsd = jensen_shannon(game.data, game.generator)
    value = game_value(game.data, game.generator, game.logits)
    return {"optimal_value": 2 * jsd - np.log(4), "value": value, "gap": 2 * jsd - np.log(4) - value, "jsd": jsd}


def picture(subject: Subject) -> UInt8[np.ndarray, "h w 3"]:
    """Densities of data and generator, the discriminator and the best one (Goodfellow et al. 2014, figure 1)."""
    game = line(subject)
    width = np.diff(game.edges)
    either = game.data + game.generator
    best = np.where(either > 1e-12, game.data / np.maximum(either, 1e-12), np.nan)
    return line_picture(game.centres, {"data": game.data / width, "generator": game.generator / width},
                        {"discriminator": 1 / (1 + np.exp(-game.logits)), "best discriminator": best})
