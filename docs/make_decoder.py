"""Trains the VAE of the demo `decoder` and writes its weights: MNIST, two latents, a decoder in 8 bits.

    python scripts/prepare_data.py --dataset=mnist
    python docs/make_decoder.py [--workdir=runs/demos/decoder] [--out=docs/static/demos/decoder_weights.js]

The run is `experiments/vae/kingma_welling.py` with `OVERRIDES`: its seed and steps are in there.
"""

import base64
import json
from pathlib import Path

import numpy as np
from absl import flags
from jaxtyping import Float, Int8

import gen
from gen import launch
from gen.data import load
from gen.files import write_atomically
from gen.runs import Run

WORKDIR = flags.DEFINE_string("workdir", "runs/demos/decoder", "Folder of the run.")
OUT = flags.DEFINE_string("out", "docs/static/demos/decoder_weights.js", "File of the weights.")

OVERRIDES = {
    "seed": 0, "latents": 2, "encoder.hidden": (256, 128), "decoder.hidden": (128, 256), "train.steps": 40_000,
    "train.evaluate_every": 5_000, "train.checkpoint_every": 5_000, "train.sample_every": 0, "train.best": "",
    "schedules.learning_rate.name": "cosine", "schedules.learning_rate.steps": 40_000,
    "schedules.learning_rate.final": 0.0,
}
POINTS = 1_000
"""Test digits whose posterior means are shown."""

CHECKED = tuple((float(a), float(b)) for a in (-2, 0, 2) for b in (-2, 0, 2))
"""Latents whose pictures the page compares with those of this library."""


def quantized(weights: Float[np.ndarray, "i o"]) -> tuple[Int8[np.ndarray, "i o"], Float[np.ndarray, "o"]]:
    """Integers in [-127, 127] and the scale of each output, whose products are nearest to the weights."""
    scale = np.maximum(np.abs(weights).max(0), 1e-12) / 127
    return np.round(weights / scale).astype(np.int8), scale


def layer(params: dict) -> dict:
    """A dense layer as the page reads it."""
    kernel, bias = np.asarray(params["kernel"]), np.asarray(params["bias"])
    weights, scale = quantized(kernel)
    return {"inputs": kernel.shape[0], "outputs": kernel.shape[1], "scale": rounded(scale), "bias": rounded(bias),
            "weights": text(weights)}


def rounded(values: Float[np.ndarray, "..."]) -> list:
    """To 6 significant digits, which float32 has."""
    return [float(f"{value:.6g}") for value in values.tolist()]


def text(values: np.ndarray) -> str:
    """Bytes in base64."""
    return base64.b64encode(values.tobytes()).decode()


def contents(run: Run) -> dict:
    """What the page has of a run: the decoder's layers, posterior means of test digits, pictures to compare with."""
    params = run.state.params["decoder"]["network"]
    hidden = next(value for value in params.values() if "Dense_0" in value)
    test = load(run.config.data).test
    shown = {name: np.asarray(values[:POINTS]) for name, values in test.items()}
    means = np.asarray(run.encode(shown["x"]).loc)
    pictures = run.decode(np.array(CHECKED, np.float32))
    return {
        "layers": [layer(hidden[f"Dense_{i}"]) for i in range(len(hidden))] + [layer(params["output"])],
        "points": [[*np.round(1000 * z).astype(int).tolist(), int(label)]
                   for z, label in zip(means, shown["label"], strict=True)],
        "checked": CHECKED,
        "pictures": text(np.round(255 * pictures).astype(np.uint8)),
    }


def main() -> int:
    run = gen.train("experiments/vae/kingma_welling.py", WORKDIR.value, OVERRIDES)
    made = json.dumps(contents(run), separators=(",", ":"))
    source = ("/** Made by docs/make_decoder.py: a decoder of MNIST's digits, trained with gen. */\n"
              f"export const weights = {made};\n")
    write_atomically(Path(OUT.value), source.encode())
    print(f"{OUT.value}: {len(source):,} bytes.")
    return 0


if __name__ == "__main__":
    launch.command(main)
