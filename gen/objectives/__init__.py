"""Objectives: functions of log-weights (VAEs) or of logits (GANs), and penalties on a discriminator."""

from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.bounds import BOUNDS
from gen.objectives.penalties import PENALTIES
from gen.objectives.regularizers import REGULARIZERS

__all__ = ["ADVERSARIAL", "BOUNDS", "PENALTIES", "REGULARIZERS"]
