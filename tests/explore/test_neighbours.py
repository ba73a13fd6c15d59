"""The nearest training images: against all distances by hand, and what has none."""

import numpy as np
import pytest

from gen import data
from gen.data import Spec
from gen.errors import UserError
from gen.explore import neighbours
from gen.explore.neighbours import Training, nearest
from gen.runs import Run
from tests.helpers import untrained, vae_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return untrained(vae_config(), tmp_path_factory.mktemp("run"))


def test_the_nearest_are_those_of_all_distances_by_hand(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 5, 3), np.uint8)
    image = images[11].copy()
    image[0, 0, 0] ^= 255
    index, distances = nearest(image, images, 5)
    by_hand = np.sqrt(np.mean((images / 255 - image / 255) ** 2, axis=(1, 2, 3)))
    assert index[0] == 11
    np.testing.assert_array_equal(index, np.argsort(by_hand)[:5])
    np.testing.assert_allclose(distances, np.sort(by_hand)[:5], rtol=1e-5)


def test_black_against_white_is_one_and_there_are_no_more_than_all():
    images = np.stack([np.full((2, 2, 1), value, np.uint8) for value in (255, 0, 255)])
    index, distances = nearest(images[0], images, 8)
    assert index.tolist() == [0, 2, 1] and distances.tolist() == [0, 0, 1]


@pytest.mark.slow
def test_a_training_image_is_its_own_neighbour_with_its_label(run):
    dataset = data.load(run.config.data)
    found = Training(run, None).nearest(dataset.train["x"][20], 3)
    np.testing.assert_array_equal(found.images[0], dataset.train["x"][20])
    assert found.distances[0] == 0 and found.labels[0] == dataset.train["label"][20] and len(found.images) == 3


@pytest.mark.slow
def test_data_that_cannot_be_searched_are_one_line(run, tmp_path, monkeypatch):
    def of(**changes):
        config = run.config.copy_and_resolve_references()
        config.data.update(changes)
        return Training(Run(run.workdir, config, run.spec, run.program, run.state, 0), None)

    with pytest.raises(UserError, match="drawn anew in every step"):
        of(name="stacked_mnist").examples  # noqa: B018
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match="prepare_data"):
        of(name="mnist").examples  # noqa: B018
    other = Run(run.workdir, run.config, Spec((16, 16, 1), 10, "unit"), run.program, run.state, 0)
    with pytest.raises(UserError, match="nothing can be compared"):
        Training(other, None).examples  # noqa: B018
