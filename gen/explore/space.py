"""What the latent explorer shows of a trained run: pure functions from latents to pictures, from uploads to latents.

`gen.explore.page` calls them.
"""

import io
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8
from PIL import Image, ImageOps

from gen.data import Dataset, Spec, decoder, load, to_uint8
from gen.errors import UserError
from gen.evaluation.latents import ACTIVE, activity, applied
from gen.evaluation.likelihood import test_examples
from gen.evaluation.pictures import by_activity
from gen.evaluation.types import Subject
from gen.figures import sample_picture, scene
from gen.figures.grids import image_grid
from gen.figures.latents import manifold_picture, traversal_latents
from gen.figures.points import Limits, place, plot_limits
from gen.rng import stream
from gen.runs import Run, conditional

LIMIT = 3.0
"""Of a slider over a N(0, 1) latent: it has 99.7 % of the mass within."""

ENCODED, POINTS = 1_000, 2_000
"""Test examples that tell what the latents carry; samples on the picture of points."""

SIDE, VALUES, TRAVERSED = 11, 9, 6
"""Images along a side of the pad, along a traversal, and latents that are traversed."""

MAX_BYTES, MAX_PIXELS = 20_000_000, 25_000_000
"""Of an upload."""

INVERSES = ("code", "invert")
"""Methods from examples to latents."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MODES = {1: "L", 3: "RGB"}
"""Channels to Pillow's mode."""

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


class Stage(NamedTuple):
    """What points are shown on: a picture of the data and of samples, and its limits."""

    picture: UInt8[np.ndarray, "h w c"]
    limits: Limits


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
    stage: Stage | None

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
    if shape != (2,) and (len(shape) != 3 or shape[-1] not in MODES):
        raise UserError(f"The explorer shows images and points of the plane, not examples of shape {shape}.")
    points = len(shape) == 1
    dataset = load(run.config.data) if points or not methods.keys().isdisjoint(INVERSES) else None
    return Explorer(run, dataset, _space(run, dataset), _classes(run), _stage(run, dataset) if points else None)


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


def _stage(run: Run, dataset: Dataset) -> Stage:
    data = dataset.test["x"][:POINTS]
    shown = scene(run.config, run.program.family.methods, run.state, data)
    limits = plot_limits(data)
    return Stage(sample_picture(run.sample(POINTS), run.spec, limits=limits, **shown), limits)


def draw(explorer: Explorer, seed: int) -> Latent:
    """A sample of p(z)."""
    return _prior(explorer.run, seed)


def _prior(run: Run, seed: int) -> Latent:
    methods, key = run.program.family.methods, jax.random.key(seed)
    if "latents" not in methods:
        return np.asarray(jax.random.normal(key, (run.config.latents,)))
    return np.asarray(jax.jit(methods["latents"], static_argnums=2)(run.state, key, 1))[0]


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
    return View(_pixels(explorer, x)[0], None, logit)


def pad(explorer: Explorer, z: Latent, axes: tuple[int, int], label: int = 0) -> UInt8[np.ndarray, "h w c"]:
    """The images of a grid over two latents, the others as in z: the first grows to the right, the second upwards."""
    shares = (np.arange(SIDE) + 0.5) / SIDE
    right, up = (explorer.space.low[i] + shares * (explorer.space.high[i] - explorer.space.low[i]) for i in axes)
    grid = np.tile(np.float32(z), (SIDE, SIDE, 1))
    grid[..., axes[1]] = up[::-1, None]
    grid[..., axes[0]] = right
    return manifold_picture(_pixels(explorer, _decode(explorer, grid.reshape(-1, len(z)), label)))


def traversals(explorer: Explorer, z: Latent, label: int = 0) -> UInt8[np.ndarray, "h w c"]:
    """From left to right the images of z with one latent at nine values of its slider: a row for each of the first six.

    Higgins et al., beta-VAE, 2017, figure 1.
    """
    shown = explorer.space.order[:TRAVERSED]
    rows = [traversal_latents(jnp.float32(z), np.array([i]), np.linspace(
        explorer.space.low[i], explorer.space.high[i], VALUES)) for i in shown]
    images = _pixels(explorer, _decode(explorer, np.concatenate(rows), label))
    return image_grid(images, rows=len(shown))


def read_upload(content: bytes, spec: Spec, inverted: bool = False) -> UInt8[np.ndarray, "h w c"]:
    """An uploaded picture as an example of the data: its middle, resized, in the data's channels, colours inverted.

    Raises:
      UserError: it is no picture in one of `FORMATS`, damaged, or too large.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"The file has {len(content) / 1e6:.0f} MB: {MAX_BYTES / 1e6:.0f} MB at most.")
    height, width, channels = spec.shape
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as file:
            if file.width * file.height > MAX_PIXELS:
                raise UserError(f"The picture has {file.width} x {file.height} pixels: {MAX_PIXELS / 1e6:.0f} million "
                                "at most.")
            image = ImageOps.exif_transpose(file).convert("RGBA")
    except UserError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise UserError(f"This is no picture that can be read ({', '.join(FORMATS)}), or it is damaged.") from error
    opaque = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert(MODES[channels])
    fitted = ImageOps.fit(opaque, (width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(ImageOps.invert(fitted) if inverted else fitted)
    return pixels.reshape(height, width, channels)


def encode(explorer: Explorer, image: UInt8[np.ndarray, "h w c"], label: int = 0) -> Latent:
    """The centre of q(z|x), or the latent that decodes to x.

    Pixels are not binarised: where the model saw 0 and 1, it is given their probabilities.
    """
    decode = decoder({**explorer.run.config.data, "binarize": "none"})
    x = decode({"x": jnp.asarray(image)[None]}, jax.random.key(0))["x"]
    name = next(name for name in INVERSES if name in explorer.run.program.family.methods)
    return np.asarray(explorer.run.method(name, x, *_labels(explorer, label, 1)))[0]


def test_image(explorer: Explorer, i: int) -> tuple[UInt8[np.ndarray, "h w c"], int]:
    """Test example i, counted around, and its label; 0 where there are no labels."""
    i %= len(explorer.dataset.test["x"])
    batch = explorer.run.decoded({name: values[i:i + 1] for name, values in explorer.dataset.test.items()})
    return _pixels(explorer, batch["x"])[0], int(batch["label"][0]) if "label" in batch else 0


def _labels(explorer: Explorer, label: int, n: int) -> tuple[Int[Array, "n"], ...]:
    return (jnp.full(n, label, jnp.int32),) if explorer.classes else ()


def _decode(explorer: Explorer, z: Float[np.ndarray, "n d"], label: int) -> Float[Array, "n ..."]:
    return explorer.run.method("decode", jnp.float32(z), *_labels(explorer, label, len(z)))


def _pixels(explorer: Explorer, images: Float[Array, "n h w c"]) -> UInt8[np.ndarray, "n h w c"]:
    return np.asarray(to_uint8(images, explorer.run.spec.range))
