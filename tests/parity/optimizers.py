"""Optimizers step by step against torch.optim, on gradients from 1 down to 1e-8, where eps shows."""

import jax.numpy as jnp
import numpy as np

from gen import optimizers
from tests.parity.comparisons import against
from tests.parity.references import normal, torch

STEPS, RATE = 30, 0.05

CASES = {
    "Adam": ({"name": "adam"}, "Adam", {}),
    "Adam, b1 = 0.5, b2 = 0.9, eps = 1e-4": (
        {"name": "adam", "b1": 0.5, "b2": 0.9, "eps": 1e-4}, "Adam", {"betas": (0.5, 0.9), "eps": 1e-4}),
    "Adamax": ({"name": "adamax", "eps": 1e-6}, "Adamax", {"eps": 1e-6}),
    "AdamW, weight decay 0.1": ({"name": "adamw", "weight_decay": 0.1}, "AdamW", {"weight_decay": 0.1}),
    "RMSprop, decay 0.9": ({"name": "rmsprop", "decay": 0.9}, "RMSprop", {"alpha": 0.9}),
    "SGD": ({"name": "sgd"}, "SGD", {}),
    "SGD, momentum 0.9": ({"name": "sgd", "momentum": 0.9}, "SGD", {"momentum": 0.9}),
    "SGD, gradients clipped to the norm 0.5": ({"name": "sgd", "clip_norm": 0.5}, "SGD", {}),
    "SGD, gradients clipped to the value 0.1": ({"name": "sgd", "clip_value": 0.1}, "SGD", {}),
}
"""Name to (our options, the class of torch.optim, its options)."""


def steps(name):
    """The parameters after each step."""
    options, kind, theirs = CASES[name]
    params = jnp.asarray(normal(0, 9))
    other = torch.nn.Parameter(torch.tensor(np.float64(params)))
    optimizer = getattr(torch.optim, kind)([other], lr=RATE, **theirs)
    config = {"optimizer": {**options, "learning_rate": RATE}}
    state = optimizers.init(config, "optimizer", params)
    for step in range(STEPS):
        gradient = normal(step, 9) * np.float32(10.0) ** -np.arange(9)
        params, state, _ = optimizers.move(config, "optimizer", {}, jnp.asarray(gradient), state, params)
        other.grad = torch.tensor(np.float64(gradient))
        if "clip_norm" in options:
            torch.nn.utils.clip_grad_norm_([other], options["clip_norm"])
        if "clip_value" in options:
            torch.nn.utils.clip_grad_value_([other], options["clip_value"])
        optimizer.step()
        yield params, other.detach().numpy().copy()


for _name in CASES:
    against("torch", f"{_name}: parameters after each of {STEPS} steps", 1e-5)(lambda name=_name: steps(name))
