"""Evaluators of samples, by name: the same functions in the training loop and in `scripts/evaluate.py`.

An evaluator is a function (subject, **options) -> {metric: value}. Its metrics say their protocol, and those that end
in `_real` are the same of real examples: what samples as good as real ones would reach.
"""

from collections.abc import Callable, Mapping

from gen.data import Dataset
from gen.evaluation import (
    checks,
    codebook,
    disentanglement,
    ex_post,
    frechet,
    kernel,
    latents,
    likelihood,
    manifold,
    memorization,
    modes,
    optimal,
    polygons,
    speed,
)
from gen.evaluation.comparison import comparison
from gen.evaluation.features import extractor
from gen.evaluation.pretrained import evaluators as inception
from gen.evaluation.types import Subject as Subject

DISENTANGLEMENT = {
    "mig": disentanglement.mig,
    "sap": disentanglement.sap,
    "dci": disentanglement.dci,
    "factor_score": disentanglement.factor_score,
}
"""Those that need examples whose factors are known."""

EVALUATORS = {
    "modes": modes.modes,
    "stacked_modes": modes.stacked_modes,
    "polygons": polygons.polygons,
    "optimal_discriminator": optimal.optimal_discriminator,
    "fid": comparison(frechet.fid),
    "kid": comparison(kernel.kid),
    "prdc": comparison(manifold.prdc),
    "mixture_fid": ex_post.mixture_fid,
    "flow_fid": ex_post.flow_fid,
    "second_vae_fid": ex_post.second_vae_fid,
    "inception_fid": inception.inception_fid,
    "inception_kid": inception.inception_kid,
    "inception_score": inception.inception_score,
    "inception_prdc": inception.inception_prdc,
    "inception_sfid": inception.inception_sfid,
    "dinov2_fd": inception.dinov2_fd,
    "dinov2_kd": inception.dinov2_kd,
    "dinov2_prdc": inception.dinov2_prdc,
    "memorization": memorization.memorization,
    "log_likelihood": likelihood.log_likelihood,
    "annealed_log_likelihood": likelihood.bidirectional,
    "latents": latents.latents,
    "codebook": codebook.codebook,
    **DISENTANGLEMENT,
    "speed": speed.speed,
}
"""Name to function(subject, **options) -> dict[str, float]."""

NEEDS = {
    "optimal_discriminator": ("decode", "discriminate"),
    "log_likelihood": ("log_weights",),
    "annealed_log_likelihood": ("latents", "log_joint", "simulate"),
    "latents": ("encode",),
    **dict.fromkeys(("mixture_fid", "flow_fid", "second_vae_fid"), ("encode", "decode")),
    "codebook": ("codes",),
} | dict.fromkeys(DISENTANGLEMENT, ("encode",))
"""Evaluator to the methods of the family that it calls."""

DATA = {
    "modes": modes.of_mixture,
    "stacked_modes": modes.of_stacked_digits,
    "polygons": polygons.of_polygons,
} | dict.fromkeys(DISENTANGLEMENT, lambda dataset, data: disentanglement.known_factors(dataset))
"""Evaluator to function(dataset, the config's data), which raises a UserError for data that it is not of."""

LATENTS = {"mig": 2, "sap": 2, "dci": 2}
"""Evaluator to the fewest latents that it can compare."""

METRICS = {
    "modes": ("modes", "high_quality", "reverse_kl"),
    "stacked_modes": ("modes", "reverse_kl", "effective_modes"),
    "polygons": ("precision", "recall", "reverse_kl"),
    "optimal_discriminator": ("optimal_value", "value", "gap", "jsd"),
    "fid": ("fid",),
    "kid": ("kid",),
    "prdc": ("precision", "recall", "density", "coverage"),
    "mixture_fid": ("fid_mixture",),
    "flow_fid": ("fid_flow",),
    "second_vae_fid": ("fid_second_vae",),
    "inception_fid": ("fid_inception",),
    "inception_kid": ("kid_inception", "kid_se_inception"),
    "inception_score": ("is_inception", "is_std_inception"),
    "inception_prdc": tuple(f"{name}_inception" for name in ("precision", "recall", "density", "coverage")),
    "inception_sfid": ("sfid_inception",),
    "dinov2_fd": ("fd_dinov2",),
    "dinov2_kd": ("kd_dinov2", "kd_se_dinov2"),
    "dinov2_prdc": tuple(f"{name}_dinov2" for name in ("precision", "recall", "density", "coverage")),
    "memorization": ("nearer", "near_copies"),
    "log_likelihood": ("log_likelihood", "bits_per_dim"),
    "annealed_log_likelihood": ("log_likelihood_ais", "ais_"),
    "latents": ("active_units", "mutual_information", "total_correlation", "dimension_wise_kl"),
    "codebook": ("perplexity", "codes_used"),
    "mig": ("mig",),
    "sap": ("sap",),
    "dci": ("dci_",),
    "factor_score": ("factor_score",),
    "speed": ("samples_per_s",),
}
"""Evaluator to what the names of its metrics begin with."""

PICTURES = {"memorization": memorization.picture, "optimal_discriminator": optimal.picture}
"""Evaluator to function(subject, **options) -> picture, uint8 [h w c], of what it found."""


def check_data(name: str, config, dataset: Dataset) -> None:
    """Raises a UserError if the data are not those that the evaluator of this name is of."""
    if name in DATA:
        DATA[name](dataset, config.data)


def check(config, dataset: Dataset) -> None:
    """Raises a UserError if an evaluator is not of these data, or its classifier is missing or does not fit.

    To ask before training.
    """
    for name in config.evaluators:
        check_data(name, config, dataset)
    for options in config.evaluators.values():
        if "classifiers" in options:
            extractor(options.get("features", "lenet"), dataset, config.data, options["classifiers"])


def check_model(config, methods: Mapping[str, Callable], dataset: Dataset) -> None:
    """Raises a UserError if an evaluator needs what model or data set have not, or cannot use its numbers.

    To ask before training.
    """
    subject = Subject(None, dataset, config, None, methods)
    for name, options in config.evaluators.items():
        for method in NEEDS.get(name, ()):
            subject.method(method, f"config.evaluators.{name}")
        if name in inception.SCORES_OF:
            inception.check(name, options, dataset)
        check_data(name, config, dataset)
        if name in DISENTANGLEMENT:
            checks.at_least(LATENTS.get(name, 1), config.latents, f"config.evaluators.{name}: config.latents")
        checks.numbers(name, options, len(dataset.test["x"]))
