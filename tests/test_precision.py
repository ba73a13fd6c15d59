"""The training step computes as `precision` says; evaluation, samples and every method of a model in full float32.

What a program computes is read from it as it is lowered: the precision of each matrix product and convolution.
"""

import functools
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen import precision
from gen.data import load
from gen.data.batches import gather
from gen.errors import UserError
from gen.evaluation import classifier
from gen.schema import complete
from gen.training import loop, program, recorder
from tests.accelerator.models import EVALUATED, MODELS, config
from tests.helpers import assert_same_bits, vae_config

STEP = {"float32": "HIGHEST", "tensorfloat32": "HIGH", "bfloat16": "HIGHEST"}
WITHOUT_PRODUCTS = {"modes", "fid", "kid", "prdc", "codebook"}
"""Evaluators that compute on the host, or count."""


def products(text: str) -> list[str]:
    """The lines of a lowered program that multiply."""
    return [line for line in text.splitlines() if "dot_general" in line or "stablehlo.convolution" in line]


def precisions(text: str) -> set[str]:
    """At which precisions it multiplies."""
    return {name for line in products(text) for name in re.findall(r"\b(DEFAULT|HIGHEST|HIGH)\b", line)}


@functools.cache
def parts(family: str, chosen: str):
    one = config(family, precision=chosen)
    dataset = load(one.data)
    made = program.make(one, dataset.spec)
    return made, program.abstract_state(made, dataset.spec), dataset


def hostile():
    """A default that rounds, as accelerators' own does."""
    return jax.default_matmul_precision("bfloat16")


@pytest.mark.slow
@pytest.mark.parametrize("chosen", precision.PRECISIONS)
@pytest.mark.parametrize("family", MODELS)
def test_a_step_multiplies_as_the_config_says_and_all_else_exactly(family, chosen):
    made, state, dataset = parts(family, chosen)
    raw = jax.eval_shape(lambda data: gather(data, jnp.zeros(32, jnp.int32)), dict(dataset.train))
    with hostile():
        step = made.step.lower(state, raw).as_text()
        rest = [
            jax.jit(lambda raw: made.init(0, raw)).lower(raw).as_text(),
            made.evaluate.lower(state, raw).as_text(),
            made.sample.lower(state, state.key, 4).as_text(),
            *([made.diagnose.lower(state, raw).as_text()] if made.family.diagnose else []),
        ]
    assert precisions(step) == {STEP[chosen]}
    assert any("bf16" in line for line in products(step)) == (chosen == "bfloat16")
    for text in rest:
        assert precisions(text) <= {"HIGHEST"} and "bf16" not in text
    assert any(map(products, rest))


@pytest.mark.parametrize("family, method", [
    ("vae", "reconstruct"), ("gan", "discriminate"), ("vaegan", "reconstruct"), ("vqvae", "reconstruct")])
def test_methods_of_a_model_multiply_exactly(family, method):
    made, state, dataset = parts(family, "bfloat16")
    x = jax.ShapeDtypeStruct((2, *dataset.spec.shape), jnp.float32)
    with hostile():
        text = jax.jit(made.family.methods[method]).lower(state, x).as_text()
    assert precisions(text) == {"HIGHEST"} and "bf16" not in text


@pytest.mark.slow
@pytest.mark.parametrize("model", EVALUATED)
def test_every_evaluator_multiplies_exactly(model, tmp_path):
    """Every program that is compiled while it computes is read."""
    one = complete(EVALUATED[model](), {"precision": "bfloat16"})
    dataset = load(one.data)
    made = program.make(one, dataset.spec)
    state = made.init(0, program.on_device(dataset.train))
    known = recorder.evaluations(made, state, dataset, one)
    for name in one.evaluators:
        jax.clear_caches()
        jax.config.update("jax_dump_ir_to", str(tmp_path / name))
        try:
            with hostile():
                known[name]()
        finally:
            jax.config.update("jax_dump_ir_to", None)
        text = "\n".join(path.read_text() for path in Path(tmp_path / name).glob("*.mlir"))
        assert precisions(text) <= {"HIGHEST"} and "bf16" not in text, name
        assert products(text) or name in WITHOUT_PRODUCTS, name


@pytest.mark.parametrize("network", classifier.NETWORKS)
def test_the_classifiers_features_are_multiplied_exactly(network):
    module = classifier.NETWORKS[network](10)
    images = jnp.zeros((2, 8, 8, 1))
    variables = jax.eval_shape(functools.partial(module.init, train=False), jax.random.key(0), images)
    with hostile():
        text = classifier._apply.lower(network, 10, variables, images).as_text()
    assert len(products(text)) >= 4 and precisions(text) == {"HIGHEST"}


def test_exact_products_are_those_of_float32():
    """bfloat16 has 8 bits: 1 + 2^-9 is not in it, and 1 + 2^-20 is in float32 alone."""
    x = jnp.full((1, 1), 1 + 2.0**-20)
    with hostile():
        assert precision.exact(jnp.matmul)(x, jnp.ones((1, 1))) == 1 + 2.0**-20
        assert precisions(jax.jit(precision.exact(jnp.matmul)).lower(x, x).as_text()) == {"HIGHEST"}
        assert precisions(jax.jit(jnp.matmul).lower(x, x).as_text()) == {"DEFAULT"}


@pytest.mark.slow
def test_one_state_is_evaluated_alike_whatever_it_was_trained_with():
    def results(chosen):
        made, _, dataset = parts("vae", chosen)
        state = made.init(0, program.on_device(dataset.train))
        return program.draw(made, state, jax.random.key(1), 8), made.evaluate(state, program.on_device(dataset.test))

    (samples, metrics), (others, theirs) = results("float32"), results("bfloat16")
    np.testing.assert_array_equal(samples, others)
    np.testing.assert_array_equal(metrics["elbo"], theirs["elbo"])


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_precision_alone(tmp_path):
    loop.train(vae_config(train__steps=4), tmp_path)
    with pytest.raises(UserError, match="precision"):
        loop.train(vae_config(precision="bfloat16"), tmp_path)
    assert loop.train(vae_config(), tmp_path) == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_of_before_goes_on(dtype, tmp_path):
    """Its config has `dtype` where ours has `precision`."""
    loop.train(vae_config(train__steps=4, precision=dtype), tmp_path / "run")
    path = tmp_path / "run/config.json"
    described = json.loads(path.read_text())
    described["config"]["dtype"] = described["config"].pop("precision")
    path.write_text(json.dumps(described))
    assert gen.load(tmp_path / "run").config.precision == dtype
    assert loop.train(vae_config(precision=dtype), tmp_path / "run") == "finished"
    loop.train(vae_config(precision=dtype), tmp_path / "whole")
    assert_same_bits(gen.load(tmp_path / "run").state, gen.load(tmp_path / "whole").state)


def test_an_unknown_precision_is_one_line():
    with pytest.raises(UserError, match=r"config\.precision.*Did you mean 'float32'\?"):
        vae_config(precision="float23")
