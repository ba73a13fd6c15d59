"""Samples of an autoencoder by a density fitted to its codes after training, in place of its prior.

Where the codes of the data do not fill the prior, the decoder has never seen some of the z ~ p(z). A density of the
codes mends that without another step of the autoencoder's training (`code_densities`). The FID before and after says
how much of it was the prior's fault.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gen.config.ranges import Count
from gen.data import decoder
from gen.evaluation import classifiers as kept
from gen.evaluation import code_densities
from gen.evaluation.checks import at_least, finite
from gen.evaluation.code_densities import Draw
from gen.evaluation.comparison import comparison
from gen.evaluation.frechet import fid
from gen.evaluation.latents import applied, encoded
from gen.evaluation.types import Subject
from gen.families.common import draw_labels
from gen.rng import stream

MEASURE = comparison(fid)


def mixture_fid(subject: Subject, components: Count = 10, codes: Count = 10_000, samples: Count = 10_000,
                split: str = "test", features: str = "lenet", classifiers: str = kept.FOLDER) -> dict[str, float]:
    """FID of E[x|z] for z of a mixture of `components` normals, full covariances, fitted to `codes` training codes.

    `fid_mixture10_lenet_10k_test` is to be held against `fid_lenet_10k_test`, whose z are the prior's.
    """
    fit = partial(code_densities.mixture, components=components)
    return distance(subject, f"mixture{components}", fit, codes, samples, split, features, classifiers)


def flow_fid(subject: Subject, layers: Count = 8, hidden: tuple[Count, ...] = (128, 128), steps: Count = 2_000,
             codes: Count = 10_000, samples: Count = 10_000, split: str = "test", features: str = "lenet",
             classifiers: str = kept.FOLDER) -> dict[str, float]:
    """The same for z of a RealNVP that `steps` steps have fitted to the codes: `fid_flow_lenet_10k_test`."""
    fit = partial(code_densities.flow, layers=layers, hidden=hidden, steps=steps)
    return distance(subject, "flow", fit, codes, samples, split, features, classifiers)


def second_vae_fid(subject: Subject, hidden: tuple[Count, ...] = (256, 256), steps: Count = 4_000,
                   codes: Count = 10_000, samples: Count = 10_000, split: str = "test", features: str = "lenet",
                   classifiers: str = kept.FOLDER) -> dict[str, float]:
    """The same for z of a second VAE, of the codes (Dai & Wipf 2019): `fid_second_vae_lenet_10k_test`."""
    fit = partial(code_densities.second_vae, hidden=hidden, steps=steps)
    return distance(subject, "second_vae", fit, codes, samples, split, features, classifiers)


def distance(subject: Subject, name: str, fit: Callable[..., Draw], codes: int, *protocol) -> dict[str, float]:
    """FID of the samples by way of a density of the codes, under its name."""
    found = MEASURE(subject._replace(sample=sampler(subject, name, fit, codes)), *protocol)
    return {f"fid_{name}{key.removeprefix('fid')}": value for key, value in found.items() if not key.endswith("_real")}


def sampler(subject: Subject, name: str, fit: Callable[..., Draw], codes: int
            ) -> Callable[[int], Float[np.ndarray, "n ..."]]:
    """n -> n samples by way of the density that `fit` makes of training codes, draws of q(z|x).

    Those of a conditional model have labels as the training data has them. Raises a UserError for codes that are not
    finite.
    """
    key, train = stream(subject.state.key, name), subject.dataset.train
    raw = {part: values[:codes] for part, values in train.items()}
    batch = decoder(subject.config.data)(jax.device_put(raw), stream(key, "decode"))
    z = finite(np.asarray(encoded(subject, batch).sample(stream(key, "codes"))), "codes")
    draw = fit(stream(key, "fit"), z)

    def sample(n: int) -> Float[np.ndarray, "n ..."]:
        drawn = {"x": jnp.float32(draw(stream(key, "draw"), at_least(1, n, "The number of samples")))}
        if subject.dataset.spec.classes:
            drawn["label"] = draw_labels(stream(key, "labels"), n, subject.dataset.spec)
        return np.asarray(applied(subject, "decode", drawn))

    return sample
