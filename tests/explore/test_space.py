"""What the explorer computes: the order of the latents, pictures at latents and between them; what it refuses."""

import jax
import numpy as np
import pytest

from gen import data, explore
from gen.data import Spec
from gen.errors import UserError
from gen.explore import images, plane, saved, space
from gen.runs import Run
from gen.training import program
from tests.helpers import diffusion_config, gan_config, untrained, vae_config

GREY = Spec((8, 8, 1), 10, "unit")


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
def test_the_pad_of_points_has_the_colours_of_where_its_latents_go(gan):
    z, side = space.draw(gan, 2), space.PLACES
    picture = space.pad(gan, z, (1, 0))
    assert picture.shape == (side, side, 3)
    row, column = 30, 100
    there = np.float32([-3 + 6 * (1 - (row + 0.5) / side), -3 + 6 * (column + 0.5) / side])
    expected = plane.colours(gan.run.decode(there[None]), gan.stage.limits)[0]
    np.testing.assert_allclose(picture[row, column].astype(int), expected, atol=1)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize("path", space.PATHS)
def test_the_way_between_two_latents(path):
    a, b = np.float32([3, 0, 0]), np.float32([0, 0, 3])
    z = space.way(a, b, path)
    assert len(z) == space.STEPS
    np.testing.assert_allclose(z[[0, -1]], [a, b], atol=1e-5)
    np.testing.assert_allclose(space.between(a, b, 0.25, path), z[2], atol=1e-6)
    middle = {"spherical": [3 / 2**0.5, 0, 3 / 2**0.5], "linear": [1.5, 0, 1.5]}[path]
    np.testing.assert_allclose(z[4], middle, atol=1e-5)


@pytest.mark.slow
def test_the_way_is_a_row_of_images_or_points_on_the_stage(vae, gan):
    z = space.way(space.draw(vae, 0), space.draw(vae, 1), "spherical")
    picture = space.row(vae, z, 2)
    assert picture.shape == (66 + 2, 9 * 66 + 2, 1)
    for i in (0, 4, 8):
        tile = picture[2:66:8, 2 + 66 * i:66 * (i + 1):8]
        np.testing.assert_allclose(tile.astype(int), space.view(vae, z[i], 2).picture, atol=1)
    z = space.way(space.draw(gan, 0), space.draw(gan, 1), "linear")
    np.testing.assert_allclose(space.places(gan, z), [space.view(gan, point).mark for point in z], atol=1e-5)


def test_a_saved_stage_has_a_ring_at_its_point():
    stage = np.full((100, 100, 3), 255, np.uint8)
    changed = np.argwhere((space.marked(space.View(stage, (0.25, 0.5), None)) != 255).any(-1))
    np.testing.assert_allclose(changed.mean(0), [50, 25], atol=0.5)
    assert (stage == 255).all() and np.ptp(changed, axis=0).max() <= 6


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
    image = images.read_upload(saved.png(raw[0]), vae.run.spec)
    np.testing.assert_array_equal(image, raw[0])
    expected = vae.run.encode(raw.astype(np.float32) / 255, 5).loc[0]
    np.testing.assert_allclose(space.encode(vae, image, 5), expected, atol=1e-5)


@pytest.mark.slow
def test_an_image_goes_to_the_latent_from_which_a_diffusion_model_comes_back_to_it(tmp_path):
    explorer = space.explorer(untrained(diffusion_config(), tmp_path))
    assert explorer.encodes and len(explorer.space.order) == 64
    image, label = images.test_image(explorer.run, explorer.dataset, 3)
    z = space.encode(explorer, image, label)
    expected = explorer.run.method("invert", np.float32(image)[None] * 2 / 255 - 1, np.array([label], np.int32))
    np.testing.assert_allclose(z, expected[0], rtol=1e-4, atol=1e-4)
    assert space.view(explorer, z).picture.shape == (8, 8, 1)


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
