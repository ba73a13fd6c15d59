"""What the explorer computes: the order of the latents, pictures at latents, latents of uploads; what it refuses."""

import contextlib
import io

import jax
import numpy as np
import pytest
from PIL import Image

from gen import data, explore
from gen.data import Spec
from gen.errors import UserError
from gen.explore import space
from gen.runs import Run
from gen.training import program
from tests.helpers import diffusion_config, gan_config, vae_config

GREY, COLOUR = Spec((8, 8, 1), 10, "unit"), Spec((8, 6, 3), 0, "symmetric")


def untrained(config, folder) -> Run:
    """A run of the config at its initial values."""
    dataset = data.load(config.data)
    made = program.make(config, dataset.spec)
    return Run(folder, config, dataset.spec, made, made.init(0, dataset.train), 0)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    """Of a conditional VAE of digits: latent 0 has the prior as posterior, latent 1 is close to it, 2 as it began."""
    run = untrained(vae_config(conditional=True, latents=3), tmp_path_factory.mktemp("vae"))
    params = jax.tree.map(np.array, run.state.params)
    for head in ("loc", "log_scale"):
        params["encoder"][head]["kernel"] *= (0, 0.1, 1)
    return space.explorer(Run(run.workdir, run.config, run.spec, run.program, run.state.replace(params=params), 0))


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return space.explorer(untrained(gan_config(), tmp_path_factory.mktemp("gan")))


def png(pixels, **options) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, **{"format": "PNG"} | options)
    return file.getvalue()


@pytest.mark.slow
def test_the_latents_of_a_vae_are_in_the_order_of_their_information(vae):
    np.testing.assert_array_equal(vae.space.order, [2, 1, 0])
    assert vae.space.active[2] and not vae.space.active[0]
    assert vae.classes == 10 and vae.encodes


def test_a_view_is_the_decoded_latent_of_its_label(vae):
    z = space.draw(vae, 1)
    view = space.view(vae, z, 3)
    expected = vae.run.method("decode", z[None], np.array([3], np.int32))
    np.testing.assert_array_equal(view.picture, data.to_uint8(expected, "unit")[0])
    assert view.logit is None and view.mark is None
    assert not np.array_equal(view.picture, space.view(vae, z, 4).picture)


def test_the_pad_shows_each_latent_where_a_pointer_finds_it(vae):
    z, axes = space.draw(vae, 2), (2, 0)
    picture = space.pad(vae, z, axes, 1)
    assert picture.shape == (space.SIDE * 8, space.SIDE * 8, 1)
    row, column = 1, 7
    there = z.copy()
    for i, share in zip(axes, ((column + 0.5) / space.SIDE, 1 - (row + 0.5) / space.SIDE), strict=True):
        there[i] = vae.space.low[i] + share * (vae.space.high[i] - vae.space.low[i])
    tile = picture[row * 8:(row + 1) * 8, column * 8:(column + 1) * 8]
    np.testing.assert_allclose(tile.astype(int), space.view(vae, there, 1).picture, atol=1)


@pytest.mark.slow
def test_traversals_have_a_row_for_each_latent(vae):
    picture = space.traversals(vae, space.draw(vae, 3))
    assert picture.shape == (3 * 66 + 2, space.VALUES * 66 + 2, 1)


def test_truncation_ends_at_the_origin():
    z = np.float32([1, -2])
    np.testing.assert_allclose(space.truncated(z, 0.5), [0.5, -1])
    assert not space.truncated(z, 0.0).any()


def test_an_upload_of_a_test_image_has_its_posterior_mean(vae):
    raw = vae.dataset.test["x"][:1]
    image = space.read_upload(png(raw[0, ..., 0]), vae.run.spec)
    np.testing.assert_array_equal(image, raw[0])
    expected = vae.run.encode(raw.astype(np.float32) / 255, 5).loc[0]
    np.testing.assert_allclose(space.encode(vae, image, 5), expected, atol=1e-5)


@pytest.mark.slow
def test_an_image_goes_to_the_latent_from_which_a_diffusion_model_comes_back_to_it(tmp_path):
    explorer = space.explorer(untrained(diffusion_config(), tmp_path))
    assert explorer.encodes and len(explorer.space.order) == 64
    image, label = space.test_image(explorer, 3)
    z = space.encode(explorer, image, label)
    expected = explorer.run.method("invert", np.float32(image)[None] * 2 / 255 - 1, np.array([label], np.int32))
    np.testing.assert_allclose(z, expected[0], rtol=1e-4, atol=1e-4)
    assert space.view(explorer, z).picture.shape == (8, 8, 1)


def test_a_test_image_comes_with_its_label(vae):
    image, label = space.test_image(vae, len(vae.dataset.test["x"]) + 4)
    assert image.shape == (8, 8, 1) and label == vae.dataset.test["label"][4]


def test_an_upload_is_resized_and_its_middle_is_kept():
    pixels = np.zeros((80, 200, 3), np.uint8)
    pixels[:, 60:140] = (255, 0, 0)
    image = space.read_upload(png(pixels), COLOUR)
    assert image.shape == (8, 6, 3)
    np.testing.assert_allclose(image.astype(int), np.broadcast_to([255, 0, 0], (8, 6, 3)), atol=1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("picture", "options", "grey"), [
    (Image.new("RGBA", (20, 30), (0, 0, 0, 0)), {}, 255),
    (Image.new("P", (1, 900), 0), {}, 0),
    (Image.new("1", (9, 9), 1), {"format": "TIFF"}, 255),
    (Image.new("I;16", (9, 9), 65535), {}, 255),
    (Image.new("CMYK", (9, 9), (0, 0, 0, 0)), {"format": "JPEG"}, 255),
    (Image.new("L", (9, 9), 0), {"format": "GIF", "save_all": True, "append_images": [Image.new("L", (9, 9), 255)]}, 0),
], ids=["transparent", "one column", "bits", "16 bits", "inks", "animation"])
def test_every_kind_of_picture_is_read(picture, options, grey):
    image = space.read_upload(png(picture, **options), GREY)
    assert image.shape == (8, 8, 1)
    np.testing.assert_allclose(image.astype(int), grey, atol=1)
    np.testing.assert_allclose(space.read_upload(png(picture, **options), GREY, inverted=True).astype(int),
                               255 - grey, atol=1)


def test_what_is_no_picture_is_one_line(monkeypatch):
    good = png(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    for content in (b"", b"hello", good[:60], good[:len(good) // 2], svg, b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(UserError, match="no picture that can be read"):
            space.read_upload(content, GREY)
    monkeypatch.setattr(space, "MAX_PIXELS", 1_999)
    with pytest.raises(UserError, match="40 x 50 pixels"):
        space.read_upload(good, GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 999)  # of Pillow's own, which it raises at twice as many
    with pytest.raises(UserError, match="no picture that can be read"):
        space.read_upload(good, GREY)
    monkeypatch.setattr(space, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="at most"):
        space.read_upload(good, GREY)


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_a_damaged_picture_is_read_or_refused_but_raises_nothing_else():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
    for form in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        good = np.frombuffer(png(pixels, format=form), np.uint8)
        for _ in range(30):
            bad = good.copy()
            bad[rng.integers(0, len(bad), 4)] = rng.integers(0, 256, 4)
            with contextlib.suppress(UserError):
                assert space.read_upload(bad.tobytes(), GREY).shape == (8, 8, 1)


@pytest.mark.slow
def test_points_are_marked_where_they_lie_with_the_logit_of_the_discriminator(gan):
    z = space.draw(gan, 0)
    view = space.view(gan, z)
    x = gan.run.decode(z[None])
    np.testing.assert_allclose(view.logit, gan.run.method("discriminate", x)[0], rtol=1e-5)
    assert view.picture is gan.stage.picture and not gan.encodes and gan.classes == 0
    left, right, bottom, top = gan.stage.limits
    assert view.mark[0] == pytest.approx(0.085 + 0.895 * (x[0, 0] - left) / (right - left), abs=1e-5)
    assert view.mark[1] == pytest.approx(1 - 0.065 - 0.895 * (x[0, 1] - bottom) / (top - bottom), abs=1e-5)


def test_codes_come_first_and_have_their_own_limits(gan):
    config = gan_config(data__name="digits", latents=6, codes__categorical=(3,), codes__continuous=1,
                        latent_distribution="uniform")
    made = program.make(config, GREY)
    found = space.explorer(Run(gan.run.workdir, config, GREY, made, gan.run.state, 0)).space
    np.testing.assert_array_equal(found.order, [2, 3, 4, 5, 0, 1])
    np.testing.assert_array_equal(found.low, [-1, -1, 0, 0, 0, -1])
    np.testing.assert_array_equal(found.high, [1] * 6)


def test_without_its_library_the_page_is_one_line(gan, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs NiceGUI: pip install -e '.\[explore\]'"):
        explore.serve(gan.run, 0)


def test_what_cannot_be_explored_is_one_line(gan):
    methods = {"reconstruct": None}
    vqvae = gan.run.program._replace(family=gan.run.program.family._replace(methods=methods))
    run = gan.run
    with pytest.raises(UserError, match="no continuous latents"):
        space.explorer(Run(run.workdir, run.config, run.spec, vqvae, run.state, 0))
    with pytest.raises(UserError, match=r"not examples of shape \(1,\)"):
        space.explorer(Run(run.workdir, run.config, Spec((1,), 0, "real"), run.program, run.state, 0))
