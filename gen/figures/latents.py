"""Pictures of latent spaces from plain arrays: which latents to decode, and how to lay out what they decode to."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from scipy.special import ndtri

from gen.errors import UserError
from gen.figures.grids import image_grid, save_png, upscale, viewable_factor
from gen.figures.points import plot_limits, render, square_axes
from gen.files import write_atomically


def reconstruction_picture(
    inputs: UInt8[np.ndarray, "n h w c"], reconstructions: UInt8[np.ndarray, "n h w c"], columns: int = 8
) -> UInt8[np.ndarray, "H W c"]:
    """Inputs beside their reconstructions: `columns` pairs in a row, input on the left, pairs set apart."""
    n, _, width, channels = inputs.shape
    factor = viewable_factor(*inputs.shape[1:3])
    inputs, reconstructions = upscale(inputs, factor), upscale(reconstructions, factor)
    gap = np.full((n, inputs.shape[1], 1, channels), 255, np.uint8)
    pairs = np.concatenate([inputs, gap, reconstructions], axis=2)
    return image_grid(pairs, rows=-(-n // min(n, columns)), padding=6, scale=1)


def manifold_latents(n: int) -> Float[np.ndarray, "n_squared 2"]:
    """n x n latents of equal probability mass under N(0, I): z = (Phi^-1(u), Phi^-1(v)), u and v at (i + 1/2) / n.

    Phi is the standard normal distribution function (Kingma & Welling, Auto-Encoding Variational Bayes, 2014,
    appendix A). Row by row from the top: z_1 grows to the right, z_2 upwards, as on the axes of a plot.
    """
    line = ndtri((np.arange(n) + 0.5) / n)
    z1, z2 = np.meshgrid(line, line[::-1])
    return np.stack([z1, z2], axis=-1).reshape(-1, 2).astype(np.float32)


def manifold_picture(images: UInt8[np.ndarray, "n_squared h w c"]) -> UInt8[np.ndarray, "H W c"]:
    """The decoded means of `manifold_latents`, without padding, so that the manifold looks continuous."""
    side = _side(len(images))
    return image_grid(images, rows=side, padding=0, scale=1)


def write_manifold(
    run_dir: str | os.PathLike, images: UInt8[np.ndarray, "k h w c"], z: Float[np.ndarray, "n 2"]
) -> Path:
    """Writes manifold.png and manifold.json {"rows", "columns", "tile": [h, w], "z": [[z_1, z_2], ...]} for the report.

    Raises:
      UserError: the number of images is no square, or is not that of the latents.
    """
    side = _side(len(images))
    if len(z) != len(images):
        raise UserError(f"The manifold has {len(images)} images but {len(z)} latents; decode one image per latent.")
    layout = {"rows": side, "columns": side, "tile": images.shape[1:3], "z": np.round(z, 4).tolist()}
    write_atomically(Path(run_dir) / "manifold.json", json.dumps(layout))
    return save_png(manifold_picture(images), Path(run_dir) / "manifold.png")


def _side(n: int) -> int:
    side = int(round(n**0.5))
    if n == 0 or side * side != n:
        raise UserError(f"A manifold is a square of images, not {n} of them; decode manifold_latents(n).")
    return side


def lerp(a: Float[Array, "*n d"], b: Float[Array, "*n d"], t: Float[Array, "..."] | float) -> Float[Array, "*m d"]:
    """Linear interpolation (1 - t) a + t b; t broadcasts against [*n d]."""
    return (1 - t) * a + t * b


def slerp(a: Float[Array, "*n d"], b: Float[Array, "*n d"], t: Float[Array, "..."] | float) -> Float[Array, "*m d"]:
    """Spherical linear interpolation: sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b, w the angle between a and b.

    Of equal norms r, the path is the great circle on the sphere of radius r at constant speed (Shoemake, Animating
    rotation with quaternion curves, 1985; for latents: White, Sampling Generative Networks, 2016). The angle is
    2 atan2(| |b| a - |a| b |, | |b| a + |a| b |), exact also for near vectors. Where sin(w) < 1e-4 (the great circle
    is lost in rounding) or a vector is zero, the interpolation is linear.

    Args:
      a, b: endpoints, exact at t = 0 and t = 1.
      t: broadcasts against [*n d].
    """
    norm_a, norm_b = (jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    across, along = (jnp.linalg.norm(norm_b * a + s * norm_a * b, axis=-1, keepdims=True) for s in (-1, 1))
    angle = 2 * jnp.arctan2(across, along)
    straight = (jnp.sin(angle) < 1e-4) | (norm_a * norm_b == 0)
    sine = jnp.where(straight, 1.0, jnp.sin(angle))
    arc = jnp.sin((1 - t) * angle) / sine * a + jnp.sin(t * angle) / sine * b
    return jnp.where(straight, lerp(a, b, t), arc)


def interpolation_latents(
    a: Float[Array, "n d"], b: Float[Array, "n d"], steps: int, path: Callable[..., Array] = slerp
) -> Float[Array, "n_steps d"]:
    """n paths from a to b at `steps` equal values of t including both ends; path i is rows i*steps to (i+1)*steps.

    `image_grid(decoded, rows=n)` shows a path in each row. `path` is `slerp` or `lerp`.
    """
    t = jnp.linspace(0.0, 1.0, steps)[:, None]
    return path(a[:, None], b[:, None], t).reshape(-1, a.shape[-1])


def traversal_latents(
    z: Float[Array, " d"], dimensions: Int[np.ndarray, "k"], values: Float[np.ndarray, "v"]
) -> Float[Array, "k_v d"]:
    """Copies of z with one coordinate replaced: row i*v + j has z[dimensions[i]] = values[j].

    `image_grid(decoded, rows=k)` shows a dimension in each row (Higgins et al., beta-VAE, 2017, figure 1).
    """
    which = np.repeat(dimensions, len(values))
    copies = jnp.tile(z, (len(which), 1))
    return copies.at[np.arange(len(which)), which].set(jnp.tile(jnp.asarray(values, z.dtype), len(dimensions)))


def posterior_picture(
    means: Float[np.ndarray, "n 2"], labels: Int[np.ndarray, "n"], size: int = 520
) -> UInt8[np.ndarray, "h w 3"]:
    """Posterior means of two-dimensional latents, coloured by class, over circles of N(0, I) at radii 1, 2 and 3."""
    figure, axes = square_axes(size, plot_limits(means))
    colours = _class_colours(int(labels.max()) + 1)
    angle = np.linspace(0, 2 * np.pi, 200)
    for radius in (1, 2, 3):
        axes.plot(radius * np.cos(angle), radius * np.sin(angle), color="#9aa3ad", linewidth=0.7, zorder=1)
    for label in np.unique(labels):
        axes.scatter(*means[labels == label].T, s=7, color=colours[label], linewidths=0, alpha=0.75, label=str(label))
    columns = 1 + (len(np.unique(labels)) - 1) // 10
    axes.legend(loc="upper right", fontsize=7, markerscale=1.8, ncols=columns, framealpha=0.85, edgecolor="#dfe3e8")
    return render(figure)


def _class_colours(classes: int) -> list:
    from matplotlib import colormaps

    if classes <= 10:
        return list(colormaps["tab10"].colors)
    return [colormaps["turbo"](i / classes) for i in range(classes)]
