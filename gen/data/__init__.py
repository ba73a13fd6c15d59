"""Data sets by name, and how their examples become what a model sees.

`config.data` is one part: `name`, a key of `SOURCES`; the keys of `COMMON`, which every data set takes; the options of
the source's own function. Nothing about the examples is implied: range and binarisation are words in the config.
`flip` mirrors training images at random, `crop_padding` moves them by up to so many pixels (`gen.data.moves`).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8
from ml_collections import ConfigDict

from gen.config import field_of
from gen.config.ranges import Natural, Seed
from gen.data import embedded, folder, hub_datasets, images, mixtures, moves, packed, polygons, shapes, stacked
from gen.data.batches import indices_block
from gen.data.streaming import Column, held_out, streamed
from gen.errors import UserError, lookup, nearest


class Spec(NamedTuple):
    """What models and figures must know of a data set: plain data.

    Attributes:
      shape: of one example, (h, w, c) for images and (d,) for points.
      classes: number of labels, 0 where there are none.
      range: units of decoded examples, "unit" [0, 1], "symmetric" [-1, 1] or "real" (points).
      label_frequencies: share of each label among the training examples (of a streamed set, the test examples); ()
        where all are equal.
      class_names: in the order of the labels; () where they have no names.
    """

    shape: tuple[int, ...]
    classes: int
    range: str
    label_frequencies: tuple[float, ...] = ()
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in host memory, in the official order; equal to itself alone, so that what is computed can be cached.

    Attributes:
      spec: its `Spec`.
      train, test: "x", uint8 [n h w c] images or float32 [n d] points; "label", int32 [n]; "factors", int32 [n k],
        the values of known factors of variation, where there are any. Training examples that are streamed are
        `streaming.Column`s, which read the rows that they are indexed with.
      validation: the same of the examples that `data.validation` takes off the training examples; {} where it is 0.
    """

    spec: Spec
    train: dict[str, np.ndarray] | dict[str, Column]
    test: dict[str, np.ndarray]
    validation: dict[str, np.ndarray] = field(default_factory=dict)


SOURCES = {
    "digits": embedded.digits,
    "mnist_small": embedded.mnist_small,
    "ring": mixtures.ring,
    "grid": mixtures.grid,
    "line": mixtures.line,
    "mnist": images.mnist,
    "fashion_mnist": images.fashion_mnist,
    "cifar10": images.cifar10,
    "cifar100": images.cifar100,
    "svhn": images.svhn,
    "stl10": images.stl10,
    "binarized_mnist": images.binarized_mnist,
    "omniglot": images.omniglot,
    "stacked_mnist": stacked.stacked_mnist,
    "stacked_mnist_fixed": stacked.stacked_mnist_fixed,
    "polygons": polygons.polygons,
    "shapes": shapes.shapes,
    "folder": folder.folder,
    "packed": packed.packed,
    "hugging_face": hub_datasets.hugging_face,
}
"""Name to function(**options) -> (train, test, classes)."""

USERS = ("folder", "packed", "hugging_face")
"""Sources of the user's own images, at `data.path`."""

COMMON = {"range": "unit", "binarize": "none", "binarize_seed": field_of(Seed, 0), "flip": False,
          "crop_padding": field_of(Natural, 0), "validation": field_of(Natural, 0)}
"""Keys of `config.data` beside the name and the source's own options, with their defaults."""

RANGES = {"unit": 0.0, "symmetric": -1.0}
"""Range of decoded images to its least value; the greatest is 1."""


def load(config: Mapping | ConfigDict) -> Dataset:
    """Returns the data set that `config` (the section `data`) describes.

    Static binarisation happens here: each pixel becomes 255 with probability pixel / 255, else 0, drawn once with
    `binarize_seed` for training and test images alike (Salakhutdinov & Murray, 2008).

    Raises:
      UserError: for an unknown name, option, range or binarisation, an empty path, points to binarise, or a set not
        prepared.
    """
    _check(config)
    if config.get("path") == "":
        raise UserError(f"config.data.path is empty: say where the examples of {config['name']!r} are, "
                        "--config.data.path=PATH.")
    train, test, classes = lookup(SOURCES, config["name"], "data set")(**_options(config))
    if config.get("binarize", COMMON["binarize"]) == "static":
        if streamed(train):
            raise UserError("config.data.binarize='static' draws the pixels of all images at once, and streamed ones "
                            "are never together: use 'dynamic', or --config.data.loading=resident.")
        seed = config.get("binarize_seed", COMMON["binarize_seed"].default)
        train, test = (_binarized(part, np.random.default_rng([seed, i])) for i, part in enumerate((train, test)))
    for key, part in (("train_examples", train), ("test_examples", test)):
        if config.get(key, 0) > len(part["x"]):
            raise UserError(f"config.data.{key}={config[key]}: there are {len(part['x'])} in all.")
    train, validation = _held_out(config, train)
    scale = "real" if config["name"] in mixtures.MIXTURES else config.get("range", COMMON["range"])
    names = classes if isinstance(classes, tuple) else ()
    n = len(names) if isinstance(classes, tuple) else classes
    if config["name"] == stacked.ON_THE_FLY:
        shares = stacked.triple_frequencies(label_frequencies(train, stacked.DIGITS))
    else:
        shares = label_frequencies(test if streamed(train) else train, n)
    return Dataset(Spec(test["x"].shape[1:], n, scale, shares, names), train, test, validation)


def _held_out(config: Mapping | ConfigDict, train: Mapping) -> tuple[Mapping, dict[str, np.ndarray]]:
    """The training examples without those of the validation split, and these."""
    n = config.get("validation", 0)
    if not 0 <= n < len(train["x"]):
        raise UserError(f"config.data.validation={n}: of {len(train['x'])} training examples, at least one trains.")
    if n and config["name"] == stacked.ON_THE_FLY:
        raise UserError(f"config.data.validation={n}: the training examples of {stacked.ON_THE_FLY} are drawn anew in "
                        "every step, so that none can be held out; use stacked_mnist_fixed.")
    return held_out(train, n) if n else (train, {})


def label_frequencies(part: Mapping[str, np.ndarray], classes: int) -> tuple[float, ...]:
    """The share of each label among the examples; () where there are no labels, or all shares are equal."""
    label = part.get("label")
    if not classes or not isinstance(label, np.ndarray) or label.ndim != 1 or not len(label):
        return ()
    counts = np.bincount(label, minlength=classes)
    return () if (counts == counts[0]).all() else tuple((counts / counts.sum()).tolist())


def decoder(config: Mapping | ConfigDict, training: bool = False
            ) -> Callable[[dict[str, Array], PRNGKeyArray], dict[str, Array]]:
    """Returns the function (raw batch, key) -> batch that turns stored examples into what a model sees.

    Images: x / 255 for "unit", 2 x / 255 - 1 for "symmetric". With `dynamic` binarisation each call draws new values,
    0 or 1 ("unit"), -1 or 1 ("symmetric"), as `dynamically_binarized` says; in `training` it draws what moves them too
    (`moves`). Points and labels pass unchanged. Digits of "stacked_mnist" are stacked first. Raises UserError as `load`
    does.
    """
    _check(config)
    low = RANGES[config.get("range", COMMON["range"])]
    dynamic = config.get("binarize", COMMON["binarize"]) == "dynamic"

    def decode(raw: dict[str, Array], key: PRNGKeyArray) -> dict[str, Array]:
        if config["name"] == stacked.ON_THE_FLY:
            raw = stacked.stack(raw)
        x = raw["x"]
        if x.dtype != jnp.uint8:
            return raw
        if training:
            x = moves.moved(x, key, config.get("flip", False), config.get("crop_padding", 0))
        pixel, top = (dynamically_binarized(x, key), 1) if dynamic else (x, 255)
        return {**raw, "x": (pixel.astype(jnp.float32) * (1 - low) + low * top) / top}

    return decode


def indexer(config: Mapping | ConfigDict) -> Callable[..., Int[Array, "steps b"]]:
    """Returns (key, first step, steps, batch size, n) -> the stored examples, of n, that each step's batch is made of.

    They are the stateless shuffle of `batches.indices_block`; digits to be stacked on the fly are drawn independently,
    three to an example.
    """
    return stacked.draws if config["name"] == stacked.ON_THE_FLY else indices_block


def dynamically_binarized(x: UInt8[Array, "..."], key: PRNGKeyArray) -> UInt8[Array, "..."]:
    """Draws 1 with probability close to x / 255, else 0, from 8 random bits r a pixel.

    1 where r < x for x < 128, r <= x for x >= 128: p = x / 256 below and (x + 1) / 256 above, so that 0 is never
    drawn as 1, 255 always is, and |p - x / 255| <= 127 / 65280 < 0.002.
    """
    words = jax.random.bits(key, (-(-x.size // 4),), jnp.uint32)
    noise = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)[: x.size].reshape(x.shape)
    return jnp.where(x >= 128, noise <= x, noise < x).astype(jnp.uint8)


def to_uint8(x: Float[Array, "..."], range: str) -> UInt8[Array, "..."]:
    """Returns images in data units as pixels 0..255, rounded and clipped: the inverse of decoding.

    Raises UserError for a range that is not one of images.
    """
    low = lookup(RANGES, range, "range of images")
    return jnp.clip(jnp.round((x - low) * (255 / (1 - low))), 0, 255).astype(jnp.uint8)


def host_bytes(x: Float[np.ndarray, "..."], range: str) -> UInt8[np.ndarray, "..."]:
    """`to_uint8` of an array in host memory."""
    return np.asarray(to_uint8(jnp.asarray(x), range))


def _binarized(part: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """P(r < x) = x / 255 exactly for r uniform on 0..254. Drawn in order: fewer examples get the same pixels."""
    noise = rng.integers(0, 255, size=part["x"].shape, dtype=np.uint8)
    return {**part, "x": np.where(noise < part["x"], np.uint8(255), np.uint8(0))}


def _check(config: Mapping | ConfigDict) -> None:
    """Raises UserError where a word of the config is unknown or does not fit the data set."""
    name, binarize = config["name"], config.get("binarize", COMMON["binarize"])
    lookup(SOURCES, name, "data set")
    lookup(RANGES, config.get("range", COMMON["range"]), "config.data.range")
    lookup(dict.fromkeys(("none", "dynamic", "static")), binarize, "config.data.binarize")
    if name in mixtures.MIXTURES and binarize != "none":
        raise UserError(f"config.data.binarize={binarize!r} needs images; {name!r} has points: use 'none'.")
    for key in ("flip", "crop_padding") if name in mixtures.MIXTURES else ():
        if config.get(key, 0):
            raise UserError(f"config.data.{key}={config[key]} moves images; {name!r} has points: leave it out.")
    for key in ("train_examples", "test_examples", "seed", "binarize_seed"):
        if config.get(key, 0) < 0:
            raise UserError(f"config.data.{key}={config[key]}: a number of examples, or a seed, is not negative.")


def _options(config: Mapping | ConfigDict) -> dict:
    """Returns the keys of `config` that are the source's own, all of them known to it."""
    known = set(inspect.signature(SOURCES[config["name"]]).parameters)
    for key in config:
        if key not in known | {"name", *COMMON}:
            raise UserError(f"Data set {config['name']!r} has no option {key!r}.{nearest(key, known | set(COMMON))}")
    return {key: config[key] for key in config if key in known}
