"""What the explorer computes of discrete codes: pictures, encodings, samples of the prior, patches and palette."""

import jax
import numpy as np
import pytest

from gen import data
from gen.errors import UserError
from gen.explore import codes
from gen.runs import Run
from tests.helpers import gan_config, untrained, vqvae_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def vqvae(tmp_path_factory):
    return codes.explorer(untrained(vqvae_config(), tmp_path_factory.mktemp("vqvae")))


@pytest.fixture(scope="module")
def grid(vqvae):
    return np.random.default_rng(0).integers(0, 16, (4, 4), np.int32)


def test_a_grid_has_the_picture_of_the_decoder(vqvae, grid):
    assert (vqvae.side, vqvae.codes, vqvae.draws) == ((4, 4), 16, True)
    expected = data.to_uint8(vqvae.run.method("decode_codes", grid[None]), "unit")[0]
    np.testing.assert_array_equal(codes.picture(vqvae, grid), expected)


def test_an_image_has_the_codes_of_the_encoder_and_comes_back_as_its_reconstruction(vqvae):
    image = vqvae.dataset.test["x"][3]
    x = np.float32(image)[None] / 255
    found = codes.encode(vqvae, image)
    np.testing.assert_array_equal(found, vqvae.run.method("codes", x)[0])
    again = data.host_bytes(vqvae.run.reconstruct(x), "unit")[0]
    np.testing.assert_allclose(codes.picture(vqvae, found).astype(int), again, atol=1)


def test_samples_of_the_prior_are_those_of_the_family(vqvae):
    found = codes.draw(vqvae, 7)
    assert found.shape == (4, 4) and not np.array_equal(found, codes.draw(vqvae, 8))
    family = vqvae.run.program.family
    expected = data.to_uint8(family.sample(vqvae.run.state, jax.random.key(7), 1), "unit")[0]
    np.testing.assert_allclose(codes.picture(vqvae, found).astype(int), expected, atol=1)


def test_without_a_prior_codes_are_drawn_alike(vqvae):
    family = vqvae.run.program.family
    methods = {name: family.methods[name] for name in codes.METHODS}
    program = vqvae.run.program._replace(family=family._replace(methods=methods))
    run = vqvae.run
    other = vqvae._replace(run=Run(run.workdir, run.config, run.spec, program, run.state, 0))
    drawn = np.stack([codes.draw(other, seed) for seed in range(200)])
    assert not other.draws and drawn.min() == 0 and drawn.max() == 15
    assert np.abs(np.bincount(drawn.ravel()) / drawn.size - 1 / 16).max() < 0.02


def test_one_cell_changes_and_the_picture_with_it(vqvae, grid):
    other = codes.changed(grid, (1, 2), int(grid[1, 2] + 1) % 16)
    assert np.argwhere(other != grid).tolist() == [[1, 2]]
    assert not np.array_equal(codes.picture(vqvae, other), codes.picture(vqvae, grid))


def test_a_patch_is_the_middle_of_its_code_alone(vqvae):
    whole = codes.picture(vqvae, np.full((4, 4), 9, np.int32))
    np.testing.assert_allclose(vqvae.patches[9].astype(int), whole[4:6, 4:6], atol=1)
    assert vqvae.patches.shape == (16, 2, 2, 1)


def test_mosaic_and_palette_have_each_patch_in_its_place(vqvae, grid):
    picture = codes.mosaic(vqvae, grid)
    assert picture.shape == (8, 8, 1)
    np.testing.assert_array_equal(picture[2:4, 6:8], vqvae.patches[grid[1, 3]])
    shown, cell = codes.palette(vqvae), codes.TILE + codes.GAP
    assert vqvae.columns == 8 and shown.shape == (2 * cell + codes.GAP, 8 * cell + codes.GAP, 1)
    tile = shown[cell + codes.GAP:2 * cell:12, 3 * cell + codes.GAP:4 * cell:12]
    np.testing.assert_array_equal(tile, vqvae.patches[vqvae.order[8 + 3]])
    assert (np.diff(vqvae.patches[vqvae.order].mean((1, 2, 3))) >= 0).all()


def test_points_have_no_codes_to_show(tmp_path):
    with pytest.raises(UserError, match="codes of images"):
        codes.explorer(untrained(gan_config(), tmp_path))


def test_without_its_data_there_is_no_data_set(vqvae, tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    run, config = vqvae.run, vqvae.run.config.copy_and_resolve_references()
    config.data.name = "mnist"
    assert codes.explorer(Run(run.workdir, config, run.spec, run.program, run.state, 0)).dataset is None
