"""oneDNN's convolutions against this project's and Flax's: values, gradients of any order, transformations, runs."""
import json
import os
import subprocess
import sys
from functools import partial
from importlib.metadata import version

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from gen.errors import UserError
from gen.networks import layers, onednn, resampling
from gen.networks.norms import GroupNorm
from gen.storage import numerics
from tests.environment import ROOT, users_environment
from tests.networks.test_layers import CASES, EXPLICIT, PAIRS, close, draw, value_gradient_penalty

MORE = [((1, 1), (2, 2), "SAME", (8, 6), 5, 6), ((3, 3), (1, 1), ((-1, 2), (0, -1)), (8, 7), 3, 4),
        ((1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 4, 4)]


@pytest.fixture
def used(foreign, monkeypatch):
    """Convolutions are oneDNN's, as they are in a process with one device."""
    monkeypatch.setitem(onednn._state, "version", foreign)
    monkeypatch.setattr(jax, "device_count", lambda: 1)


def program(function, *args):
    """The lowered program's text."""
    return jax.jit(function).lower(*args).as_text()


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("kernel, strides, padding, size, c, o", CASES + MORE)
def test_equals_flax_to_second_order(used, kind, kernel, strides, padding, size, c, o):
    own, theirs = (layer(o, kernel, strides, padding) for layer in PAIRS[kind])
    x = draw(0, 2, *size, c)
    params = theirs.init(jax.random.key(1), x)
    assert "gen_convolution" in program(lambda *args: value_gradient_penalty(own, *args), params, x)
    close(*jax.jit(lambda *args: [value_gradient_penalty(layer, *args) for layer in (own, theirs)])(params, x), 2e-4)


@pytest.mark.parametrize("c, o, groups", [(8, 12, 4), (32, 64, 2), (32, 32, 32), (6, 3, 3), (64, 64, 4)])
@pytest.mark.parametrize("strides, padding", [((2, 2), "SAME"), ((1, 1), EXPLICIT)])
def test_groups_equal_flax_to_second_order(used, c, o, groups, strides, padding):
    own, theirs = (layer(o, (3, 3), strides, padding, feature_group_count=groups) for layer in PAIRS["conv"])
    x = draw(0, 9, 7, 8, c)
    params = theirs.init(jax.random.key(1), x)
    close(*jax.jit(lambda *args: [value_gradient_penalty(layer, *args) for layer in (own, theirs)])(params, x), 2e-4)


WIDE = [((3, 3), (1, 1), "SAME", (8, 8)), ((3, 3), (1, 1), "SAME", (13, 10)), ((3, 3), (1, 1), "VALID", (9, 12)),
        ((3, 3), (1, 1), ((2, 0), (-1, 3)), (12, 16)), ((4, 4), (2, 2), ((1, 1), (1, 1)), (16, 16)),
        ((4, 4), (2, 2), "SAME", (18, 14)), ((4, 4), (2, 2), ((2, 3), (0, 1)), (15, 19)),
        ((4, 3), (2, 2), ((1, 1), (0, 2)), (24, 24)), ((2, 2), (1, 1), "SAME", (10, 10)),
        ((6, 6), (2, 2), ((2, 2), (2, 2)), (16, 16))]


@pytest.mark.parametrize("c, o", [(32, 48), (64, 32)])
@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("kernel, strides, padding, size", WIDE)
def test_minimal_filtering_equals_flax_to_second_order(used, monkeypatch, kind, kernel, strides, padding, size, c, o):
    monkeypatch.setattr(onednn, "GAIN", 1.0)
    monkeypatch.setattr(onednn, "FEWEST", 1)
    own, theirs = (layer(o, kernel, strides, padding) for layer in PAIRS[kind])
    x = draw(0, 3, *size, c)
    params = theirs.init(jax.random.key(1), x)
    text = program(lambda *args: value_gradient_penalty(own, *args), params, x)
    assert "cells = 2" in text or "cells = 3" in text
    assert "cells = 0" not in text
    close(*jax.jit(lambda *args: [value_gradient_penalty(layer, *args) for layer in (own, theirs)])(params, x), 2e-4)


FORMS = {  # part, channels, kernel, strides, padding -> the form
    **{("image", c, 20, k, s, p): form for c, form in ((1, "products"), (3, "products"), (7, "cells"))
       for k, s, p in (((4, 4), (2, 2), (1, 1)), ((3, 3), (2, 2), (0, 1)), ((5, 4), (2, 2), (3, 2)),
                       ((2, 2), (2, 2), (0, 0)), ((1, 3), (2, 1), (0, 2)), ((6, 3), (1, 2), (4, 0)))},
    **{(part, 12, o, k, (1, 1), p): form for part, o, form in (
        ("output", 1, "products"), ("output", 3, "products"), ("kernel", 1, "exchange"), ("kernel", 8, "exchange"))
       for k, p in (((3, 3), (1, 1)), ((1, 1), (0, 0)), ((4, 3), (3, 0)), ((2, 5), (0, 3)))},
    **{("image", 3, 12, k, (1, 1), p): "products" for k, p in (((3, 3), (1, 1)), ((1, 1), (0, 0)), ((4, 5), (0, 3)))},
    ("image", 9, 20, (4, 4), (2, 2), (1, 1)): "", ("image", 3, 3, (4, 4), (2, 2), (1, 1)): "",
    ("image", 4, 20, (3, 3), (1, 1), (1, 1)): "", ("output", 12, 3, (3, 3), (2, 2), (1, 1)): "",
    ("output", 12, 4, (3, 3), (1, 1), (1, 1)): "", ("kernel", 12, 9, (3, 3), (1, 1), (1, 1)): "",
    ("kernel", 12, 3, (2, 2), (1, 1), (2, 0)): "",
}


@pytest.mark.parametrize("part, c, o, kernel, strides, low", FORMS)
def test_forms_for_few_channels_equal_xlas(used, part, c, o, kernel, strides, low):
    high, sides = (min(2, kernel[0] - 1), 0), (9, 12)
    outputs = [(n + sum(p) - k) // s + 1 for n, *p, k, s in zip(sides, low, high, kernel, strides, strict=True)]
    shapes = {"image": (2, *sides, c), "kernel": (*kernel, c, o), "output": (2, *outputs, o)}
    given = [draw(i, *shapes[name]) for i, name in enumerate(onednn.ARGUMENTS[part])]
    options = {"size": kernel if part == "kernel" else shapes[part][1:3], "window": (*strides, *low, 1)}
    bound = partial(getattr(onednn, f"_{part}").bind, **options)
    form = onednn.narrow(part, *(jax.ShapeDtypeStruct(shapes[name], jnp.float32) for name in onednn.PARTS),
                         options["window"])
    expected = FORMS[part, c, o, kernel, strides, low]
    assert (form.__name__ if form else "") == (f"_{part}_by_{expected}" if expected else "")
    assert ("gen_convolution" in program(bound, *given)) == (expected != "products")
    close(bound(*given), onednn.XLA[part](*given, **options), 1e-5)


@pytest.mark.parametrize("dtype, groups", [(jnp.bfloat16, 1), (jnp.float32, 2)])
def test_few_channels_of_bfloat16_and_of_groups_are_onednns(dtype, groups):
    x, w, y = (jax.ShapeDtypeStruct(shape, dtype) for shape in ((2, 8, 8, 2), (4, 4, 2 // groups, 16), (2, 4, 4, 16)))
    assert onednn.narrow("image", x, w, y, (2, 2, 1, 1, groups)) is None


@pytest.mark.parametrize("c, o, groups", [(64, 96, 2), (192, 128, 4)])
@pytest.mark.parametrize("kernel, padding", [((3, 3), "SAME"), ((2, 2), EXPLICIT)])
def test_minimal_filtering_of_groups_equals_flax_to_second_order(used, monkeypatch, kernel, padding, c, o, groups):
    monkeypatch.setattr(onednn, "GAIN", 1.0)
    monkeypatch.setattr(onednn, "FEWEST", 1)
    own, theirs = (layer(o, kernel, (1, 1), padding, feature_group_count=groups) for layer in PAIRS["conv"])
    x = draw(0, 3, 12, 10, c)
    params = theirs.init(jax.random.key(1), x)
    text = program(lambda *args: value_gradient_penalty(own, *args), params, x)
    assert f"cells = {kernel[0]}" in text and "cells = 0" not in text
    close(*jax.jit(lambda *args: [value_gradient_penalty(layer, *args) for layer in (own, theirs)])(params, x), 2e-4)


def test_minimal_filtering_sums_many_tiles_and_wide_kernels(used, monkeypatch):
    x, w = draw(0, 5, 33, 33, 32), draw(1, 3, 3, 32, 512) / 17
    y = draw(2, 5, 33, 33, 512)

    def both(x, w, y):
        value, back = jax.vjp(layers.conv, x, w)
        return value, *back(y)

    ours = jax.jit(lambda *args: both(*args))
    text = ours.lower(x, w, y).as_text()
    assert text.count("cells = 3") == 3
    with onednn.without():
        expected = jax.jit(lambda *args: both(*args))(x, w, y)
    close(ours(x, w, y), expected, 2e-4)
    again = ours(x, w, y)
    for _ in range(3):
        jax.tree.map(np.testing.assert_array_equal, ours(x, w, y), again)


def test_minimal_filtering_rounds_no_worse_than_the_direct_form(used, monkeypatch):
    x, w, y = jax.nn.relu(draw(0, 4, 16, 16, 64)), draw(1, 3, 3, 64, 64) / 24, draw(2, 4, 16, 16, 64)

    def both(x, w, y):
        value, back = jax.vjp(layers.conv, x, w)
        return value, *back(y)

    filtered = jax.jit(lambda *args: both(*args))(x, w, y)
    monkeypatch.setattr(onednn, "NARROWEST", 1024)
    direct = jax.jit(lambda *args: both(*args))
    assert "cells = 3" not in direct.lower(x, w, y).as_text()
    with jax.enable_x64(True), onednn.without():
        exact = jax.jit(lambda *args: both(*args))(*(np.asarray(a, np.float64) for a in (x, w, y)))
        assert {a.dtype for a in exact} == {np.dtype(np.float64)}
    for a, b, c in zip(filtered, direct(x, w, y), exact, strict=True):
        ours, theirs = (np.std(np.asarray(v) - np.asarray(c)) for v in (a, b))
        assert ours < 1.5 * theirs < 1e-5 * np.std(np.asarray(c))


@pytest.mark.parametrize("changed, expected", [
    ({}, 3), ({"c": 16}, 0), ({"o": 40}, 0), ({"n": 1, "side": 6}, 0), ({"side": 5}, 0), ({"k": 4, "stride": 2}, 2),
    ({"k": 3, "stride": 2}, 0), ({"k": 5, "stride": 2}, 0), ({"k": 1}, 0), ({"k": 5}, 0),
    ({"groups": 2}, 0), ({"groups": 2, "c": 64, "o": 64}, 3), ({"groups": 2, "c": 64, "o": 64, "k": 4, "stride": 2}, 0),
    ({"dtype": jnp.bfloat16}, 0)])
def test_where_minimal_filtering_is_taken(changed, expected):
    told = {"n": 8, "side": 16, "c": 32, "o": 32, "k": 3, "stride": 1, "groups": 1, "dtype": jnp.float32} | changed
    n, side, c, o, k, stride, groups, dtype = told.values()
    x, w, y = (jax.ShapeDtypeStruct(shape, dtype) for shape in (
        (n, side, side, c), (k, k, c // groups, o), (n, side // stride, side // stride, o)))
    assert onednn.cells(x, w, y, (stride, stride, (k - 1) // 2, (k - 1) // 2, groups)) == expected


def test_the_derivatives_of_all_three_in_both_of_their_arguments(used):
    x, w, y = draw(0, 3, 6, 5, 4), draw(1, 3, 3, 4, 6), draw(2, 3, 6, 5, 6)
    window = onednn._window((1, 1), ((1, 1), (1, 1)), 1)
    for made, size, a, b in ((onednn._output, (6, 5), x, w), (onednn._image, (6, 5), y, w),
                             (onednn._kernel, (3, 3), x, y)):
        f = partial(made.bind, size=size, window=window)
        da, db = draw(3, *a.shape), draw(4, *b.shape)
        value, tangent = jax.jvp(f, (a, b), (da, db))
        close(tangent, f(da, b) + f(a, db))
        cotangents = jax.vjp(f, a, b)[1](value)
        np.testing.assert_allclose(jnp.vdot(cotangents[0], da) + jnp.vdot(cotangents[1], db), jnp.vdot(value, tangent),
                                   rtol=1e-4)


def test_vmap_over_images_kernels_and_both(used):
    x, w = draw(0, 3, 2, 8, 8, 4), draw(1, 3, 3, 3, 4, 6)
    y = draw(2, 3, 2, 8, 8, 6)
    def both(x, w, y):
        value, back = jax.vjp(partial(layers.conv, strides=1), x, w)
        return value, back(y)

    for axes in ((0, None, None), (None, 0, 0), (0, 0, 0), (None, 0, None), (0, None, 0)):
        args = [a if d == 0 else a[0] for a, d in zip((x, w, y), axes, strict=True)]
        expected = [both(*(a if d is None else a[i] for a, d in zip(args, axes, strict=True))) for i in range(3)]
        close(jax.vmap(both, axes)(*args), jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected))


def test_the_images_of_a_batch_are_computed_by_themselves_and_the_same_bits_each_time(used):
    x, w = draw(0, 13, 9, 9, 16), draw(1, 3, 3, 16, 16)
    both = jax.jit(lambda x, w: jax.vjp(layers.conv, x, w)[1](jnp.cos(layers.conv(x, w))))
    first = both(x, w)
    for _ in range(5):
        jax.tree.map(np.testing.assert_array_equal, both(x, w), first)
    one = jax.jit(layers.conv)
    for i in range(len(x)):
        close(one(x[i:i + 1], w), one(x, w)[i:i + 1], 1e-6)


@pytest.mark.parametrize("n, side, c, o", [(4, 3, 96, 128), (16, 4, 512, 512)])
def test_a_kernel_larger_than_its_images_has_the_same_gradient(used, n, side, c, o):
    x, w, y = draw(0, n, side, side, c), draw(1, 3, 3, c, o), draw(2, n, side, side, o)
    def gradient(x, w):
        return jax.vjp(layers.conv, x, w)[1](y)

    with onednn.without():
        expected = jax.jit(lambda *args: gradient(*args))(x, w)
    close(jax.jit(lambda *args: gradient(*args))(x, w), expected)


def test_bfloat16_in_and_out(used):
    x, w = draw(0, 4, 8, 8, 32), draw(1, 3, 3, 32, 16)
    halves = [a.astype(jnp.bfloat16) for a in (x, w)]
    exact = jax.vjp(layers.conv, *(a.astype(jnp.float32) for a in halves))
    y, back = jax.vjp(layers.conv, *halves)
    assert "gen_convolution_output" in program(layers.conv, *halves) and y.dtype == jnp.bfloat16
    for ours, theirs in zip((y, *back(y)), (exact[0], *exact[1](y.astype(jnp.float32))), strict=True):
        close(ours.astype(jnp.float32), theirs, 1e-2)


@pytest.mark.parametrize("f", [lambda x: resampling.filtered(x, 2, 1, 2.0), resampling.halve, resampling.double,
                               partial(resampling.double, border="edge")])
def test_filters_of_stylegan2(used, f):
    x = draw(0, 3, 8, 6, 5)
    ours = f(x), jax.grad(lambda x: jnp.sum(f(x)**3))(x)
    assert "gen_convolution" in program(f, x)
    with onednn.without():
        assert "gen_convolution" not in program(lambda x: f(x), x)
        close(ours, (f(x), jax.grad(lambda x: jnp.sum(f(x)**3))(x)), 1e-5)


@pytest.mark.parametrize("changed", ["float64", "devices", "empty", "off"])
def test_what_it_does_not_serve_is_xlas(used, monkeypatch, changed):
    x, w = jnp.zeros((2, 4, 4, 3)), jnp.zeros((3, 3, 3, 4))
    assert onednn.serves(x, w)
    if changed == "devices":
        monkeypatch.setattr(jax, "device_count", lambda: 2)
    if changed == "off":
        monkeypatch.setitem(onednn._state, "version", "")
    if changed == "empty":
        x = x[:0]
    if changed == "float64":
        x, w = (jax.ShapeDtypeStruct(a.shape, jnp.float64) for a in (x, w))
    assert not onednn.serves(x, w)


def test_programs_for_other_platforms_have_none_of_it(used):
    x, w = jnp.zeros((2, 4, 4, 3)), jnp.zeros((3, 3, 3, 4))
    slopes = jax.jit(jax.grad(lambda x, w: jnp.square(layers.conv(x, w)).sum(), (0, 1)))
    text = slopes.trace(x, w).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.convolution") == 3 and "gen_convolution" not in text


@pytest.mark.parametrize("part", onednn.PARTS)
def test_what_other_platforms_have_in_its_place_is_the_same(used, part):
    shapes = {"image": (2, 7, 9, 6), "kernel": (3, 2, 3, 8), "output": (2, 4, 4, 8)}
    given = [jax.random.normal(jax.random.key(0), shapes[name]) for name in onednn.ARGUMENTS[part]]
    options = {"size": shapes[part][:2] if part == "kernel" else shapes[part][1:3], "window": (2, 2, 1, 0, 2)}
    theirs = onednn.XLA[part](*given, **options)
    assert theirs.shape == shapes[part]
    np.testing.assert_allclose(getattr(onednn, f"_{part}").bind(*given, **options), theirs, rtol=1e-5, atol=1e-5)


def test_what_was_traced_with_it_is_traced_again_without(used):
    x, w = jnp.zeros((2, 6, 6, 3)), jnp.zeros((3, 3, 3, 4))
    inner = jax.jit(lambda x, w: layers.conv(x, w, (1, 1), EXPLICIT))
    outer = jax.jit(lambda x, w: inner(x, w).sum())
    assert "gen_convolution" in outer.lower(x, w).as_text()
    with onednn.without():
        assert "gen_convolution" not in outer.lower(x, w).as_text()
    assert "gen_convolution" in outer.lower(x, w).as_text()


def test_programs_that_this_one_starts_do_not_inherit_how_threads_wait(used):
    assert onednn.WAITING not in os.environ
    assert subprocess.run(["printenv", onednn.WAITING], capture_output=True).returncode


def test_choices_and_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(onednn._state, "version", "")
    with pytest.raises(UserError, match="GEN_CONVOLUTIONS=mkl: use onednn, xla"):
        onednn.choose("mkl")
    onednn.choose("xla")
    assert not onednn.version() and numerics.convolutions() == "xla"
    monkeypatch.setattr(onednn, "PACKAGES", ("no-such-package",))
    onednn.choose("")
    assert not onednn.version()
    with pytest.raises(UserError, match=r"pip install -e '\.\[onednn\]'"):
        onednn.choose("onednn")


@pytest.mark.parametrize("compiler, said", [
    ("", "needs a C\\+\\+ compiler"), ("false", "do not compile here"),
    ("/no/such -O3", "CXX=/no/such -O3 cannot be run")])
def test_without_a_compiler_that_works_convolutions_stay(monkeypatch, tmp_path, compiler, said):
    if not onednn.installed():
        pytest.skip("needs gen[onednn]")
    warned = []
    monkeypatch.setitem(onednn._state, "version", "")
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(onednn.shutil, "which", lambda name: None)
    monkeypatch.setattr(logging, "warning", lambda text, *args: warned.append(text % args))
    with pytest.raises(UserError, match=said):
        onednn.choose("onednn")
    onednn.choose("")
    assert not onednn.version() and len(warned) == 1 and warned[0].startswith("Convolutions stay XLA's: ")


def test_a_library_that_cannot_be_loaded_is_one_line(monkeypatch, tmp_path):
    if not onednn.installed():
        pytest.skip("needs gen[onednn]")
    (tmp_path / "empty.so").write_bytes(b"")
    monkeypatch.setitem(onednn._state, "version", "")
    monkeypatch.setattr(onednn, "_built", lambda folder: tmp_path / "empty.so")
    with pytest.raises(UserError, match="oneDNN cannot be loaded here: .*empty.so") as error:
        onednn.use()
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_run_that_stops_goes_on_with_the_same_bits_and_says_when_convolutions_change(tmp_path):
    if not onednn.installed():
        pytest.skip("needs gen[onednn]")

    def train(name, steps, convolutions="onednn"):
        done = subprocess.run(
            [sys.executable, "scripts/train.py", "--config=experiments/gan/mnist_small.py:smoke",
             f"--config.train.steps={steps}", f"--workdir={tmp_path}/{name}"], cwd=ROOT, text=True, capture_output=True,
            env=users_environment() | {"GEN_CONVOLUTIONS": convolutions, "JAX_NUM_CPU_DEVICES": "1"})
        assert done.returncode == 0, done.stderr
        return done.stderr

    def newest(name):
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if not k.startswith(("time", "images_per", "wall"))}
                for line in lines if '"step": 4' in line]

    train("whole", 4)
    train("parts", 2)
    assert "other rounding" not in train("parts", 4)
    assert newest("whole") and newest("whole") == newest("parts")
    assert f"convolutions: onednn {version(onednn.PACKAGES[0])} -> xla" in train("parts", 6, "xla")


@pytest.mark.parametrize("shape, groups", [((3, 6, 5, 8), 4), ((2, 7, 6), 6), ((2, 3, 4, 2, 4), 1)])
def test_group_norm_equals_flax_to_second_order(shape, groups):
    own, theirs, x = GroupNorm(groups), nn.GroupNorm(groups), 2 + draw(0, *shape)
    params = jax.tree.map(lambda a: a + draw(3, *a.shape), theirs.init(jax.random.key(1), x))
    assert jax.tree.map(jnp.shape, own.init(jax.random.key(1), x)) == jax.tree.map(jnp.shape, params)
    close(*(value_gradient_penalty(layer, params, x) for layer in (own, theirs)), 2e-4)


class Modulated(nn.Module):
    """Flax's group norm, then a gain and an offset of each channel and an activation, one after another."""

    @nn.compact
    def __call__(self, x, gain, offset):
        space = tuple(range(1, x.ndim - 1))
        y = nn.GroupNorm(4, name="GroupNorm_0")(x)
        return nn.swish(y * jnp.expand_dims(gain, space) + jnp.expand_dims(offset, space))


@pytest.mark.parametrize("wrt", ["params", "x", "gain", "offset"])
def test_what_follows_a_group_norm_equals_it_one_after_another_to_second_order(wrt):
    x, gain, offset = 2 + draw(0, 3, 6, 5, 8), 1 + draw(1, 3, 8), draw(2, 3, 8)
    params = jax.tree.map(lambda a: a + draw(3, *a.shape), Modulated().init(jax.random.key(1), x, gain, offset))
    given = {"params": params, "x": x, "gain": gain, "offset": offset}

    def own(params, x, gain, offset):
        return GroupNorm(4, activation=nn.swish).apply({"params": params["params"]["GroupNorm_0"]}, x, gain, offset)

    def theirs(params, x, gain, offset):
        return Modulated().apply(params, x, gain, offset)

    def found(function):
        def penalty(value):
            slope = jax.grad(lambda v: jnp.sin(function(**given | {wrt: v})).sum())(value)
            return sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(slope))

        return function(**given), jax.grad(penalty)(given[wrt])

    close(found(jax.jit(own)), found(theirs), 1e-3)


def test_group_norm_of_bfloat16_has_moments_of_float32():
    x = (100 + draw(0, 2, 32, 32, 8)).astype(jnp.bfloat16)
    y, params = GroupNorm(2, dtype=jnp.bfloat16).init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    wide = np.asarray(x, np.float64).reshape(2, -1, 2, 4)
    expected = (wide - wide.mean((1, 3), keepdims=True)) / wide.std((1, 3), keepdims=True)
    np.testing.assert_allclose(np.asarray(y, np.float64).reshape(wide.shape), expected, atol=0.02)


def test_groups_that_do_not_divide_are_a_user_error():
    with pytest.raises(UserError, match="8 channels are no multiple"):
        GroupNorm(3).init(jax.random.key(0), jnp.zeros((1, 2, 2, 8)))
