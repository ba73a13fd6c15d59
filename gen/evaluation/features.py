"""From examples to the vectors in which distances are measured, and the real examples to compare with."""

import functools
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gen import config as configs
from gen.data import RANGES, Dataset, decoder, indexer, stacked
from gen.data.batches import indices_block
from gen.errors import lookup
from gen.evaluation import classifier, classifiers
from gen.rng import stream

BATCH = 500
"""Examples that are decoded at a time."""

Extract = Callable[[np.ndarray], np.ndarray]
"""Examples in data units [n ...] to vectors, float32 [n f]."""


def raw(dataset: Dataset, data: Mapping | ConfigDict, folder: str) -> Extract:
    """The examples themselves, in data units, as vectors."""
    return lambda x: np.float32(x).reshape(len(x), -1)


def lenet(dataset: Dataset, data: Mapping | ConfigDict, folder: str) -> Extract:
    """The last hidden layer of the data set's classifier (128 features; of each channel where it reads channels)."""
    read = reader(dataset, data, folder)
    return lambda x: read(x)[0]


def convnet(dataset: Dataset, data: Mapping | ConfigDict, folder: str) -> Extract:
    """The same of its larger classifier, for photographs."""
    read = reader(dataset, data, folder, "convnet")
    return lambda x: read(x)[0]


FEATURES = {"lenet": lenet, "convnet": convnet, "raw": raw}
"""Name, as in the metrics, to function(dataset, section `data` of the config, folder of classifiers) -> Extract."""


def extractor(features: str, dataset: Dataset, data: Mapping | ConfigDict, folder: str) -> Extract:
    """Returns the features of that name. Raises UserError for an unknown one, or a classifier that is not there."""
    return lookup(FEATURES, features, "kind of features")(dataset, data, folder)


def reader(dataset: Dataset, data: Mapping | ConfigDict, folder: str, network: str = classifiers.PLAIN):
    """Returns the function from images in data units to (features [n f], logits [n c k]) of the data set's classifier.

    A classifier of single-channel images reads the channels of others one by one: c of them, their features joined.
    Raises UserError where the data are points or have no labels, or there is no classifier that fits.
    """
    model, shape = classifiers.load(data, dataset.spec, folder, network), tuple(dataset.spec.shape)
    low, channels = RANGES[dataset.spec.range], shape[2] // model.shape[2]

    def read(x: Float[np.ndarray, "n h w c"]) -> tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "n c k"]]:
        unit = ((np.asarray(x, np.float32) - low) / (1 - low)).reshape(len(x), *shape[:2], channels, model.shape[2])
        features, logits = classifier.outputs(model, np.moveaxis(unit, 3, 1).reshape(-1, *model.shape))
        return features.reshape(len(x), -1), logits.reshape(len(x), channels, -1)

    return read


def real_examples(dataset: Dataset, data: Mapping | ConfigDict, split: str, n: int = 0):
    """Yields real examples in data units, in random order, a batch at a time: n of them, or fewer if there are no more.

    Digits stacked on the fly are drawn anew, without end. The order and the draws are the same at every call.

    Args:
      dataset: where they come from.
      data: the section `data` of the config, which says how they are decoded.
      split: "train" or "test".
      n: how many; 0 for as many as are stored.
    """
    stored, n = _part(dataset, split), count(dataset, data, split, n)
    decode, key = jax.jit(decoder(data)), stream(jax.random.key(0), f"real {split}")
    indices_of = indexer(data) if split == "train" else indices_block
    indices = np.asarray(indices_of(key, 0, 1, n, len(stored["x"]))).reshape(n, -1)
    for first in range(0, n, BATCH):
        batch = {name: values[indices[first : first + BATCH].ravel()] for name, values in stored.items()}
        yield np.asarray(decode(batch, stream(key, "decode", first))["x"])


def count(dataset: Dataset, data: Mapping | ConfigDict, split: str, n: int) -> int:
    """How many examples `real_examples` yields."""
    stored = len(_part(dataset, split)["x"])
    endless = on_the_fly(data) and split == "train"
    return (n or stored) if endless else min(n or stored, stored)


def _part(dataset: Dataset, split: str):
    return lookup({"train": dataset.train, "test": dataset.test}, split, "split")


def on_the_fly(data: Mapping | ConfigDict) -> bool:
    """Says whether the training examples are made anew for every step."""
    return data["name"] == stacked.ON_THE_FLY


def real_features(dataset: Dataset, data: Mapping | ConfigDict, split: str, n: int, features: str,
                  folder: str) -> Float[np.ndarray, "n f"]:
    """Features of `real_examples`, computed once per process for the same arguments."""
    return _real_features(dataset, configs.to_json(data), split, n, features, folder)


@functools.lru_cache(maxsize=8)
def _real_features(dataset: Dataset, data: str, split: str, n: int, features: str, folder: str):
    """A pure function of arrays that never change and of a classifier's file; so its values may be kept."""
    data = configs.from_json(data)
    extract = extractor(features, dataset, data, folder)
    return np.concatenate([extract(x) for x in real_examples(dataset, data, split, n)])
