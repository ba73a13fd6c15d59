"""Small convolutional classifiers of the data set: their labels count modes, their features carry distances.

`lenet`, in the manner of LeNet (LeCun et al. 1998): two convolutions that halve the sides, a hidden layer, a linear
layer. `convnet`, for photographs: three times a 3x3 and a 4x4 that halves. One is trained once per data set, and kept
(`gen.evaluation.classifiers`).
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt8

from gen.data import Dataset
from gen.data.batches import gather, indices_at
from gen.errors import UserError, lookup
from gen.networks.layers import BatchNorm, Conv, Dense
from gen.precision import exact
from gen.rng import stream

CHUNK = 500
"""Images that are classified at a time."""

SCALE_IMAGES = 10_000
"""Training images over which the scale of the features is taken."""


class Classifier(NamedTuple):
    """A trained classifier.

    Attributes:
      variables: parameters and batch statistics of the network.
      scale: root mean square of its features of training images, by which they are divided: distances between features
        then have the same scale whatever the data set and the seed.
      shape: of one image, (h, w, c).
      classes: number of labels.
      class_names: in their order; () where they have none.
      network: a key of `NETWORKS`.
    """

    variables: PyTree
    scale: float
    shape: tuple[int, ...]
    classes: int
    class_names: tuple[str, ...] = ()
    network: str = "lenet"


class LeNet(nn.Module):
    """Images in [0, 1] to (features [n 128], logits [n classes])."""

    classes: int
    width: int = 32
    features: int = 128

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> tuple[Float[Array, "n f"], Float[Array, "n k"]]:
        for width in (self.width, 2 * self.width):
            x = Conv(width, (4, 4), strides=2, use_bias=False)(x)
            x = nn.relu(BatchNorm(use_running_average=not train, momentum=0.98)(x))
        h = nn.relu(Dense(self.features)(x.reshape(len(x), -1)))
        return h, Dense(self.classes)(h)


class ConvNet(nn.Module):
    """The same, of three times the convolutions and maps that grow from `width` to four times that."""

    classes: int
    width: int = 32
    features: int = 128

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> tuple[Float[Array, "n f"], Float[Array, "n k"]]:
        for width in (self.width, 2 * self.width, 4 * self.width):
            for size, stride in ((3, 1), (4, 2)):
                x = Conv(width, (size, size), strides=stride, use_bias=False)(x)
                x = nn.relu(BatchNorm(use_running_average=not train, momentum=0.98)(x))
        h = nn.relu(Dense(self.features)(x.reshape(len(x), -1)))
        return h, Dense(self.classes)(h)


NETWORKS = {"lenet": LeNet, "convnet": ConvNet}
"""By the name that metrics of their features have."""

MIRRORED = frozenset({"convnet"})
"""Networks that are trained on mirrored images too, which digits are not."""


def mirrored(x: UInt8[Array, "b h w c"], key: PRNGKeyArray) -> UInt8[Array, "b h w c"]:
    """Half of the images, left and right exchanged."""
    return jnp.where(jax.random.bernoulli(key, shape=(len(x), 1, 1, 1)), x[:, :, ::-1], x)


def shifted(x: UInt8[Array, "b h w c"], key: PRNGKeyArray, most: int = 2) -> UInt8[Array, "b h w c"]:
    """Moves each image by up to `most` pixels along both axes; black comes in."""
    padded = jnp.pad(x, ((0, 0), (most, most), (most, most), (0, 0)))
    corner = jax.random.randint(key, (len(x), 2), 0, 2 * most + 1)
    return jax.vmap(lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), x.shape[1:]))(padded, corner)


@exact
def check(dataset: Dataset, seed: int) -> None:
    """Raises a UserError where `train` would: no images with labels, one label alone, a seed that is none."""
    if len(dataset.train["x"].shape) != 4 or dataset.spec.classes < 2:
        raise UserError("A classifier needs images with labels of two classes at least; those of a folder are the "
                        "names of the subfolders in which its images lie.")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed={seed}: a seed is at least 0 and below 2**32.")


def train(dataset: Dataset, steps: int = 4_000, batch_size: int = 128, learning_rate: float = 3e-3, seed: int = 0,
          report_every: int = 500, report=lambda step, loss: None, network: str = "lenet") -> Classifier:
    """Trains on the images of `dataset.train`: cross-entropy, Adam on half a cosine, random shifts by 2 pixels.

    Args:
      network: a key of `NETWORKS`.
      report: called with (steps so far, mean loss in nats since the last call) every `report_every` steps.

    Raises:
      UserError: as `check`.
    """
    check(dataset, seed)
    net = lookup(NETWORKS, network, "network of a classifier")(dataset.spec.classes)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    key = jax.random.key(seed)
    data = jax.device_put(jax.tree.map(np.asarray, dataset.train))

    def loss(params: PyTree, statistics: PyTree, x, label):
        (_, logits), new = net.apply({"params": params, **statistics}, x, train=True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), dict(new)

    def step(i, carry, data):
        params, statistics, opt_state, total = carry
        batch = gather(data, indices_at(key, i, batch_size, len(data["x"])))
        x = shifted(batch["x"], stream(key, "shifts", i))
        x = (mirrored(x, stream(key, "flips", i)) if network in MIRRORED else x).astype(jnp.float32) / 255
        (value, statistics), grads = jax.value_and_grad(loss, has_aux=True)(params, statistics, x, batch["label"])
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), statistics, opt_state, total + value

    @jax.jit
    def stretch(carry, data, first, last):
        return jax.lax.fori_loop(first, last, lambda i, carry: step(i, carry, data), carry)

    variables = dict(net.init(stream(key, "init"), jnp.zeros((2, *dataset.spec.shape)), train=True))
    params = variables.pop("params")
    carry = params, variables, optimizer.init(params)
    for first in range(0, steps, report_every):
        last = min(first + report_every, steps)
        *carry, total = stretch((*carry, jnp.zeros(())), data, first, last)
        report(last, float(total) / (last - first))
    variables = jax.device_get({"params": carry[0], **carry[1]})
    trained = Classifier(variables, 1.0, tuple(dataset.spec.shape), dataset.spec.classes,
                         dataset.spec.class_names, network)
    features, _ = outputs(trained, np.float32(dataset.train["x"][:SCALE_IMAGES]) / 255)
    return trained._replace(scale=float(np.sqrt(np.square(features).mean())))


@functools.partial(jax.jit, static_argnums=(0, 1))
@exact
def _apply(network: str, classes: int, variables: PyTree, x: Float[Array, "n h w c"]):
    width = variables["params"]["Conv_0"]["kernel"].shape[-1]
    return NETWORKS[network](classes, width).apply(variables, x, train=False)


def outputs(classifier: Classifier, x: Float[np.ndarray, "n h w c"]) -> tuple[
        Float[np.ndarray, "n f"], Float[np.ndarray, "n k"]]:
    """Features of the last hidden layer, over their scale, and logits of images in [0, 1], a chunk at a time."""
    parts = []
    for first in range(0, len(x), CHUNK):
        chunk = x[first : first + CHUNK]
        filled = np.zeros((CHUNK, *classifier.shape), np.float32)
        filled[: len(chunk)] = chunk
        results = _apply(classifier.network, classifier.classes, classifier.variables, filled)
        parts.append([np.asarray(result)[: len(chunk)] for result in results])
    features, logits = zip(*parts, strict=True)
    return np.concatenate(features) / np.float32(classifier.scale), np.concatenate(logits)


def accuracy(classifier: Classifier, x: UInt8[np.ndarray, "n h w c"], label: Int[np.ndarray, "n"]) -> float:
    """Share of images whose largest logit is that of their label."""
    _, logits = outputs(classifier, np.float32(x) / 255)
    return float((logits.argmax(1) == label).mean())
