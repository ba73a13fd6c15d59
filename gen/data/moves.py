"""Training images moved at random: mirrored, or cut anew from themselves with a black frame.

On the stored bytes, in the compiled step, drawn from the step's key: so they are the same of resident and of streamed
data, and a resumed run sees what an unbroken one does.
"""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, UInt8

from gen.rng import stream

Images = UInt8[jax.Array, "b h w c"]


def moved(x: Images, key: PRNGKeyArray, flip: bool, crop_padding: int) -> Images:
    """The images after what the config asks for; no key is drawn from where it asks for nothing."""
    x = cropped(x, stream(key, "crop"), crop_padding) if crop_padding else x
    return flipped(x, stream(key, "flip")) if flip else x


def flipped(x: Images, key: PRNGKeyArray) -> Images:
    """Each image mirrored, left to right, with probability 1/2, as torchvision's RandomHorizontalFlip."""
    return jnp.where(jax.random.bernoulli(key, shape=(len(x), 1, 1, 1)), x[:, :, ::-1], x)


def cropped(x: Images, key: PRNGKeyArray, padding: int) -> Images:
    """A window of the old size at an even draw of places in each image with `padding` black pixels on every side.

    He et al. 2016, section 4.2, where it is 4 for CIFAR-10; torchvision's RandomCrop(size, padding).
    """
    framed = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    corners = jax.random.randint(key, (len(x), 2), 0, 2 * padding + 1)
    return jax.vmap(lambda image, corner: jax.lax.dynamic_slice(image, (*corner, 0), x.shape[1:]))(framed, corners)
