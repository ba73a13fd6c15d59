"""Samples of an autoencoder by a mixture of normals fitted to its codes after training, in place of its prior.

Where the codes of the data do not fill the prior, the decoder has never seen some of the z ~ p(z). A density of the
codes mends that without another step of training ("ex-post density estimation", Ghosh et al. 2020, section 4, who take
ten normals). The FID before and after says how much of it was the prior's fault.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from sklearn.mixture import GaussianMixture

from gen.config.ranges import Count
from gen.data import decoder
from gen.errors import UserError
from gen.evaluation import classifiers as kept
from gen.evaluation.checks import at_least, finite
from gen.evaluation.comparison import comparison
from gen.evaluation.frechet import fid
from gen.evaluation.latents import applied, encoded
from gen.evaluation.types import Subject
from gen.rng import stream

MEASURE = comparison(fid)


def mixture_fid(subject: Subject, components: Count = 10, codes: Count = 10_000, samples: Count = 10_000,
                split: str = "test", features: str = "lenet", classifiers: str = kept.FOLDER) -> dict[str, float]:
    """FID of E[x|z] for z of a mixture of `components` normals, full covariances, fitted to `codes` training codes.

    `fid_mixture10_lenet_10k_test` is to be held against `fid_lenet_10k_test`, whose z are the prior's.
    """
    drawn = subject._replace(sample=sampler(subject, components, codes))
    found = MEASURE(drawn, samples, split, features, classifiers)
    return {f"fid_mixture{components}{name.removeprefix('fid')}": value for name, value in found.items()
            if not name.endswith("_real")}


def sampler(subject: Subject, components: int, codes: int) -> Callable[[int], Float[np.ndarray, "n ..."]]:
    """n -> n samples by way of the mixture; those of a conditional model have labels as the training data has them.

    Raises:
      UserError: there are fewer training examples than components, or codes that are not finite.
    """
    key, train = stream(subject.state.key, "mixture"), subject.dataset.train
    codes = min(codes, len(train["x"]))
    if codes < max(components, 2):
        raise UserError(f"config.evaluators.mixture_fid: {codes} codes for {components} normals: take fewer normals.")
    raw = {name: values[:codes] for name, values in train.items()}
    batch = decoder(subject.config.data)(jax.device_put(raw), stream(key, "decode"))
    z = np.asarray(encoded(subject, batch).sample(stream(key, "codes")))
    mixture = GaussianMixture(components, random_state=0).fit(finite(np.float64(z), "codes"))

    def sample(n: int) -> Float[np.ndarray, "n ..."]:
        drawn = {"x": jnp.float32(mixture.sample(at_least(1, n, "The number of samples"))[0])}
        if "label" in train:
            chosen = jax.random.randint(stream(key, "labels"), (n,), 0, len(train["label"]))
            drawn["label"] = jnp.asarray(train["label"])[chosen]
        return np.asarray(applied(subject, "decode", drawn))

    return sample
