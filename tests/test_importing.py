"""Weights in the layouts of published PyTorch networks: the same outputs, and what is no such network is refused.

The expected values are those of the released code in PyTorch, with the weights of `wave`.
"""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen import importing
from gen.errors import UserError
from gen.evaluation.pretrained.checkpoint import safetensors
from tests.environment import ROOT

SHAPES = json.loads((ROOT / "tests/storage/torch_shapes.json").read_text())
"""Layout to player to the names and shapes of its `state_dict`."""

EXPECTED = {
    "dcgan": {"corner": (-0.033908, -0.043221, -0.051893), "middle": (-0.040648, 0.055244, 0.055347),
              "squares": 141.82741, "logits": (1.5436451, 1.6140295)},
    "sngan": {"corner": (0.764813, -0.557409, 0.417233), "middle": (-0.121486, 0.991921, -0.988847),
              "squares": 4033.7207, "logits": (-0.12706354, -0.12339458)},
    "sngan_resnet": {"corner": (-0.965789, -1.0, 1.0), "middle": (-1.0, 1.0, -1.0),
                     "squares": 6110.6919, "logits": (-5.9051018, -6.0890064)},
    "mimicry_sngan": {"corner": (0.03588169, 0.5460472, -0.07751968), "middle": (0.43219322, 0.7541657, 0.09062956),
                      "squares": 1517.5568, "logits": (57.422733, 56.998775)},
    "r3gan": {"corner": (-0.002716, -0.009024, 0.036221), "middle": (-0.076, -0.017915, -0.079097),
              "squares": 2.8264993, "logits": (0.02782187, -0.00127836)},
    "stylegan2": {"corner": (0.604577, -0.19843, 0.36199), "middle": (0.972676, -0.157674, 0.491627),
                  "squares": 545.887009, "logits": (-0.009088987, -0.0065917)},
    "stylegan2_orig": {"corner": (0.411945, -0.275274, 0.271733), "middle": (0.341633, -0.295248, 0.291499),
                       "squares": 148.12636, "logits": (0.2774651, 0.27746424)},
    "stylegan2_resnet": {"corner": (0.352421, -0.319216, 0.266364), "middle": (0.376246, -0.340695, 0.25222),
                         "squares": 165.349229, "logits": (0.3761568, 0.37613928)},
}
"""The first pixel of the first sample, the one left of the middle of the second, the sum of squares; the logits.

StyleGAN2's discriminator of `stylegan2` is residual, that of `stylegan2_resnet` of skips.
"""

TRUNCATED = {"stylegan2": (547.70444, 545.690058), "stylegan2_orig": (141.981765, 148.125159),
             "stylegan2_resnet": (161.193499, 165.347967)}
"""The sum of squares with styles half way to their mean, and with those of the other sample from layer 3 on."""


def wave(i: int, shape) -> np.ndarray:
    """0.3 cos(j^2 (1 + i / 10)) at place j."""
    return (0.3 * np.cos(np.arange(np.prod(shape, dtype=int), dtype=np.float64)**2 * (1 + i / 10))).reshape(
        shape).astype(np.float32)


def tensors(layout: str, player: str) -> dict[str, np.ndarray]:
    """The waves, in the order of the names; variances positive, u and v the first singular vectors."""
    found = {}
    for i, (name, shape) in enumerate(sorted(SHAPES[layout][player].items())):
        if not name.endswith(("num_batches_tracked", "weight_u", "weight_v", "sn_u", "sn_sigma")):
            found[name] = np.abs(wave(i, shape)) + 0.5 if name.endswith("running_var") else wave(i, shape)
            found[name] *= 100 if name.startswith("mapping.fc") else 1
    for name in [name for name in SHAPES[layout][player] if name.endswith(("weight_u", "sn_u"))]:
        stem = name.removesuffix("weight_u").removesuffix("sn_u")
        weight = found[stem + ("weight_orig" if name.endswith("weight_u") else "weight")]
        u, sigma, v = np.linalg.svd(weight.reshape(len(weight), -1).astype(np.float64), full_matrices=False)
        table = {"weight_u": u[:, 0], "weight_v": v[0], "sn_u": u[:, :1].T, "sn_sigma": sigma[:1]}
        found |= {stem + end: np.float32(value) for end, value in table.items() if stem + end in SHAPES[layout][player]}
    return found


def write(path, table):
    path.write_bytes(safetensors(table, {}))
    return path


@pytest.fixture
def files(tmp_path):
    """Layout to its two files."""
    return lambda layout: [write(tmp_path / f"{layout}_{player}.safetensors", tensors(layout, player))
                           for player in ("generator", "discriminator")]


@pytest.mark.slow
@pytest.mark.parametrize("layout", EXPECTED)
def test_outputs_are_those_of_the_released_network(layout, files, tmp_path):
    name = "stylegan2" if layout.startswith("stylegan2") else layout
    run = gen.load(importing.import_weights(name, *files(layout), tmp_path / "out"))
    side, latents, methods = run.spec.shape[0], run.config.latents, run.program.family.methods
    label = {"label": jnp.arange(2)} if run.spec.classes else {}
    z = jnp.asarray(3 * wave(1, (2, latents)))
    y = np.asarray(methods["decode"](run.state, z, **label))
    expected = EXPECTED[layout]
    np.testing.assert_allclose(y[0, 0, 0], expected["corner"], rtol=0, atol=2e-4)
    np.testing.assert_allclose(y[1, side // 2, side // 2 - 1], expected["middle"], rtol=0, atol=2e-4)
    np.testing.assert_allclose(np.square(y).sum(), expected["squares"], rtol=2e-5)
    logits = methods["discriminate"](run.state, jnp.asarray(3 * wave(2, (2, side, side, 3))), **label)
    np.testing.assert_allclose(logits, expected["logits"], rtol=2e-4, atol=1e-6)
    assert run.sample(3, 0, **({"label": 1} if label else {})).shape == (3, side, side, 3)
    for options, squares in zip(({"truncation": 0.5}, {"second": z[::-1], "crossover": 3}), TRUNCATED.get(layout, ()),
                                strict=False):
        y = methods["decode"](run.state, z, **label, **options)
        np.testing.assert_allclose(np.square(y).sum(), squares, rtol=2e-5)


@pytest.mark.slow
def test_without_a_discriminator_it_has_its_initial_values(files, tmp_path):
    generator, _ = files("dcgan")
    run = gen.load(importing.import_weights("dcgan", generator, None, tmp_path / "out"))
    assert np.isfinite(run.sample(2, 0)).all()
    assert 0 < np.std(run.state.params["discriminator"]["logits"]["kernel"]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("change, said", [
    (lambda table: table.pop("main.4.running_var"), "is not of this layout: main.4.running_var is missing"),
    (lambda table: table.update({"extra.weight": np.zeros(2, np.float32)}), "is not of"),
    (lambda table: table.update({"main.1.weight": np.zeros(3, np.float32)}), "BatchNorm_0.scale' is float32[3]"),
    (lambda table: table.update({"main.0.weight": np.zeros((5, 16), np.float32)}), "is not of this layout"),
    (lambda table: table.clear(), "is not of the layout 'dcgan'"),
])
def test_another_network_is_one_line(change, said, tmp_path):
    table = tensors("dcgan", "generator")
    change(table)
    with pytest.raises(UserError) as error:
        importing.import_weights("dcgan", write(tmp_path / "g.safetensors", table), None, tmp_path / "out")
    assert "\n" not in str(error.value) and "g.safetensors" in str(error.value)
    assert said in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("asked, layout", [("dcgan", "sngan"), ("stylegan2", "r3gan"), ("r3gan", "dcgan")])
def test_files_of_another_layout_are_told_theirs(asked, layout, files, tmp_path):
    with pytest.raises(UserError, match=rf"\. It looks like --layout={layout}\.$") as error:
        importing.import_weights(asked, *files(layout), tmp_path / "out")
    assert str(error.value).count("--layout") == 1


def test_an_unknown_layout_and_a_folder_of_other_files_are_one_line(tmp_path):
    with pytest.raises(UserError, match="dcgan"):
        importing.import_weights("dcgam", tmp_path / "g.pth", None, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(UserError, match="holds other files"):
        importing.import_weights("dcgan", tmp_path / "g.pth", None, tmp_path / "out")
