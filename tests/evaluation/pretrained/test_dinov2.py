"""A small DINOv2 with random weights against its formula in float64, and the positions against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, softmax

from gen.errors import UserError
from gen.evaluation.pretrained import dinov2, weights
from gen.evaluation.pretrained.dinov2 import CUBIC, PATCH, DINOv2, Size, attention, converted, interpolation, positions
from gen.evaluation.pretrained.networks import NETWORKS
from tests.evaluation.pretrained.torch_files import save

RNG = np.random.default_rng(0)
TINY, SIDE = Size(8, 2, 2), 3 * PATCH


def random_tensors(size: Size = TINY, patches: int = 9) -> dict[str, np.ndarray]:
    shapes = dinov2.tensor_shapes(size) | {"pos_embed": (1, patches + 1, size.width)}
    return {name: np.float32(RNG.normal(size=shape) / shape[-1] ** 0.5) for name, shape in shapes.items()}


def formula(x, tensors, size: Size):
    """The class token after the last norm of one image [s s 3], in float64, from the checkpoint's tensors."""
    t = {name: np.float64(values) for name, values in tensors.items()}
    d, n = size.width, len(x) // PATCH

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * t[f"{name}.weight"] + t[f"{name}.bias"]

    def dense(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    patches = [np.einsum("hwc,dchw->d", x[i * PATCH:(i + 1) * PATCH, j * PATCH:(j + 1) * PATCH],
                         t["patch_embed.proj.weight"]) + t["patch_embed.proj.bias"] for i in range(n) for j in range(n)]
    z = np.concatenate([t["cls_token"][0], np.stack(patches)]) + t["pos_embed"][0]
    for block in (f"blocks.{i}" for i in range(size.depth)):
        qkv, width, heads = dense(norm(z, f"{block}.norm1"), f"{block}.attn.qkv"), d // size.heads, []
        for first in range(0, d, width):
            q, k, v = (qkv[:, part + first:part + first + width] for part in (0, d, 2 * d))
            heads.append(softmax(q @ k.T / np.sqrt(width), axis=-1) @ v)
        z = z + t[f"{block}.ls1.gamma"] * dense(np.concatenate(heads, -1), f"{block}.attn.proj")
        hidden = dense(norm(z, f"{block}.norm2"), f"{block}.mlp.fc1")
        hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
        z = z + t[f"{block}.ls2.gamma"] * dense(hidden, f"{block}.mlp.fc2")
    return norm(z[0], "norm")


def test_a_small_network_is_the_formula():
    tensors, x = random_tensors(), 9 * RNG.normal(size=(3, SIDE, SIDE, 3))
    found = DINOv2(TINY).apply(converted(TINY, tensors, SIDE), jnp.float32(x))
    expected = np.stack([formula(image, tensors, TINY) for image in x])
    assert found.shape == (3, 8) and np.std(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_attention_to_equal_keys_is_a_mean_and_to_a_certain_one_its_value():
    values = jnp.float32(RNG.normal(size=(1, 1, 5, 4)))
    found = attention(jnp.ones((1, 1, 2, 4)), jnp.ones((1, 1, 5, 4)), values)
    np.testing.assert_allclose(found[0, 0], jnp.broadcast_to(values[0, 0].mean(0), (2, 4)), atol=1e-6)
    certain = attention(1e4 * jnp.eye(4)[None, None, 2:3], jnp.eye(5, 4)[None, None], values)
    np.testing.assert_allclose(certain[0, 0, 0], values[0, 0, 2], atol=1e-6)


def test_positions_of_a_ramp_and_a_constant():
    """i is at (i + 1/2) 37 / 16.1 - 1/2; t after a position, a straight line gains (2 a + 1) t (1 - t) (2 t - 1)."""
    matrix = interpolation(37, 16)
    assert matrix.shape == (16, 37)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
    where = (np.arange(16) + 0.5) * 37 / 16.1 - 0.5
    t = where % 1
    expected = where + (2 * CUBIC + 1) * t * (1 - t) * (2 * t - 1)
    np.testing.assert_allclose((matrix @ np.arange(37))[1:-1], expected[1:-1], atol=1e-12)
    assert np.count_nonzero(matrix, axis=1).max() <= 4, "four taps: it does not antialias"


def test_weights_between_positions():
    """The cubic kernel's taps at 1 + t and t, written out (Keys 1981, eq. 4)."""
    where, a = 50.5 * 202 / 100.1 - 0.5, CUBIC
    low, t = int(where), where % 1
    taps = [a * (1 + t) ** 3 - 5 * a * (1 + t) ** 2 + 8 * a * (1 + t) - 4 * a, (a + 2) * t**3 - (a + 3) * t**2 + 1]
    np.testing.assert_allclose(interpolation(202, 100)[50, low - 1:low + 1], taps, atol=1e-12)


def test_the_border_goes_on_for_ever():
    """Beyond it the first value counts again: a ramp that begins there is level."""
    where = 0.5 * 3 / 9.1 - 0.5
    t = where - np.floor(where)
    beyond = (((1 + t) * CUBIC - 5 * CUBIC) * (1 + t) + 8 * CUBIC) * (1 + t) - 4 * CUBIC
    beyond += ((CUBIC + 2) * t - (CUBIC + 3)) * t**2 + 1 + ((CUBIC + 2) * (1 - t) - (CUBIC + 3)) * (1 - t) ** 2 + 1
    assert interpolation(3, 9)[0, 0] == pytest.approx(beyond, abs=1e-12) and where < 0


def test_positions_keep_the_class_token_and_each_axis():
    embedding = RNG.normal(size=(1, 50, 4))
    rows = np.broadcast_to(np.arange(7.0)[:, None, None], (7, 7, 4))
    embedding[0, 1:] = rows.reshape(49, 4)
    found = positions(np.float32(embedding), 4)
    assert found.shape == (1, 17, 4) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0, 0], np.float32(embedding[0, 0]))
    grid = found[0, 1:].reshape(4, 4, 4)
    np.testing.assert_allclose(grid, np.broadcast_to(grid[:, :1, :1], (4, 4, 4)), atol=1e-6)
    assert (np.diff(grid[:, 0, 0]) > 1).all()
    np.testing.assert_array_equal(positions(np.float32(embedding), 7), np.float32(embedding))


@pytest.mark.parametrize("name, numbers", [("vitb14", 86_580_480), ("vitl14", 304_368_640)])
def test_the_tensors_are_those_of_the_published_checkpoints(name, numbers):
    """They have a token of masks too, which features do not see."""
    shapes = dinov2.tensor_shapes(dinov2.SIZES[name])
    assert sum(int(np.prod(shape)) for shape in shapes.values()) + dinov2.SIZES[name].width == numbers
    assert len(shapes) == 6 + 14 * dinov2.SIZES[name].depth and shapes["pos_embed"][1] == 37**2 + 1


def test_weights_of_another_network_and_absent_ones_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "data"))
    published = NETWORKS["dinov2_vitb14"].published
    with pytest.raises(UserError, match=r"DINOv2 vitb14 are not in.*prepare_weights.py --name=dinov2_vitb14`.*--from"
                       ) as error:
        weights.load(published)
    assert "\n" not in str(error.value)
    file = save(tmp_path / "other.pth", random_tensors())
    with pytest.raises(UserError, match=r"published weights, dinov2_vitb14_pretrain.pth, 0b8b82f85de91b42"):
        weights.prepare(published, [file])
    with pytest.raises(UserError, match=r"'cls_token' has the shape \(1, 1, 8\), not \(1, 1, 768\): it is no DINOv2"
                       ) as error:
        weights.prepare(published, [file], allow_other=True)
    assert "\n" not in str(error.value)
