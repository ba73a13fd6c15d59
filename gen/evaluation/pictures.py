"""Pictures of what a model of images has learned: those that its family's methods allow.

`reconstruct` allows reconstructions; `code` and `decode` allow traversals, interpolations, posterior means, and with
two latents the manifold; a hierarchy has those of `gen.evaluation.layers` too, a generator with styles `mixing`.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from gen.data import to_uint8
from gen.evaluation import layers, mixing
from gen.evaluation.latents import activity, applied
from gen.evaluation.likelihood import test_examples
from gen.evaluation.types import Subject
from gen.families.types import Batch
from gen.figures.grids import image_grid, save_png
from gen.figures.latents import (
    interpolation_latents,
    manifold_latents,
    manifold_picture,
    posterior_picture,
    reconstruction_picture,
    traversal_latents,
    write_manifold,
)
from gen.files import place_within
from gen.rng import stream

ENCODED, RECONSTRUCTED = 2_000, 32
"""Test examples of the posterior means, and of the reconstructions."""

TRAVERSED, VALUES = 10, np.linspace(-3, 3, 9)
"""Latents of a traversal at most, and the values that they take."""

PATHS, STEPS = 8, 10
"""Interpolations between posterior means, and the images along each."""

CODES = 20_000_000
"""Numbers that the posterior means are at most, where that leaves enough to show."""

SIDE = 20
"""Of the manifold, in images."""


class Pictures(NamedTuple):
    """Attributes:
    pictures: by name, uint8 [h w c].
    tiles: images of the manifold's latents, None where there is no manifold.
    """

    pictures: dict[str, UInt8[np.ndarray, "h w c"]]
    tiles: UInt8[np.ndarray, "n h w c"] | None


def draw(subject: Subject) -> Pictures:
    """Draws whatever the model allows; nothing for points."""
    drawn, tiles = {}, None
    if len(subject.dataset.spec.shape) == 3:
        n = min(ENCODED, len(subject.dataset.test["x"]))
        batch = test_examples(subject, n, stream(subject.state.key, "latent pictures"))
        if "reconstruct" in subject.methods:
            drawn["reconstructions"] = _reconstructions(subject, {k: v[:RECONSTRUCTED] for k, v in batch.items()})
        if {"code", "decode"} <= subject.methods.keys():
            latent, tiles = _latent_pictures(subject, batch)
            drawn |= latent | layers.draw(subject, batch)
        drawn |= mixing.draw(subject)
    return Pictures(drawn, tiles)


def write(subject: Subject, workdir: Path) -> dict[str, UInt8[np.ndarray, "h w c"]]:
    """Writes pictures/<name>.png, and the manifold as `write_manifold` does; returns the pictures by name."""
    drawn = draw(subject)
    for name, picture in drawn.pictures.items():
        if name != "manifold":
            save_png(picture, place_within(workdir / "pictures" / f"{name}.png", workdir))
    if drawn.tiles is not None:
        write_manifold(workdir, drawn.tiles, manifold_latents(SIDE))
    return drawn.pictures


def by_activity(codes: Float[Array, "n d"]) -> Int[np.ndarray, "d"]:
    """The latents from the most active one to the least (`gen.evaluation.latents.activity`)."""
    return np.argsort(-np.asarray(activity(codes)), stable=True)


def _few(subject: Subject, batch: Batch) -> Batch:
    """As many of the examples as have `CODES` latents together, and at least those that are shown: memory."""
    first = batch["x"][:1], *_labels(subject, batch, np.arange(1))
    latents = jax.eval_shape(subject.method("code"), subject.state, *first)
    n = max(2 * PATHS, CODES // latents.shape[1])
    return {name: values[:n] for name, values in batch.items()}


def _labels(subject: Subject, batch: Batch, examples: Int[np.ndarray, "n"]) -> tuple[Array, ...]:
    """The labels of these examples for a conditional model; () for any other."""
    return (batch["label"][examples],) if subject.config.get("conditional") else ()


def _pixels(subject: Subject, images: Float[Array, "n h w c"]) -> UInt8[np.ndarray, "n h w c"]:
    return np.asarray(to_uint8(images, subject.dataset.spec.range))


def _reconstructions(subject: Subject, batch: Batch) -> UInt8[np.ndarray, "h w c"]:
    labels = (batch["label"],) if subject.config.get("conditional") else ()
    again = jax.jit(subject.method("reconstruct"))(subject.state, batch["x"], *labels)
    return reconstruction_picture(_pixels(subject, batch["x"]), _pixels(subject, again))


def _latent_pictures(subject: Subject, batch: Batch):
    """(pictures by name, tiles): all latents are decoded in one call.

    A conditional model decodes each path with the label of the example where it begins, all else with the first one's.
    """
    means = applied(subject, "code", _few(subject, batch))
    order = by_activity(means)
    shown, paths = order[:TRAVERSED], min(PATHS, len(means) // 2)
    z = {"traversals": traversal_latents(means[0], shown, VALUES),
         "interpolation": interpolation_latents(means[:paths], means[paths:2 * paths], STEPS)}
    if means.shape[1] == 2:
        z["manifold"] = jnp.asarray(manifold_latents(SIDE))
    together, labelled = jnp.concatenate(list(z.values())), {name: np.zeros(len(v), int) for name, v in z.items()}
    labelled["interpolation"] = np.repeat(np.arange(paths), STEPS)
    labels = _labels(subject, batch, np.concatenate(list(labelled.values())))
    images = jax.jit(subject.method("decode"))(subject.state, together, *labels)
    ends = np.cumsum([len(v) for v in z.values()])[:-1]
    tiles = dict(zip(z, np.split(_pixels(subject, images), ends), strict=True))
    drawn = {"traversals": image_grid(tiles["traversals"], rows=len(shown)),
             "interpolation": image_grid(tiles["interpolation"], rows=paths)}
    if "manifold" in tiles:
        drawn["manifold"] = manifold_picture(tiles["manifold"])
    if "label" in batch and len(order) > 1:
        drawn["posterior"] = posterior_picture(np.asarray(means)[:, order[:2]], np.asarray(batch["label"]))
    return drawn, tiles.get("manifold")
