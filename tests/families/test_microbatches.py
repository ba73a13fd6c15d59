"""A batch in parts: the same noise, gradients and metrics as at once, in every family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Spec, load
from gen.errors import UserError
from gen.families import FAMILIES
from gen.rng import along, join_rows, part_key, split_rows, stream
from tests.helpers import assert_close, diffusion_config, gan_config, vae_config

KEY = jax.random.key(0)
SGD = {"optimizer__name": "sgd", "optimizer__learning_rate": 0.1}
MLP = {"name": "mlp", "hidden": (8,)}
PLAYERS = {f"{player}_optimizer__{key}": value for player in ("generator", "discriminator")
           for key, value in (("name", "sgd"), ("learning_rate", 0.1))}


def vae(**more):
    return vae_config(samples=3, objective__name="iwae", **SGD, **more)


def gan(**more):
    """Two critic steps, two examples a pack, noise on both sides, R1 and a penalty between real and fake examples."""
    return gan_config(generator__batch_norm=False, packing=2, instance_noise=0.3, penalties__wgan_gp__weight=1.0,
                      **PLAYERS, **more)


def factor(**more):
    return vae_config(regularizers__factor__weight=2.0, discriminator__name="mlp", discriminator__hidden=(8,),
                      discriminator_optimizer__name="sgd", **SGD, **more)


def other(family, **parts):
    """A config of another family with the sections of the VAE that it has too."""
    from ml_collections import ConfigDict

    from gen.schema import complete

    def make(**more):
        base = vae_config().to_dict()
        kept = {key: base[key] for key in ("data", "mesh", "train", "encoder", "decoder", "likelihood", "latents")}
        config = {"family": family} | kept | {"optimizer": {"name": "sgd", "learning_rate": 0.1}} | parts
        config["train"]["best"] = ""
        return complete(ConfigDict({k: v for k, v in config.items() if v is not None}),
                        {key.replace("__", "."): value for key, value in more.items()})

    return make


RESIDUAL = {"name": "residual", "width": 8, "inner": 4, "blocks": 1}
MODELS = {
    "vae": vae,
    "factor": factor,
    "gan": gan,
    "diffusion": lambda **more: diffusion_config(**SGD, **more),
    "vaegan": other("vaegan", discriminator=MLP),
    "vqvae": other("vqvae", latents=None, likelihood=None, halvings=1, codes=8, code_size=3, encoder=RESIDUAL,
                   decoder=RESIDUAL, prior={"name": "pixelcnn", "width": 8, "blocks": 1},
                   prior_optimizer={"name": "sgd"}),
}


def updated(make, microbatches: int, n: int = 16):
    """The state and the metrics after one update, and the diagnosis."""
    config = make(train__microbatches=microbatches)
    images = config.data.name == "digits"
    family = FAMILIES[config.family](config, Spec((8, 8, 1), 10, "unit") if images else Spec((2,), 8, "real"))
    x, label = (load(config.data).train[key][:n * family.batches] for key in ("x", "label"))
    batch = {"x": jnp.float32(x) / 255 if images else jnp.asarray(x), "label": jnp.asarray(label)}
    state, metrics = jax.jit(family.update)(jax.jit(family.init)(KEY, batch), batch, stream(KEY, "update"))
    return state, metrics, jax.jit(family.diagnose)(state, batch, KEY) if family.diagnose else {}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_parts_of_a_batch_are_the_batch(name):
    (whole, *metrics), (parts, *again) = (updated(MODELS[name], microbatches) for microbatches in (1, 4))
    assert_close(parts, whole)
    for expected, found in zip(metrics, again, strict=True):
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, rtol=2e-4, atol=2e-5, err_msg=key)


@pytest.mark.slow
def test_running_statistics_move_by_the_average_of_the_parts():
    """Of a layer's inputs the mean is that of the batch; the network, which saw each part's own, differs."""
    make = MODELS["vaegan"]
    whole, parts = (updated(lambda **more: make(encoder__batch_norm=True, **more), n)[0] for n in (1, 4))
    means = [jax.tree.leaves(state.variables["encoder"]) for state in (whole, parts)]
    assert any(np.allclose(a, b, atol=1e-6) for a, b in zip(*means, strict=True))
    assert not all(np.allclose(a, b, atol=1e-4) for a, b in zip(*means, strict=True))


def test_parts_that_do_not_divide_the_batch():
    with pytest.raises(UserError, match="microbatches=3 does not divide an update's 16 examples"):
        updated(vae, 3)
    with pytest.raises(UserError, match="config.train.microbatches = 0: must be at least 1"):
        vae(train__microbatches=0)


@pytest.mark.slow
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("draw", [
    lambda key, n: jax.random.normal(stream(key, "noise", 3), (n, 5)),
    lambda key, n: jax.random.uniform(jax.random.split(key, 3)[1], (n,)),
    lambda key, n: jax.random.randint(key, (n, 2), 0, 10),
    lambda key, n: jax.random.categorical(key, jnp.zeros((n, 9))),
    lambda key, n: jnp.moveaxis(jax.random.normal(along(key, 1), (5, n, 2)), 1, 0),
    lambda key, n: jnp.moveaxis(jax.random.normal(stream(along(key, 1), "noise"), (4, n, 2)), 1, 0),
    lambda key, n: jax.random.normal(key, (n, 4)),
])
def test_a_part_draws_its_rows_of_the_noise(draw, group):
    parts = jax.lax.map(lambda i: draw(part_key(KEY, i, 3, 4, group), 4), jnp.arange(3))
    np.testing.assert_array_equal(join_rows(parts, group), draw(KEY, 12))


def test_a_draw_whose_batch_is_not_where_it_says_is_refused():
    key = part_key(KEY, jnp.int32(0), 2, 4)
    for draw in (lambda: jax.random.normal(key, (3, 4)), lambda: jax.random.normal(along(key, 1), (4, 3))):
        with pytest.raises(ValueError, match="is not the batch's"):
            draw()
    assert along(KEY, 1) is KEY


@pytest.mark.slow
@pytest.mark.parametrize("k, n, parts, hierarchy", [(4, 8, 2, False), (50, 100, 2, False), (5, 10, 2, True)])
def test_as_many_posterior_samples_as_examples_of_a_part(k, n, parts, hierarchy):
    """The importance-weighted bound of the same noise: the axis of the samples is not that of the batch."""
    layers = {"hierarchy__name": "chain", "hierarchy__latents": (2,), "hierarchy__hidden": (4,)} if hierarchy else {}

    def iwae(**more):
        return vae_config(samples=k, objective__name="iwae", **SGD, **layers, **more)

    (whole, metrics, _), (split, again, _) = (updated(iwae, microbatches, n) for microbatches in (1, parts))
    np.testing.assert_allclose(again["loss"], metrics["loss"], rtol=1e-5)
    assert_close(split, whole)


def test_groups_draw_theirs():
    """Noise for packs of two examples."""
    parts = jax.lax.map(lambda i: jax.random.normal(part_key(KEY, i, 3, 4, 2), (2, 4)), jnp.arange(3))
    np.testing.assert_array_equal(join_rows(parts), jax.random.normal(KEY, (6, 4)))


def test_rows_of_a_part():
    x = jnp.arange(12)
    assert split_rows(x, 3).tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    assert split_rows(x, 3, 2).tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    for group in (1, 2):
        np.testing.assert_array_equal(join_rows(split_rows(x, 3, group), group), x)
