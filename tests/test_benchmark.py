"""The benchmark: its arithmetic, that it times the training of a run, and its command line."""

import importlib
import json
import subprocess
import sys
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen import benchmark
from gen.benchmark import peers, trainer, workloads
from gen.benchmark.trainer import Trainer
from gen.benchmark.workloads import SETTINGS, WORKLOADS, Setting
from gen.data import Spec
from gen.errors import UserError
from gen.networks import dcgan, layers
from tests.environment import ROOT, users_environment


def tiny(name: str) -> workloads.Workload:
    """A workload with narrow networks on little data, a few steps a dispatch."""
    workload = WORKLOADS[name]
    narrow = {part: options | ({"hidden": (8,)} if options["name"] in ("mlp", "maxout") else {"width": 4})
              for part, options in workload.config.items()
              if part in ("encoder", "decoder", "generator", "discriminator")}
    train = workload.config["train"] | {"log_every": 3, "batch_size": 8}
    return workload._replace(config=workload.config | narrow | {"train": train}, examples=32)


@pytest.fixture
def tiny_workloads(monkeypatch):
    """Every workload made tiny, and a peak that takes no time."""
    monkeypatch.setattr(workloads, "WORKLOADS", {name: tiny(name) for name in WORKLOADS})
    monkeypatch.setattr(trainer, "matmul_peak", lambda precision: {"float32": 1e9, "bfloat16": 4e9}.get(precision, 2e9))


@pytest.mark.slow
def test_parameters_of_the_mlp_vae_are_those_of_its_layers():
    ready = Trainer(WORKLOADS["vae_mlp"]._replace(examples=8))
    sizes = [(784, 200), (200, 200), (200, 50), (200, 50), (50, 200), (200, 200), (200, 784)]
    assert sum(leaf.size for leaf in jax.tree.leaves(ready.state.params)) == sum(i * o + o for i, o in sizes)


@pytest.mark.slow
def test_parameters_of_the_ring_gan_are_those_of_its_layers():
    params = Trainer(WORKLOADS["gan_ring"]._replace(examples=8)).state.params
    count = {player: sum(leaf.size for leaf in jax.tree.leaves(tree)) for player, tree in params.items()}
    assert count["generator"] == 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + 400 * 2 + 2
    assert count["discriminator"] == 2 * 1000 + 1000 + 2 * (200 * 1000 + 1000) + 200 + 1


@pytest.mark.slow
def test_a_dispatch_trains_for_the_steps_of_a_log_line():
    ready = Trainer(tiny("vae_mlp"))
    before = ready.state.params["encoder"]["loc"]["kernel"].copy()
    assert ready.dispatches(2) > 0
    assert int(ready.state.step) == 2 * 3
    assert not np.array_equal(before, ready.state.params["encoder"]["loc"]["kernel"])


@pytest.mark.slow
def test_flops_of_the_mlp_vae_are_those_of_its_matmuls():
    """Each matrix is used three times (forward, to its input, to itself), the first layer's twice."""
    row = Trainer(WORKLOADS["vae_mlp"]._replace(examples=100)).compiled()
    first, rest = 784 * 200, 200 * 200 + 2 * 200 * 50 + 50 * 200 + 200 * 200 + 200 * 784
    assert row["flops_per_step"] == pytest.approx(2 * 100 * (2 * first + 3 * rest), rel=0.15)
    assert row["memory_mb"] > 100 * 784 / 1e6 and row["compile_s"] > 0


def test_plain_convolutions_are_flax_inside_and_ours_outside():
    with pytest.raises(KeyError), trainer.plain_convolutions():
        assert dcgan.Conv is nn.Conv and dcgan.ConvTranspose is nn.ConvTranspose
        raise KeyError
    assert dcgan.Conv is layers.Conv and dcgan.ConvTranspose is layers.ConvTranspose


def test_plain_convolutions_are_traced_with_the_same_parameters():
    images = jnp.zeros((2, 8, 8, 1))

    def traced():
        module = dcgan.DCGANEncoder(width=4)
        variables = jax.eval_shape(partial(module.init, train=False), jax.random.key(0), images)
        text = jax.jit(partial(module.apply, train=False)).lower(variables, images).as_text()
        return "stablehlo.convolution" in text, variables

    ours = traced()
    with trainer.plain_convolutions():
        plain = traced()
    assert (ours[0], plain[0]) == (False, True)
    assert ours[1] == plain[1]


def test_matmul_peak_counts_two_flops_per_product(monkeypatch):
    monkeypatch.setattr(trainer, "MATMUL", {"cpu": 64})
    ticks = iter(np.arange(100) * 0.5)
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: next(ticks))
    assert trainer.matmul_peak() == trainer.matmul_peak("bfloat16") == 2 * 64**3 / 0.5


def test_synthetic_pixels_and_points():
    pixels = workloads.synthetic(Spec((4, 4, 1), 0, "unit"), 500)["x"]
    assert pixels.dtype == np.uint8 and pixels.shape == (500, 4, 4, 1) and {pixels.min(), pixels.max()} == {0, 255}
    points = workloads.synthetic(Spec((2,), 0, "real"), 5000)["x"]
    assert points.dtype == np.float32 and abs(points.std() - 1) < 0.05


PEER = """import json, sys
name = sys.argv[sys.argv.index("--workload") + 1]
print("a line of a library")
print(json.dumps({"workload": name, "variant": "eager", "ms_per_step": 1e6, "images_per_s": 0.008}))
"""


@pytest.mark.slow
def test_a_peers_program_runs_in_turns_with_ours(tiny_workloads, tmp_path):
    (tmp_path / "peer.py").write_text(PEER)
    ours, peer = benchmark.measure("vae_mlp", "gen", 1e9, 0.01, 2, [f"{sys.executable} {tmp_path}/peer.py"])
    assert (peer["variant"], peer["ms_per_step"], peer["images_per_s"]) == ("eager", 1e6, 0.008)
    assert peer["ratio"] == pytest.approx(1e6 / ours["ms_per_step"], rel=0.9)
    assert ours["images_per_s"] == pytest.approx(8e3 / ours["ms_per_step"], rel=0.01)


@pytest.mark.slow
def test_a_workload_that_the_peer_has_not_is_measured_alone(monkeypatch):
    monkeypatch.setattr(workloads, "WORKLOADS", {"own": tiny("gan_ring")._replace(in_peer=False)})
    (row,) = benchmark.measure("own", "gen", 1e9, 0.01, 1, ["no_such_program"], log=True)
    assert row["workload"] == "own"
    assert row["log_ratio"] == pytest.approx(row["log_images_per_s"] / row["images_per_s"], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKLOADS)
def test_the_peers_networks_have_as_many_parameters(name, monkeypatch):
    pytest.importorskip("torch", reason="the test extra has no torch; the parity extra does")
    monkeypatch.syspath_prepend(ROOT / "benchmarks/torch_peers")
    made = {key: make for module in ("vae", "gan", "diffusion")
            for key, make in importlib.import_module(module).WORKLOADS.items()}
    parts = made[name]("cpu", False).parts
    params = Trainer(WORKLOADS[name]._replace(examples=128)).state.params
    assert {part: sum(p.numel() for p in network.parameters()) for part, network in parts.items()} == {
        part: sum(leaf.size for leaf in jax.tree.leaves(tree)) for part, tree in params.items()}


def test_ratios_are_medians_over_pairs_of_blocks():
    blocks = [{"workload": "w", "variant": "v", "ms_per_step": ms, "images_per_s": 64e3 / ms} for ms in (10, 20, 90)]
    row = peers.median_row(blocks, [0.010, 0.010, 0.030])
    assert (row["ms_per_step"], row["images_per_s"], row["ratio"]) == (20, 3200, 2.0)


@pytest.mark.slow
def test_rows_of_a_file_give_ratios_and_the_fastest_peer_enters_the_table(tiny_workloads, tmp_path):
    rows = [{"workload": "vae_mlp", "variant": v, "ms_per_step": 1, "images_per_s": r, "peak_flops": 3e9} for v, r in
            (("slow", 1.0), ("fast", 4.0))] + [{"workload": "other", "variant": "slow", "images_per_s": 1.0}]
    (tmp_path / "peer.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    shown = []
    measured, stopped = benchmark.run(
        ["vae_mlp"], seconds=0.01, repeats=1, peer=str(tmp_path / "peer.jsonl"), show=shown.append)
    table = benchmark.markdown(measured)
    assert not stopped
    ours, slow, fast = map(json.loads, shown)
    assert fast["ratio"] == pytest.approx(ours["images_per_s"] / 4, rel=0.01)
    assert slow["ratio"] == pytest.approx(ours["images_per_s"], rel=0.01)
    assert f"4 (fast) | {fast['ratio']:.2f} |" in table and "peak 1 GFLOP/s in float32; the peer's 3 in" in table
    assert len(table.splitlines()) == 5


def test_an_accelerator_is_timed_in_larger_batches_other_precisions_and_packs_of_small_models():
    small, large = (workloads.settings(WORKLOADS[name], "gpu") for name in ("vae_mlp", "dcgan_32"))
    assert small == [
        Setting(100), Setting(64), Setting(512), Setting(512, "tensorfloat32"), Setting(64, "bfloat16"),
        Setting(512, "bfloat16"), Setting(100, seeds=8), Setting(100, seeds=64)]
    assert large == [Setting(64), Setting(512), Setting(512, "tensorfloat32"), Setting(64, "bfloat16"),
                     Setting(512, "bfloat16")]
    assert all(workloads.settings(workload, "cpu") == [workloads.own(name)] for name, workload in WORKLOADS.items())


@pytest.mark.slow
def test_settings_are_rows_held_against_the_peak_of_their_precision(tiny_workloads, monkeypatch):
    settings = (Setting(), Setting(16), Setting(16, "bfloat16"), Setting(seeds=2))
    monkeypatch.setitem(SETTINGS, "some", settings)
    measured, _ = benchmark.run(["gan_ring"], settings="some", seconds=0.01, repeats=1, show=lambda line: None)
    rows = [ours for ours, _ in measured]
    assert [(row["batch_size"], row["precision"], row["seeds"], row["peak_flops"]) for row in rows] == [
        (8, "float32", 1, 1e9), (16, "float32", 1, 1e9), (16, "bfloat16", 1, 4e9), (8, "float32", 2, 1e9)]
    for row in rows:
        images = row["batch_size"] * row["seeds"]
        assert row["images_per_s"] == pytest.approx(1e3 * images / row["ms_per_step"], rel=2e-3)
        share = row["flops_per_step"] / row["ms_per_step"] * 1e3 / row["peak_flops"]
        assert row["matmul_share"] == pytest.approx(share, rel=2e-3)
    assert rows[3]["flops_per_step"] == 2 * rows[0]["flops_per_step"]
    assert len(benchmark.markdown(measured).splitlines()) == 4 + len(rows)


@pytest.mark.slow
def test_the_runs_of_a_pack_have_seeds_of_their_own_and_train():
    ready = Trainer(tiny("gan_ring"), Setting(8, seeds=3))
    before = jax.device_get(ready.state.params["generator"])
    assert ready.dispatches(1) > 0 and ready.images == 3 * 8
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(ready.state.params["generator"]), strict=True):
        assert old.shape == new.shape and old.shape[0] == 3
    kernel = max(jax.tree.leaves(before), key=np.ndim)
    assert not np.array_equal(kernel[0], kernel[1])
    assert list(ready.state.step) == [3, 3, 3]


def test_a_precision_is_that_of_the_step():
    state = Trainer(tiny("vae_mlp"), Setting(precision="bfloat16"))
    assert "bf16" in state.pack.train.lower(state.state, state.data, 3).as_text()


def test_nothing_is_read_where_no_set_is_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    assert not Trainer(tiny("vae_mlp")).streams() and not Trainer(tiny("gan_ring")).streams()


@pytest.mark.slow
def test_the_input_is_timed_beside_the_step_where_the_set_is_prepared(prepared, monkeypatch):
    monkeypatch.setattr(workloads, "WORKLOADS", {"vae_mlp": tiny("vae_mlp")})
    prepared("mnist")
    (row,) = benchmark.measure("vae_mlp", "gen", 1e9, 0.2, 1)
    assert row["input_images_per_s"] > 0
    rows = [(row | {"precision": "float32"}, [])]
    assert f" {row['input_images_per_s']:,.0f} |" in benchmark.markdown(rows)


@pytest.mark.parametrize("backend, command, device", [
    ("cpu", "peer", []), ("gpu", "peer", ["--device", "cuda"]), ("gpu", "peer --device cpu", ["--device", "cpu"])])
def test_a_peer_runs_on_the_kind_of_device_of_ours(backend, command, device, monkeypatch):
    seen = []
    monkeypatch.setattr(peers.jax, "default_backend", lambda: backend)
    monkeypatch.setattr(peers.subprocess, "run", lambda argv, **_: seen.append(argv) or subprocess.CompletedProcess(
        argv, 0, stdout='{"workload": "w"}'))
    assert peers.block(command, "w", 1.0) == {"workload": "w"}
    (argv,) = seen
    assert argv.count("--device") == len(device) // 2
    assert not device or argv[argv.index("--device"):][:2] == device


@pytest.mark.slow
def test_what_was_measured_is_kept_and_the_rest_follows(tiny_workloads, tmp_path):
    out, stops = str(tmp_path / "kept" / "rows.jsonl"), iter([False, True])
    names, quick = ["vae_mlp", "gan_ring"], {"seconds": 0.01, "repeats": 1, "show": lambda line: None}
    first, stopped = benchmark.run(names, out=out, stop=lambda: next(stops), **quick)
    assert stopped and [row["workload"] for row, _ in first] == ["vae_mlp"]
    rest, stopped = benchmark.run(names, out=out, **quick)
    assert not stopped and rest[0] == first[0] and rest[1][0]["workload"] == "gan_ring"
    assert benchmark.run(names, out=out, stop=lambda: True, **quick) == (rest, False)
    (tmp_path / "kept" / "rows.jsonl").write_text("no JSON")
    with pytest.raises(UserError, match="--out="):
        benchmark.run(names, out=out, **quick)


@pytest.mark.slow
@pytest.mark.parametrize("arguments, message", [
    ({"names": ["vae_mpl"]}, "Did you mean 'vae_mlp'?"),
    ({"names": ["vae_mlp"], "peer": "nowhere.jsonl"}, "--peer=nowhere.jsonl"),
    ({"names": ["vae_mlp"], "commands": ["no_such_program"], "seconds": 0.01}, "--peer_command=no_such_program"),
    ({"names": ["vae_mlp"], "commands": [f"{sys.executable} nowhere.py"], "seconds": 0.01}, "nowhere.py"),
])
def test_a_mistake_is_one_line(arguments, message, tiny_workloads):
    with pytest.raises(UserError) as error:
        benchmark.run(**arguments)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_command_line():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "--workload=vae_mlp", "--seconds=0.01", "--repeats=1",
         "--markdown"], capture_output=True, text=True, env=users_environment(), timeout=120)
    assert done.returncode == 0, done.stderr
    row, *table = done.stdout.splitlines()
    row = json.loads(row)
    assert (row["workload"], row["variant"]) == ("vae_mlp", "gen")
    assert row["images_per_s"] == pytest.approx(1e5 / row["ms_per_step"], rel=2e-3) and 0 < row["matmul_share"] < 2
    assert len(table) == 5 and table[-1].startswith("| vae_mlp |")


@pytest.mark.slow
def test_what_experiments_take_to_compile_and_why_one_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    ring, mnist = benchmark.compile_times(["gan/ring:smoke", "gan/dcgan_mnist"])
    assert ring.train > 0 and ring.init > 0 and not ring.why
    assert "mnist" in mnist.why and mnist.train == 0
    lines = benchmark.table([ring, mnist]).splitlines()
    assert lines[2].startswith("| `gan/ring:smoke` | ") and "prepare_data.py" in lines[3]
    assert {"gan/ring", "vae/digits", "gan/r3gan_cifar10"} <= set(benchmark.experiments())
