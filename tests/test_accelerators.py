"""Ready for accelerators without one: every family lowers for them with real convolutions; bfloat16 trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from gen import data
from gen.data.batches import gather
from gen.training import program
from tests.helpers import CONFIGS, vae_config

CONVOLUTIONAL = {
    "vae": {"encoder__name": "dcgan", "encoder__width": 4, "decoder__name": "dcgan", "decoder__width": 4},
    "gan": {"data__name": "digits", "data__range": "symmetric", "evaluators__modes": "false",
            "generator__name": "dcgan", "generator__width": 4, "discriminator__name": "dcgan",
            "discriminator__width": 4},
    "diffusion": {"denoiser__name": "unet", "denoiser__width": 4, "denoiser__multiples": (1, 2)},
}


def convolutional(family: str, **overrides):
    """A config of each family with convolutions, on 8x8 digits."""
    return CONFIGS[family](**CONVOLUTIONAL[family], **overrides)


def made(config):
    dataset = data.load(config.data)
    functions = program.make(config, dataset.spec)
    return functions, program.on_device(dataset.train), dataset.spec


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("family", CONFIGS)
def test_update_and_sample_lower_with_real_convolutions(family, platform):
    functions, train, spec = made(convolutional(family))
    state = program.abstract_state(functions, spec)
    raw = jax.eval_shape(lambda data: gather(data, jnp.zeros(32, jnp.int32)), train)
    update = export.export(jax.jit(functions.step), platforms=[platform])(state, raw).mlir_module()
    sample = export.export(jax.jit(lambda state: functions.family.sample(state, state.key, 4)), platforms=[platform])
    assert "stablehlo.convolution" in update
    assert "stablehlo.convolution" in sample(state).mlir_module()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gan", "diffusion"])
def test_no_convolution_is_left_where_matrix_products_are_faster(family):
    functions, train, spec = made(convolutional(family))
    state = program.abstract_state(functions, spec)
    raw = jax.eval_shape(lambda data: gather(data, jnp.zeros(32, jnp.int32)), train)
    assert "convolution(" not in jax.jit(functions.step).lower(state, raw).compile().as_text()


@pytest.mark.slow
@pytest.mark.parametrize("config", [
    vae_config(precision="bfloat16", optimizer__learning_rate=0.02, train__log_every=60,
               train__checkpoint_every=60, train__evaluate_every=60),
    convolutional("gan", precision="bfloat16", train__log_every=8, train__checkpoint_every=8, train__evaluate_every=8),
], ids=["vae", "gan"])
def test_bfloat16_trains_with_float32_parameters_losses_and_statistics(config):
    functions, train, _ = made(config)
    state, history = functions.train(functions.init(0, train), train, config.train.log_every)
    arrays = jax.tree.leaves((state.params, state.variables, history))
    assert {a.dtype for a in arrays} == {np.dtype("float32")}
    assert all(np.isfinite(a).all() for a in arrays)
    if config.family == "vae":
        assert history["loss"][-10:].mean() < 0.8 * history["loss"][:5].mean()
    hlo = jax.jit(functions.step).lower(state, gather(train, jnp.zeros(32, jnp.int32))).as_text()
    assert "bf16" in hlo


@pytest.mark.slow
def test_bfloat16_and_float32_agree_to_bfloat16_rounding():
    functions = {precision: made(vae_config(precision=precision)) for precision in ("float32", "bfloat16")}
    losses = {}
    for precision, (made_, train, _) in functions.items():
        _, metrics = jax.jit(made_.step)(made_.init(0, train), gather(train, jnp.arange(16)))
        losses[precision] = float(metrics["loss"])
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bfloat16"] != losses["float32"]
