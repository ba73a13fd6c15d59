"""What the explorer shows of a run with continuous latents: pure functions between latents and pictures.

`gen.explore.page` calls them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8
from PIL import ImageDraw

from gen.data import Dataset, load
from gen.errors import UserError
from gen.evaluation.latents import ACTIVE, activity, applied
from gen.evaluation.likelihood import test_examples
from gen.evaluation.pictures import by_activity
from gen.evaluation.types import Subject
from gen.explore import images, plane
from gen.figures.grids import image_grid, to_pillow
from gen.figures.latents import lerp, manifold_picture, slerp, traversal_latents
from gen.figures.points import place
from gen.rng import stream
from gen.runs import Run, conditional

LIMIT = 3.0
"""Of a slider over a N(0, 1) latent: it has 99.7 % of the mass within."""

ENCODED = 1_000
"""Test examples that tell what the latents carry."""

SLIDERS = 64
"""Latents that are shown one by one at most: the first in order."""

SIDE, PLACES = 11, 121
"""Images along a side of the pad; places along a side that are coloured where points are shown."""

VALUES, TRAVERSED, STEPS = 9, 6, 9
"""Images along a traversal, latents that are traversed, images between two that are pinned, both included."""

INVERSES = ("code", "invert")
"""Methods from examples to latents."""

PATHS = {"spherical": slerp, "linear": lerp}
"""Ways between two latents, as functions (a, b, t)."""

Latent = Float[np.ndarray, " d"]


class Space(NamedTuple):
    """The latents of a run, as one moves through them.

    Attributes:
      order: the latents, the most informative first; of a model without an encoder InfoGAN's codes, then the others.
      active: whether Var_x(E_q[z_i|x]) > 0.01 over test examples; all of them without an encoder.
      low, high: where the sliders end.
    """

    order: Int[np.ndarray, " d"]
    active: Bool[np.ndarray, " d"]
    low: Latent
    high: Latent


class Explorer(NamedTuple):
    """A run and what is computed once.

    Attributes:
      run: the run.
      dataset: of a model with an encoder, or of points; else None.
      space: its latents.
      classes: labels to choose from; 0 unless the model is conditional.
      stage: of points.
    """

    run: Run
    dataset: Dataset | None
    space: Space
    classes: int
    stage: plane.Stage | None

    @property
    def encodes(self) -> bool:
        """Whether images can be encoded: by an encoder, or by the way back of a deterministic sampler."""
        return self.stage is None and not self.run.program.family.methods.keys().isdisjoint(INVERSES)


class View(NamedTuple):
    """What is shown of one latent.

    Attributes:
      picture: the decoded image, or the stage of points.
      mark: where the decoded point is on the stage, as shares of its width and height from the top left.
      logit: of the discriminator; None where there is none.
    """

    picture: UInt8[np.ndarray, "h w c"]
    mark: tuple[float, float] | None
    logit: float | None


def explorer(run: Run) -> Explorer:
    """Looks at the latents of a run.

    Raises:
      UserError: the model has no continuous latents, its examples are neither images nor points of the plane, or the
        data set that tells the order of the latents is not there.
    """
    methods, shape = run.program.family.methods, tuple(run.spec.shape)
    if "decode" not in methods:
        raise UserError(f"A {run.config.family} has no continuous latents to move: scripts/sample.py draws samples.")
    if shape != (2,) and not images.are_images(shape):
        raise UserError(f"The explorer shows images and points of the plane, not examples of shape {shape}.")
    points = len(shape) == 1
    dataset = load(run.config.data) if points or not methods.keys().isdisjoint(INVERSES) else None
    return Explorer(run, dataset, _space(run, dataset), _classes(run), plane.stage(run, dataset) if points else None)


def _classes(run: Run) -> int:
    return run.spec.classes if conditional(run.config) else 0


def _space(run: Run, dataset: Dataset | None) -> Space:
    methods = run.program.family.methods
    if "code" in methods:
        subject = Subject(run.sample, dataset, run.config, run.state, methods)
        n = min(ENCODED, len(dataset.test["x"]))
        codes = applied(subject, "code", test_examples(subject, n, stream(run.state.key, "explore")))
        reach = np.maximum(LIMIT, np.ceil(np.abs(codes).max(0)))
        return Space(by_activity(codes), np.asarray(activity(codes) > ACTIVE), -reach, reach)
    d = len(_prior(run, 0))
    high = np.full(d, LIMIT if run.config.get("latent_distribution") != "uniform" else 1.0)
    low, codes = -high, run.config.get("codes", {"categorical": (), "continuous": 0})
    categories = sum(codes["categorical"])
    first = d - categories - codes["continuous"]
    low[first:], high[first:] = -1.0, 1.0
    low[first:first + categories] = 0.0
    return Space(np.roll(np.arange(d), d - first), np.ones(d, bool), low, high)


def draw(explorer: Explorer, seed: int) -> Latent:
    """A sample of p(z)."""
    return _prior(explorer.run, seed)


def _prior(run: Run, seed: int) -> Latent:
    return np.asarray(run.method("latents", jax.random.key(seed), 1))[0]


def truncated(z: Latent, psi: float) -> Latent:
    """psi z, closer to the mean of N(0, I): less variety, more typical examples (Karras et al. 2019, B, there in W)."""
    return np.float32(psi * z)


def view(explorer: Explorer, z: Latent, label: int = 0) -> View:
    """What latent z of this label decodes to, and the discriminator's logit of it (packed with copies of itself)."""
    x = _decode(explorer, z[None], label)
    logit = None
    if "discriminate" in explorer.run.program.family.methods:
        logit = float(explorer.run.method("discriminate", x, *_labels(explorer, label, 1))[0])
    if explorer.stage:
        return View(explorer.stage.picture, place(np.asarray(x[0]), explorer.stage.limits), logit)
    return View(images.pixels(explorer.run, x)[0], None, logit)


def pad(explorer: Explorer, z: Latent, axes: tuple[int, int], label: int = 0) -> UInt8[np.ndarray, "h w c"]:
    """Where a grid over two latents goes, the others as in z: the first grows to the right, the second upwards.

    The images of the grid; of points the colours of their places, those of the stage (`plane.colours`).
    """
    side = PLACES if explorer.stage else SIDE
    shares = (np.arange(side) + 0.5) / side
    right, up = (explorer.space.low[i] + shares * (explorer.space.high[i] - explorer.space.low[i]) for i in axes)
    grid = np.tile(np.float32(z), (side, side, 1))
    grid[..., axes[1]] = up[::-1, None]
    grid[..., axes[0]] = right
    x = _decode(explorer, grid.reshape(-1, len(z)), label)
    if explorer.stage:
        return plane.colours(np.asarray(x), explorer.stage.limits).reshape(side, side, 3)
    return manifold_picture(images.pixels(explorer.run, x))


def marked(view: View) -> UInt8[np.ndarray, "h w c"]:
    """The stage with a ring at the point."""
    image = to_pillow(view.picture)
    height, width = view.picture.shape[:2]
    (x, y), r = np.clip(view.mark, 0, 1) * (width, height), 0.02 * width
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), outline="#d9480f", width=3)
    return np.asarray(image)


def between(a: Latent, b: Latent, t: float, path: str) -> Latent:
    """The latent at share t of the way from a to b, on the way that is called `path` in `PATHS`."""
    return np.asarray(PATHS[path](jnp.float32(a), jnp.float32(b), t))


def way(a: Latent, b: Latent, path: str) -> Float[np.ndarray, "n d"]:
    """Latents at equal steps of the way from a to b, both included."""
    return np.stack([between(a, b, t, path) for t in np.linspace(0, 1, STEPS)])


def row(explorer: Explorer, z: Float[np.ndarray, "n d"], label: int = 0) -> UInt8[np.ndarray, "h w c"]:
    """The images of latents, from left to right."""
    return image_grid(images.pixels(explorer.run, _decode(explorer, z, label)), rows=1)


def places(explorer: Explorer, z: Float[np.ndarray, "n d"], label: int = 0) -> list[tuple[float, float]]:
    """Where the points of latents are on the stage, as `View.mark`."""
    return [place(np.asarray(x), explorer.stage.limits) for x in _decode(explorer, z, label)]


def traversals(explorer: Explorer, z: Latent, label: int = 0) -> UInt8[np.ndarray, "h w c"]:
    """From left to right the images of z with one latent at nine values of its slider: a row for each of the first six.

    Higgins et al., beta-VAE, 2017, figure 1.
    """
    shown = explorer.space.order[:TRAVERSED]
    rows = [traversal_latents(jnp.float32(z), np.array([i]), np.linspace(
        explorer.space.low[i], explorer.space.high[i], VALUES)) for i in shown]
    decoded = _decode(explorer, np.concatenate(rows), label)
    return image_grid(images.pixels(explorer.run, decoded), rows=len(shown))


def encode(explorer: Explorer, image: UInt8[np.ndarray, "h w c"], label: int = 0) -> Latent:
    """The centre of q(z|x), or the latent that decodes to x."""
    name = next(name for name in INVERSES if name in explorer.run.program.family.methods)
    x = images.example(explorer.run, image)
    return np.asarray(explorer.run.method(name, x, *_labels(explorer, label, 1)))[0]


def _labels(explorer: Explorer, label: int, n: int) -> tuple[Int[Array, "n"], ...]:
    return (jnp.full(n, label, jnp.int32),) if explorer.classes else ()


def _decode(explorer: Explorer, z: Float[np.ndarray, "n d"], label: int) -> Float[Array, "n ..."]:
    return explorer.run.method("decode", jnp.float32(z), *_labels(explorer, label, len(z)))
