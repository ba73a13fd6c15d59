"""Exported models: the state comes back bit for bit, of every family; what is not one is refused in a line."""

import json
import pickle
import shutil
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen import commands, exporting
from gen import config as configs
from gen.data import Spec
from gen.errors import UserError
from gen.evaluation.pretrained.checkpoint import read, safetensors
from gen.schema import complete
from gen.storage import exchange, hub
from gen.training import loop
from gen.training.program import abstract_state, make
from tests.environment import ROOT, users_environment
from tests.helpers import gan_config, vae_config

FAMILIES = {
    "vae": ("vae/digits.py", Spec((8, 8, 1), 10, "unit")),
    "gan": ("gan/dcgan_mnist.py", Spec((28, 28, 1), 10, "symmetric")),
    "vaegan": ("vae/vaegan_mnist.py", Spec((28, 28, 1), 10, "unit")),
    "vqvae": ("vae/vqvae_cifar10.py", Spec((32, 32, 3), 10, "unit")),
    "diffusion": ("diffusion/digits.py", Spec((8, 8, 1), 10, "symmetric")),
}


def filled(abstract, seed=0):
    """A state of these shapes with numbers of all bit patterns that its types have, but for NaN."""
    draw = np.random.default_rng(seed)

    def numbers(leaf):
        if leaf.dtype == jnp.float32:
            return jnp.asarray(draw.normal(size=leaf.shape).astype(np.float32) * 10.0 ** draw.integers(-30, 30))
        return jnp.asarray(draw.integers(0, 2**31, leaf.shape, np.int64).astype(leaf.dtype))

    bare = jax.tree.map(numbers, jax.eval_shape(exchange.bare, abstract))
    return bare.replace(key=jax.random.wrap_key_data(bare.key))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_state_of_every_family_comes_back_bit_for_bit(family, tmp_path):
    path, spec = FAMILIES[family]
    config = complete(configs.load(f"{ROOT}/experiments/{path}:smoke"), {})
    assert config.family == family
    abstract = abstract_state(make(config, spec), spec)
    state = filled(abstract)
    exchange.write(tmp_path, state, {"config": json.loads(configs.to_json(config)), "spec": spec._asdict()})
    again = gen.load(tmp_path)
    before, after = (exchange.named(exchange.bare(s)) for s in (state, again.state))
    assert before.keys() == after.keys() and len(before) > 5
    for name in before:
        assert np.asarray(before[name]).tobytes() == np.asarray(after[name]).tobytes(), name
    assert configs.to_json(again.config) == configs.to_json(config) and again.spec == spec
    assert again.step == int(state.step)


@pytest.mark.slow
@pytest.mark.parametrize("config", [vae_config(), gan_config()], ids=["vae", "gan"])
def test_an_exported_run_does_what_the_run_does(config, tmp_path):
    loop.train(config, tmp_path / "run")
    run = gen.load(tmp_path / "run")
    out = exporting.export(run, tmp_path / "shared", "cc-by-4.0")
    again = gen.load(out)
    np.testing.assert_array_equal(again.sample(7, seed=3), run.sample(7, seed=3))
    if config.family == "vae":
        x = run.sample(3)
        np.testing.assert_array_equal(again.encode(x).loc, run.encode(x).loc)
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n") and "| step | 12 |" in card
    assert f"{run.config.data.name}" in card and (out / "samples.png").read_bytes()[:4] == b"\x89PNG"
    assert {path.name for path in out.iterdir()} == exporting.FILES
    exporting.export(run, out)
    with pytest.raises(UserError, match="of step 12 alone"):
        gen.load(out, step=4)
    with pytest.raises(UserError, match="is an exported model, which cannot train on"):
        loop.train(config, out)
    commands.evaluate(str(out), None, {})
    assert {path.name for path in out.iterdir()} == exporting.FILES
    (out / "mine.txt").touch()
    with pytest.raises(UserError, match=r"holds 'mine\.txt'"):
        exporting.export(run, out)


def drawn_without_gen(folder, seed, *labels):
    """What the exported sampler of a folder draws in a process that has JAX alone, as its card says."""
    card = (folder / "README.md").read_text()
    program = card[card.index("import jax.export, numpy"):].split("```")[0].replace("uint32(0)", f"uint32({seed})")
    program += "\nimport sys; assert 'gen' not in sys.modules; numpy.save('drawn.npy', samples)"
    subprocess.run([sys.executable, "-c", program.replace("numpy.zeros(4, numpy.int32)", f"numpy.int32({labels})")],
                   cwd=folder, env=users_environment(), check=True)
    found = np.load(folder / "drawn.npy")
    (folder / "drawn.npy").unlink()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("config", [vae_config(), gan_config(conditioning__name="projection")], ids=["vae", "gan"])
def test_a_sampler_draws_the_samples_of_the_run_without_this_package(config, tmp_path):
    """A conditional model's takes labels."""
    pytest.importorskip("flatbuffers", reason="the test extra has no flatbuffers; the parity extra does")
    loop.train(config, tmp_path / "run")
    run = gen.load(tmp_path / "run")
    out = exporting.export(run, tmp_path / "shared", samples=4)
    labels = (3, 3, 0, 3) if config.family == "gan" else ()
    found, expected = drawn_without_gen(out, 2, *labels), run.sample(4, seed=2, label=3 if labels else None)
    if labels:
        assert np.abs(found[2] - expected[2]).max() > 1e-3
        found, expected = (np.delete(x, 2, 0) for x in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    exporting.export(run, out)
    assert not (out / exporting.SAMPLER).exists()


def test_what_a_sampler_needs(monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    exporting.check_sampler(0)
    for samples, said in ((501, "--sampler=501: a sampler draws 1 to 500"), (4, r"pip install -e '\.\[sampler\]'")):
        with pytest.raises(UserError, match=said):
            exporting.check_sampler(samples)


@pytest.fixture(scope="module")
def abstract():
    """Of a VAE."""
    spec = Spec((8, 8, 1), 10, "unit")
    return abstract_state(make(vae_config(), spec), spec)


@pytest.fixture
def folder(tmp_path, abstract):
    """That VAE exported."""
    spec = Spec((8, 8, 1), 10, "unit")
    description = {"config": json.loads(configs.to_json(vae_config())), "spec": spec._asdict()}
    exchange.write(tmp_path, filled(abstract), description)
    return tmp_path


def changed(folder, change):
    tensors = read(folder / "model.safetensors")
    change(tensors)
    (folder / "model.safetensors").write_bytes(safetensors(tensors, {}))


def test_other_tensors_are_refused_in_a_line_that_names_them(folder, abstract):
    name = next(name for name in read(folder / "model.safetensors") if name.startswith("params.") and "bias" in name)
    whole = (folder / "model.safetensors").read_bytes()
    for change, said in [
        (lambda t: t.pop(name), f"lacks the tensor '{name}'"),
        (lambda t: t.update({"mine": t[name]}), "has a tensor 'mine'"),
        (lambda t: t.update({name: t[name][:-1]}), f"the tensor '{name}' is float32"),
        (lambda t: t.update({name: t[name].astype(np.float64)}), f"the tensor '{name}' is float64"),
    ]:
        changed(folder, change)
        with pytest.raises(UserError, match="model.safetensors") as error:
            exchange.restore(folder, abstract)
        assert said in str(error.value) and "\n" not in str(error.value)
        (folder / "model.safetensors").write_bytes(whole)


class Evil:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize("content", [
    pickle.dumps(Evil()), b"", b"\x89PNG\r\n\x1a\n" * 9, (2**40).to_bytes(8, "little") + b"{}",
    (2).to_bytes(8, "little") + b"{}" + bytes(9),
])  # fmt: skip
def test_foreign_files_are_refused_in_a_line_and_nothing_of_them_runs(folder, abstract, content, capsys):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError) as error:
        exchange.restore(folder, abstract)
    assert "model.safetensors" in str(error.value) and "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_a_cut_off_file_is_refused(folder, abstract):
    whole = (folder / "model.safetensors").read_bytes()
    for length in (4, 100, len(whole) // 2, len(whole) - 1):
        (folder / "model.safetensors").write_bytes(whole[:length])
        with pytest.raises(UserError, match="cannot be read as weights"):
            exchange.restore(folder, abstract)


def test_licences_and_addresses_are_checked():
    with pytest.raises(UserError, match="--license=a b"):
        exporting.check_licence("a b")
    assert hub.parse("hf://me/model.v1@main") == ("me/model.v1", "main")
    for address in ("hf://me", "hf://me/model/x", "hf://../..//x", "hf://me/mo del"):
        with pytest.raises(UserError, match="expected hf://owner/name"):
            hub.parse(address)


def test_models_of_the_hub(folder, tmp_path, monkeypatch):
    """Against a stand-in for the package that copies from a folder, and notes what is sent."""
    sent, asked = [], []

    def snapshot_download(name, revision, local_dir, allow_patterns):
        if name != "me/vae":
            raise ValueError("404\nRepository Not Found")
        asked.append((revision, sorted(allow_patterns)))
        shutil.copytree(folder, local_dir, dirs_exist_ok=True, ignore=shutil.ignore_patterns("data"))

    class HfApi:
        def create_repo(self, name, exist_ok):
            sent.append(name)

        def upload_folder(self, repo_id, folder_path, commit_message):
            sent.append((repo_id, folder_path))

    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "data"))
    package = types.ModuleType("huggingface_hub")
    package.snapshot_download, package.HfApi = snapshot_download, HfApi
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    run = gen.load("hf://me/vae@v2")
    assert run.step == gen.load(folder).step and asked[0] == ("v2", sorted(exporting.FILES))
    with pytest.raises(UserError, match="hf://me/other cannot be downloaded: 404 Repository Not Found"):
        gen.load("hf://me/other")
    assert hub.upload(folder, "me/vae") == "hf://me/vae" and sent == ["me/vae", ("me/vae", str(folder))]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[hub\]'"):
        gen.load("hf://me/vae")
