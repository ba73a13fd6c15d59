"""Generative adversarial networks and variational autoencoders in JAX.

A family of models is four pure functions on one TrainState (`gen.families`); the training loop
(`gen.training.loop`) knows nothing else of it. `load` reads a trained run back.
"""

from gen.runs import Run, load

__all__ = ["Run", "load"]
