"""Probability distributions on arrays, and the parts of latent-variable models made of them.

`elementary` and `quantized` hold distributions: log-densities in nats, reparameterised samples, closed-form KL.
`likelihoods`, `priors` and `posteriors` hold a table each of what the config of a VAE may name.
"""

from gen.distributions.elementary import (
    Bernoulli,
    Distribution,
    Normal,
    NormalMixture,
    kl_normal,
    standard_normal,
)
from gen.distributions.quantized import (
    ConditionalLogisticMixture,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    DiscretizedNormal,
    PixelCategorical,
)

__all__ = ["Bernoulli", "ConditionalLogisticMixture", "DiscretizedLogistic", "DiscretizedLogisticMixture",
           "DiscretizedNormal", "Distribution", "Normal", "NormalMixture", "PixelCategorical", "kl_normal",
           "standard_normal"]
