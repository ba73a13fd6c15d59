"""Generative adversarial networks and variational autoencoders in JAX.

A family of models is four pure functions on one TrainState (`gen.families`); the training loop
(`gen.training.loop`) knows nothing else of it. What this module names is public and stable; each name is imported when
it is first asked for, so that `import gen` alone loads nothing.
"""

import importlib

_PUBLIC = {
    "train": "gen.library",
    "load": "gen.runs",
    "measure": "gen.measurement.measuring",
    "Run": "gen.runs",
    "UserError": "gen.errors",
    "ADVERSARIAL": "gen.objectives",
    "AdversarialLoss": "gen.objectives.adversarial",
    "PENALTIES": "gen.objectives",
    "BOUNDS": "gen.objectives",
    "Terms": "gen.objectives.bounds",
    "importance_weighted": "gen.evaluation.likelihood",
    "log_mean_exp": "gen.probability.sampling",
    "fid": "gen.evaluation.frechet",
    "kid": "gen.evaluation.kernel",
    "prdc": "gen.evaluation.manifold",
    "lpips": "gen.evaluation.pretrained.lpips",
    "ENCODERS": "gen.networks",
    "DECODERS": "gen.networks",
    "DENOISERS": "gen.networks",
    "indices_at": "gen.data.batches",
    "stream": "gen.rng",
}
"""Public name to the module that has it."""

__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'gen' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
