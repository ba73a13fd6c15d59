"""The outputs of a network for a stream of images, on every device of this process, a batch at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float, UInt8

from gen.errors import UserError, lookup
from gen.evaluation.pretrained.networks import Network
from gen.evaluation.pretrained.weights import Weights

BATCH = 64
"""Images at a time, of all devices together, or as many more as make equal parts."""

Image = UInt8[np.ndarray, "h w c"]
ImageBatch = UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_ _ _"]]
"""Of one size, or each of its own."""

Outputs = dict[str, Float[np.ndarray, "n d"]]
Extractor = Callable[[Iterable[ImageBatch]], Iterator[Outputs]]
"""Batches of at most `BATCH` images to their outputs, in order."""


def extractor(network: Network, weights: Weights, resize: str, wanted: Sequence[str]) -> Extractor:
    """Returns the function that computes the outputs `wanted`, keys of the network's `widths`, in float32.

    The next batch is read while one is computed. Images of one size are resized by the devices, others by the host.
    Raises a UserError for an unknown rule.
    """
    rule = lookup(network.rules, resize, "rule of resizing")
    mesh = Mesh(np.array(jax.local_devices()), ("images",))
    batch = -(-BATCH // mesh.size) * mesh.size
    variables = jax.device_put(weights.variables, NamedSharding(mesh, P()))

    @jax.jit
    def outputs(variables, levels):
        with jax.default_matmul_precision("float32"):  # tensor cores would round to ten bits
            found = network.outputs(variables, rule.scaled(levels.astype(jnp.float32)))
        return [found[name] for name in wanted]

    resized = jax.jit(rule.resized) if rule.traced else rule.resized

    def start(images: ImageBatch):
        x = levels(images, resized, rule.resized)
        filled = jnp.pad(x, ((0, batch - len(x)), (0, 0), (0, 0), (0, 0)))
        return outputs(variables, jax.device_put(filled, NamedSharding(mesh, P("images")))), len(x)

    def finish(found, n: int) -> Outputs:
        return {name: np.asarray(values)[:n] for name, values in zip(wanted, found, strict=True)}

    def extract(batches: Iterable[ImageBatch]) -> Iterator[Outputs]:
        before = None
        for images in batches:
            started = start(images)
            if before:
                yield finish(*before)
            before = started
        if before:
            yield finish(*before)

    return extract


def levels(images: ImageBatch, together: Callable, alone: Callable):
    """Levels [n s s 3] of bytes; those of one size `together`, others each `alone`."""
    sizes = {image.shape for image in images}
    if len(sizes) == 1:
        return together(coloured(np.asarray(images)))
    return np.concatenate([np.asarray(alone(coloured(image[None]))) for image in images])


def coloured(x: UInt8[np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Grey images with their channel three times; a UserError for other than one or three channels."""
    if x.shape[-1] not in (1, 3):
        raise UserError(f"Images of {x.shape[-1]} channels: the network takes 3, and grey ones have 1.")
    return np.repeat(x, 3, axis=-1) if x.shape[-1] == 1 else x


def batches(images: Iterable, size: int = BATCH) -> Iterator[list]:
    """Images, or whatever there is, in lists of `size`, the last one shorter."""
    found = []
    for image in images:
        found.append(image)
        if len(found) == size:
            yield found
            found = []
    if found:
        yield found
