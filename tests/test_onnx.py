"""ONNX models: ONNX Runtime computes what JAX does, of functions and of trained models' decoders."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen import config as configs
from gen import exporting, onnx
from gen.errors import UserError
from gen.networks.layers import conv
from gen.schema import complete
from tests.environment import ROOT
from tests.helpers import untrained, vae_config

EXTRA = "the test extra has no jax2onnx; pip install -e '.[onnx]'"


def computed(model: bytes, **inputs) -> np.ndarray:
    """What ONNX Runtime makes of these inputs."""
    runtime = pytest.importorskip("onnxruntime", reason=EXTRA)
    (found,) = runtime.InferenceSession(model).run(None, inputs)
    return found


def by_platform(x):
    """x + 1 on the CPU and x + 2 elsewhere, within two jits."""
    choose = lambda y: jax.lax.platform_dependent(y, cpu=lambda z: z + 1, default=lambda z: z + 2)  # noqa: E731
    return jax.jit(lambda y: 2 * jax.jit(choose)(y))(x)


@pytest.mark.parametrize("platform, added", [("cpu", 1), ("tpu", 2)])
def test_a_choice_of_the_platform_is_made(platform, added):
    x = jnp.arange(3.0)
    plain = onnx.of_platform(jax.make_jaxpr(by_platform)(x), platform)
    np.testing.assert_array_equal(plain(x), 2 * (x + added))
    assert {eqn.primitive.name for eqn in jax.make_jaxpr(plain)(x).eqns} == {"add", "mul"}


def test_a_convolution_is_the_same():
    key = jax.random.key(0)
    x, w = jax.random.normal(key, (2, 8, 8, 3)), jax.random.normal(key, (4, 4, 3, 5))
    for platform, products in (("cpu", "dot_general"), ("tpu", "conv_general_dilated")):
        plain = onnx.of_platform(jax.make_jaxpr(lambda a: conv(a, w, 2, "SAME"))(x), platform)
        np.testing.assert_allclose(plain(x), conv(x, w, 2, "SAME"), rtol=1e-4, atol=1e-4)
        assert products in {eqn.primitive.name for eqn in jax.make_jaxpr(plain)(x).eqns}


def test_what_is_missing_or_has_no_decoder_is_one_line(monkeypatch):
    with pytest.raises(UserError, match="--onnx=4: an ONNX file is written of gan and vae models; this is a diffusion"):
        exporting.check_decoder("diffusion", 4)
    with pytest.raises(UserError, match="--onnx=501: an ONNX file decodes 1 to 500 latents"):
        exporting.check_decoder("gan", 501)
    exporting.check_decoder("diffusion", 0)
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[onnx\]'"):
        onnx.converted(jnp.sin, {"x": jnp.ones(2)}, "y")


def dcgan(tmp_path):
    """A DCGAN of digits, at its initial values."""
    config = configs.load(f"{ROOT}/experiments/gan/mnist_small.py")
    del config.conditioning
    return untrained(complete(config, {"generator.width": 8, "generator.kernel_init": "lecun_normal"}), tmp_path)


MODELS = {
    "vae": lambda path: gen.load("mnist_vae"),
    "dcgan": dcgan,
    "conditional_gan": lambda path: gen.load("mnist_gan"),
    "conditional_vae": lambda path: untrained(vae_config(conditional=True), path),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_wrong_conversion_is_refused(monkeypatch):
    pytest.importorskip("jax2onnx", reason=EXTRA)
    monkeypatch.setattr(onnx, "of_platform", lambda traced, platform: jnp.cos)
    with pytest.raises(UserError, match="converts this model wrongly"):
        onnx.converted(jnp.sin, {"x": jnp.ones(2)}, "y")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the converter's own imports
@pytest.mark.parametrize("model", MODELS)
def test_onnx_runtime_makes_the_samples_of_the_run(model, tmp_path):
    pytest.importorskip("jax2onnx", reason=EXTRA)
    run = MODELS[model](tmp_path)
    n = 5
    latents = np.random.default_rng(0).normal(size=(n, run.config.latents)).astype(np.float32)
    labels = np.arange(n, dtype=np.int32) if exporting.conditional(run.config) else None
    given = {} if labels is None else {"labels": labels}
    found = computed(exporting.decoder(run, n), latents=latents, **given)
    expected = run.decode(latents, labels)
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
