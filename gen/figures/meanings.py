"""What the metrics of a run mean: group, unit, a line of meaning, which way is better, what to hold them against."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

GROUPS = ("What is reached", "The players", "Gradients", "Terms of the objective", "Penalties", "The run")
"""In the order in which a report shows them."""

REACHED, PLAYERS, GRADIENTS, TERMS, PENALTIES, RUN = GROUPS


class Meaning(NamedTuple):
    """Of one metric.

    Attributes:
      group: one of `GROUPS`.
      unit: "" for a pure number.
      about: one line.
      better: "max", "min", or "" where neither is.
    """

    group: str
    unit: str
    about: str
    better: str = ""


class Reference(NamedTuple):
    """A value to hold a metric against."""

    value: float
    label: str


EXACT = {
    "elbo": Meaning(REACHED, "nats", "Lower bound of log p(x), per example.", "max"),
    "bits_per_dim": Meaning(REACHED, "bits", "Bits that an example takes, for each of its numbers.", "min"),
    "modes": Meaning(REACHED, "", "Modes of the data that have samples.", "max"),
    "modes5": Meaning(REACHED, "", "Modes of the data that have five samples or more.", "max"),
    "high_quality": Meaning(REACHED, "", "Share of the samples within 3 standard deviations of a mode.", "max"),
    "reverse_kl": Meaning(REACHED, "nats", "From the samples' shares of the modes to the data's.", "min"),
    "effective_modes": Meaning(REACHED, "", "Modes times exp(-KL).", "max"),
    "jsd": Meaning(REACHED, "nats", "Jensen-Shannon divergence of data and samples.", "min"),
    "diversity": Meaning(REACHED, "", "Spread of the samples over that of the data."),
    "discriminator_loss": Meaning(PLAYERS, "", "What the discriminator minimises, penalties included."),
    "generator_loss": Meaning(PLAYERS, "", "What the generator minimises."),
    "real_accuracy": Meaning(PLAYERS, "", "Share of real examples that are called real."),
    "fake_accuracy": Meaning(PLAYERS, "", "Share of fake examples that are called fake."),
    "real_logits": Meaning(PLAYERS, "", "The discriminator's mean logit of real examples."),
    "fake_logits": Meaning(PLAYERS, "", "The discriminator's mean logit of fake examples."),
    "loss": Meaning(TERMS, "", "What is minimised.", "min"),
    "log_likelihood": Meaning(TERMS, "nats", "log p(x|z) for z of the posterior, per example."),
    "kl": Meaning(TERMS, "nats", "KL(q(z|x) || p(z)), per example."),
    "prior_kl": Meaning(TERMS, "nats", "From the noisiest level to the standard normal, per example."),
    "commitment": Meaning(TERMS, "", "Distance of the encoder's vectors to their codes."),
    "reconstruction_error": Meaning(TERMS, "", "Squared error of reconstructions.", "min"),
    "perplexity": Meaning(TERMS, "codes", "Codes that are used, as the exponential of their entropy."),
    "prior_nats_per_code": Meaning(REACHED, "nats", "What a code takes with the prior that learned them.", "min"),
    "active_units": Meaning(REACHED, "latents", "Latents whose posterior mean varies with x."),
    "images_per_s": Meaning(RUN, "1/s", "Training examples a second."),
    "skipped": Meaning(RUN, "updates", "Dropped because they were not finite."),
    "samples_per_s": Meaning(RUN, "1/s", "Samples a second.", "max"),
}
"""By the whole name."""

PATTERNS = {
    r"s?fid|fd_|kid|kd": Meaning(REACHED, "", "Distance of features, samples to data; see its name.", "min"),
    r"is_": Meaning(REACHED, "", "Inception score of the samples.", "max"),
    r"precision": Meaning(REACHED, "", "Share of the samples that lie among the data.", "max"),
    r"recall|coverage": Meaning(REACHED, "", "Share of the data that lies among the samples.", "max"),
    r"density": Meaning(REACHED, "", "How deep the samples lie among the data.", "max"),
    r"log_likelihood": Meaning(REACHED, "nats", "log p(x), estimated; the name is the protocol.", "max"),
    r"bits_per_dim": Meaning(REACHED, "bits", "Bits that an example takes, for each of its numbers.", "min"),
    r"mig|sap|dci|factor_score": Meaning(REACHED, "", "Disentanglement of known factors.", "max"),
    r".*gradient": Meaning(GRADIENTS, "", "Norm of the gradient."),
    r"(r1|r2|wgan_gp|dragan|weight_decay)$": Meaning(PENALTIES, "", "Before its weight."),
    r"total_correlation|mutual_information|dimension_wise_kl": Meaning(TERMS, "nats", "Part of the KL of the latents."),
}
"""By how the name begins."""

OTHER = Meaning(TERMS, "", "")


def meaning(name: str) -> Meaning:
    """What is known of a metric, or of the same on validation examples; `OTHER` where nothing is.

    A name may have its protocol at the end, as `modes_lenet_25600` has.
    """
    name = name.removeprefix("validation_")
    if name in EXACT:
        return EXACT[name]
    known = (known for begins, known in PATTERNS.items() if re.match(begins, name))
    return next(known, next((EXACT[begins] for begins in EXACT if name.startswith(f"{begins}_")), OTHER))


UNDECIDED = {"minimax": Reference(math.log(4), "log 4"), "non_saturating": Reference(math.log(4), "log 4"),
             "hinge": Reference(2.0, "2"), "wasserstein": Reference(0.0, "0"),
             "relativistic_paired": Reference(math.log(2), "log 2")}
"""Adversarial loss to the discriminator's where it cannot tell real from fake."""


def references(name: str, config: Mapping[str, Any], last: Mapping[str, Any]) -> list[Reference]:
    """What to hold a metric against: the game's equilibrium, the same of real examples (`<name>_real`).

    Args:
      name: of the metric.
      config: of the run, with dotted keys.
      last: its newest value of each metric.
    """
    found = []
    if name in ("real_accuracy", "fake_accuracy") and config.get("family") == "gan":
        found.append(Reference(0.5, "0.5: cannot tell"))
    loss = str(config.get("loss.name"))
    if name == "discriminator_loss" and not config.get("loss.label_smoothing") and loss in UNDECIDED:
        value, label = UNDECIDED[loss]
        found.append(Reference(value, f"{label}: cannot tell"))
    if name == "diversity":
        found.append(Reference(1.0, "1: the data's"))
    real = last.get(f"{name}_real")
    if isinstance(real, int | float) and math.isfinite(real):
        found.append(Reference(float(real), "real examples"))
    return found


def of_real(name: str, names: Sequence[str]) -> bool:
    """Whether a metric is the value of real examples of another one of `names`."""
    return name.endswith("_real") and name.removesuffix("_real") in names


PREFERRED = (r"s?fid|fd_", r"kid|kd", r"high_quality", r"modes(_|$)", r"elbo", r"bits_per_dim", r"log_likelihood",
             r"jsd", r"reconstruction_error", r"loss")
"""Of metrics of an evaluation, the one that a run is known by, where its config names none."""


class Headline(NamedTuple):
    """The metric that a run is known by, and whether it is to be great ("max") or small ("min")."""

    name: str
    better: str


def headline(config: Mapping[str, Any], names: Sequence[str]) -> Headline | None:
    """The config's `train.best` where there is such a metric, else the first of `PREFERRED`, else the first better one.

    Args:
      config: of the run, with dotted keys.
      names: of the metrics of its evaluations.
    """
    mode, _, name = str(config.get("train.best", "")).partition(" ")
    if mode in ("min", "max") and name in names:
        return Headline(name, mode)
    names = [name for name in names if meaning(name).better and not of_real(name, names)]
    ranked = [name for begins in PREFERRED for name in names if re.match(begins, name)] + names
    return Headline(ranked[0], meaning(ranked[0]).better) if ranked else None
