"""Labels of samples: their frequencies, their names, and models that have none."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen.data import Spec, label_frequencies
from gen.errors import UserError
from gen.families.common import draw_labels
from gen.runs import seed_key
from gen.storage import record
from gen.storage.integrity import Damaged, verify, write_digests
from gen.training import loop
from tests.helpers import vae_config


def test_labels_are_drawn_as_often_as_the_data_has_them():
    label = np.array([0] * 700 + [1] * 200 + [2] * 100)
    shares = label_frequencies({"x": label, "label": label}, 3)
    assert shares == (0.7, 0.2, 0.1)
    drawn = np.bincount(draw_labels(jax.random.key(0), 20_000, Spec((2,), 3, "real", shares)), minlength=3)
    np.testing.assert_allclose(drawn / 20_000, shares, atol=0.012)


def test_equal_classes_are_drawn_as_before():
    label = np.array([0, 1, 2, 0, 1, 2])
    assert label_frequencies({"x": label, "label": label}, 3) == ()
    drawn = draw_labels(jax.random.key(3), 50, Spec((2,), 3, "real"))
    np.testing.assert_array_equal(drawn, jax.random.randint(jax.random.key(3), (50,), 0, 3))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("conditional")
    loop.train(vae_config(conditional=True, train__steps=2), workdir)
    found = gen.load(workdir)
    assert len(found.spec.label_frequencies) == 10 and sum(found.spec.label_frequencies) == pytest.approx(1)
    return found


@pytest.mark.slow
def test_a_label_has_a_name_or_a_number(run):
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    run = dataclasses.replace(run, spec=run.spec._replace(class_names=names))
    np.testing.assert_array_equal(run.sample(4, label="three"), run.sample(4, label=3))
    np.testing.assert_array_equal(run.sample(4, label="3"), run.sample(4, label=3))
    with pytest.raises(UserError, match="There is no class 'tree'. Did you mean 'three'?"):
        run.sample(4, label="tree")


@pytest.mark.slow
def test_an_unconditional_model_refuses_labels_though_the_data_has_them(tmp_path):
    loop.train(vae_config(train__steps=2), tmp_path)
    with pytest.raises(UserError, match="This vae was trained without labels"):
        gen.load(tmp_path).sample(4, label=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [-1, 2**32, 2**64])
def test_a_seed_that_would_be_another_ones_is_refused(seed, run):
    with pytest.raises(UserError, match=f"seed={seed}: a seed is at least 0 and below 2"):
        run.sample(2, seed=seed)
    assert jnp.all(jax.random.key_data(seed_key(7)) == jax.random.key_data(jax.random.key(7)))


def test_digests_are_of_files_in_their_folder_alone(tmp_path):
    folder = tmp_path / "checkpoint"
    (folder / "state").mkdir(parents=True)
    (folder / "state/a").write_text("a")
    (tmp_path / "secret").write_text("s")
    write_digests(folder, ["state"])
    verify(folder)
    text = (folder / "digests.json").read_text()
    for outside in ("../secret", str(tmp_path / "secret"), "link"):
        (folder / "link").unlink(missing_ok=True)
        (folder / "link").symlink_to(tmp_path / "secret")
        (folder / "digests.json").write_text(text.replace("state/a", outside))
        with pytest.raises(Damaged, match="outside the checkpoint"):
            verify(folder)


def test_shares_of_single_digits_that_were_stored_for_triples_become_those_of_triples(tmp_path):
    digits = [0.1, 0.3, 0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
    spec = {"shape": [28, 28, 3], "classes": 1000, "range": "symmetric", "label_frequencies": digits + 990 * [0.0]}
    config = {"data": {"name": "stacked_mnist"}}
    shares = record.spec_of(tmp_path, {"spec": spec, "config": config}).label_frequencies
    assert len(shares) == 1_000 and sum(shares) == pytest.approx(1) and shares[119] == pytest.approx(0.3 * 0.3 * 0.05)
    again = record.spec_of(tmp_path, {"spec": spec | {"label_frequencies": list(shares)}, "config": config})
    assert again.label_frequencies == shares
    other = record.spec_of(tmp_path, {"spec": spec, "config": {"data": {"name": "folder"}}})
    assert other.label_frequencies == (*digits, *990 * [0.0])
