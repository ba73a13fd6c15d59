"""The decoder's file of weights: its size, and its pictures against the library's network on the same weights."""

import base64
import json

import jax.numpy as jnp
import numpy as np

from gen.networks import DECODERS
from tests.environment import ROOT

PATH = ROOT / "docs/static/demos/decoder_weights.js"
LATENTS = np.random.default_rng(0).normal(size=(12, 2))


def file() -> dict:
    return json.loads(PATH.read_text().split("export const weights = ")[1].rstrip("\n;"))


def test_the_file_is_below_500_kilobytes():
    assert PATH.stat().st_size < 500_000
    assert sum(layer["inputs"] * layer["outputs"] for layer in file()["layers"]) > 100_000


def test_the_page_decodes_as_the_librarys_network_does(call):
    layers = []
    for layer in file()["layers"]:
        integers = np.frombuffer(base64.b64decode(layer["weights"]), np.int8).reshape(layer["inputs"], layer["outputs"])
        layers.append({"kernel": jnp.asarray(integers * np.array(layer["scale"])), "bias": jnp.asarray(layer["bias"])})
    hidden = tuple(len(layer["bias"]) for layer in layers[:-1])
    network = DECODERS["mlp"](shape=(28, 28, 1), hidden=hidden, activation="tanh")
    params = {"MLP_0": {f"Dense_{i}": layer for i, layer in enumerate(layers[:-1])}, "output": layers[-1]}
    logits = network.apply({"params": params}, jnp.asarray(LATENTS), train=False)
    exact = np.reshape(1 / (1 + np.exp(-np.float64(logits))), (len(LATENTS), -1))
    body = "const layers = m.unpacked(a[0]); return a[1].map((z) => m.decode(layers, z))"
    found = call("decoder", body, file(), LATENTS.tolist())
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert exact.max() > 0.9


def test_digits_of_a_kind_lie_together():
    """Of the posterior means in the file, most have one of the same digit nearest to them."""
    points = np.array(file()["points"])
    distance = np.linalg.norm(points[:, None, :2] - points[None, :, :2], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert len(points) == 1_000 and set(points[:, 2]) == set(range(10))
    assert (points[distance.argmin(1), 2] == points[:, 2]).mean() > 0.5
