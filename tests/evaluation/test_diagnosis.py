"""Which metrics raise a warning, and that real runs of the two failures do."""

import pytest

from gen.evaluation.diagnosis import diagnose

HEALTHY = {
    "diversity": 0.95, "real_accuracy": 0.7, "fake_accuracy": 0.8, "generator_gradient_norm": 0.3,
    "generator_gradient_saturating": 0.1, "generator_gradient_non_saturating": 0.4,
}
SURE = HEALTHY | {"real_accuracy": 1.0, "fake_accuracy": 0.995, "generator_gradient_saturating": 1e-5}


@pytest.mark.parametrize("metrics, kinds", [
    (HEALTHY, []),
    ({}, []),
    ({"elbo": -90.0}, []),
    (HEALTHY | {"diversity": 0.05}, ["mode collapse"]),
    (SURE, []),  # a sure discriminator, but the loss that trains has a gradient
    (SURE | {"generator_gradient_norm": 1e-5}, ["dead generator"]),
    (SURE | {"generator_gradient_norm": 1e-3}, ["dead generator"]),
    (HEALTHY | {"generator_gradient_norm": 1e-6}, []),  # small, but the discriminator can be fooled
    (SURE | {"generator_gradient_norm": 1e-5, "diversity": 0.0}, ["mode collapse", "dead generator"]),
    ({"skipped_updates": 1.0, "gradient_norm": 900.0}, ["standstill"]),
    ({"skipped_updates": 0.5}, []),
    (HEALTHY | {"discriminator_skipped_updates": 0.95}, ["standstill"]),
])
def test_kinds(metrics, kinds):
    assert [warning.split(":")[0] for warning in diagnose(metrics)] == kinds


def test_a_warning_names_its_evidence_and_a_remedy():
    collapse, dead = diagnose(SURE | {"generator_gradient_norm": 1e-5, "diversity": 0.07})
    assert "0.07" in collapse and "packing" in collapse
    assert "99.5%" in dead and "1e-05" in dead and "non_saturating" in dead


@pytest.mark.parametrize("prefix", ["", "generator_"])
def test_a_standstill_names_the_key_and_the_gradient(prefix):
    (warning,) = diagnose({f"{prefix}skipped_updates": 1.0, f"{prefix}gradient_norm": 912.3})
    assert "100% of the updates" in warning and "912" in warning and f"config.{prefix}optimizer.skip_norm" in warning


def test_training_metrics_alone_are_enough():
    sure = {"real_accuracy": 1.0, "fake_accuracy": 1.0, "generator_gradient_norm": 1e-6}
    assert [warning.split(":")[0] for warning in diagnose(sure)] == ["dead generator"]


def test_evaluation_metrics_alone_say_nothing_of_a_generator_whose_loss_is_unknown():
    evaluation = {k: v for k, v in SURE.items() if k != "generator_gradient_norm"}
    assert diagnose(evaluation) == []
