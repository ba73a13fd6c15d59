"""The benchmark: its arithmetic, that it times the training of a run, and its command line."""

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
from gen.data import Spec
from gen.errors import UserError
from gen.networks import dcgan, layers
from tests.environment import ROOT, users_environment


def tiny(name: str) -> benchmark.Workload:
    """A workload with narrow networks on little data, a few steps a dispatch."""
    workload = benchmark.WORKLOADS[name]
    narrow = {part: options | ({"hidden": (8,)} if options["name"] in ("mlp", "maxout") else {"width": 4})
              for part, options in workload.config.items()
              if part in ("encoder", "decoder", "generator", "discriminator")}
    train = workload.config["train"] | {"log_every": 3, "batch_size": 8}
    return workload._replace(config=workload.config | narrow | {"train": train}, examples=32)


@pytest.fixture
def tiny_workloads(monkeypatch):
    """Every workload made tiny, and a peak that takes no time."""
    monkeypatch.setattr(benchmark, "WORKLOADS", {name: tiny(name) for name in benchmark.WORKLOADS})
    monkeypatch.setattr(benchmark, "matmul_peak", lambda: 1e9)


def test_parameters_of_the_mlp_vae_are_those_of_its_layers():
    trainer = benchmark.Trainer(benchmark.WORKLOADS["vae_mlp"]._replace(examples=8))
    sizes = [(784, 200), (200, 200), (200, 50), (200, 50), (50, 200), (200, 200), (200, 784)]
    assert sum(leaf.size for leaf in jax.tree.leaves(trainer.state.params)) == sum(i * o + o for i, o in sizes)


def test_parameters_of_the_ring_gan_are_those_of_its_layers():
    params = benchmark.Trainer(benchmark.WORKLOADS["gan_ring"]._replace(examples=8)).state.params
    count = {player: sum(leaf.size for leaf in jax.tree.leaves(tree)) for player, tree in params.items()}
    assert count["generator"] == 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + 400 * 2 + 2
    assert count["discriminator"] == 2 * 1000 + 1000 + 2 * (200 * 1000 + 1000) + 200 + 1


def test_a_dispatch_trains_for_the_steps_of_a_log_line():
    trainer = benchmark.Trainer(tiny("vae_mlp"))
    before = trainer.state.params["encoder"]["loc"]["kernel"].copy()
    assert trainer.dispatches(2) > 0
    assert int(trainer.state.step) == 2 * 3
    assert not np.array_equal(before, trainer.state.params["encoder"]["loc"]["kernel"])


def test_flops_of_the_mlp_vae_are_those_of_its_matmuls():
    """Each matrix is used three times (forward, to its input, to itself), the first layer's twice."""
    row = benchmark.Trainer(benchmark.WORKLOADS["vae_mlp"]._replace(examples=100)).compiled()
    first, rest = 784 * 200, 200 * 200 + 2 * 200 * 50 + 50 * 200 + 200 * 200 + 200 * 784
    assert row["flops_per_step"] == pytest.approx(2 * 100 * (2 * first + 3 * rest), rel=0.15)
    assert row["memory_mb"] > 100 * 784 / 1e6 and row["compile_s"] > 0


def test_plain_convolutions_are_flax_inside_and_ours_outside():
    with pytest.raises(KeyError), benchmark.plain_convolutions():
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
    with benchmark.plain_convolutions():
        plain = traced()
    assert (ours[0], plain[0]) == (False, True)
    assert ours[1] == plain[1]


def test_matmul_peak_counts_two_flops_per_product(monkeypatch):
    monkeypatch.setattr(benchmark, "MATMUL", 64)
    ticks = iter(np.arange(100) * 0.5)
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(ticks))
    assert benchmark.matmul_peak() == 2 * 64**3 / 0.5


def test_synthetic_pixels_and_points():
    pixels = benchmark.synthetic(Spec((4, 4, 1), 0, "unit"), 500)["x"]
    assert pixels.dtype == np.uint8 and pixels.shape == (500, 4, 4, 1) and {pixels.min(), pixels.max()} == {0, 255}
    points = benchmark.synthetic(Spec((2,), 0, "real"), 5000)["x"]
    assert points.dtype == np.float32 and abs(points.std() - 1) < 0.05


PEER = """import json, sys
name = sys.argv[sys.argv.index("--workload") + 1]
print("a line of a library")
print(json.dumps({"workload": name, "variant": "eager", "ms_per_step": 1e6, "images_per_s": 0.008}))
"""


def test_a_peers_program_runs_in_turns_with_ours(tiny_workloads, tmp_path):
    (tmp_path / "peer.py").write_text(PEER)
    ours, peer = benchmark.measure("vae_mlp", "gen", 1e9, 0.01, 2, [f"{sys.executable} {tmp_path}/peer.py"])
    assert (peer["variant"], peer["ms_per_step"], peer["images_per_s"]) == ("eager", 1e6, 0.0)
    assert peer["ratio"] == pytest.approx(1e6 / ours["ms_per_step"], rel=0.9)
    assert ours["images_per_s"] == pytest.approx(8e3 / ours["ms_per_step"], rel=0.01)


def test_a_workload_that_the_peer_has_not_is_measured_alone(monkeypatch):
    monkeypatch.setattr(benchmark, "WORKLOADS", {"own": tiny("gan_ring")._replace(in_peer=False)})
    (row,) = benchmark.measure("own", "gen", 1e9, 0.01, 1, ["no_such_program"], log=True)
    assert row["workload"] == "own"
    assert row["log_ratio"] == pytest.approx(row["log_images_per_s"] / row["images_per_s"], abs=0.01)


def test_ratios_are_medians_over_pairs_of_blocks():
    blocks = [{"workload": "w", "variant": "v", "ms_per_step": ms, "images_per_s": 64e3 / ms} for ms in (10, 20, 90)]
    row = benchmark._peer_row(blocks, [0.010, 0.010, 0.030])
    assert (row["ms_per_step"], row["images_per_s"], row["ratio"]) == (20, 3200, 2.0)


def test_rows_of_a_file_give_ratios_and_the_fastest_peer_enters_the_table(tiny_workloads, tmp_path):
    rows = [{"workload": "vae_mlp", "variant": v, "ms_per_step": 1, "images_per_s": r} for v, r in
            (("slow", 1.0), ("fast", 4.0))] + [{"workload": "other", "variant": "slow", "images_per_s": 1.0}]
    (tmp_path / "peer.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    shown = []
    table = benchmark.run(["vae_mlp"], seconds=0.01, repeats=1, peer=str(tmp_path / "peer.jsonl"), show=shown.append)
    ours, slow, fast = map(json.loads, shown)
    assert fast["ratio"] == pytest.approx(ours["images_per_s"] / 4, rel=0.01)
    assert slow["ratio"] == pytest.approx(ours["images_per_s"], rel=0.01)
    assert f"4 (fast) | {fast['ratio']:.2f} |" in table and "1 GFLOP/s" in table and len(table.splitlines()) == 5


@pytest.mark.parametrize("arguments, message", [
    ({"names": ["vae_mpl"]}, "Did you mean 'vae_mlp'?"),
    ({"names": ["vae_mlp"], "peer": "nowhere.jsonl"}, "--peer=nowhere.jsonl"),
    ({"names": ["vae_mlp"], "peers": ["no_such_program"], "seconds": 0.01}, "--peer_command=no_such_program"),
    ({"names": ["vae_mlp"], "peers": [f"{sys.executable} nowhere.py"], "seconds": 0.01}, "nowhere.py"),
])
def test_a_mistake_is_one_line(arguments, message, tiny_workloads):
    with pytest.raises(UserError) as error:
        benchmark.run(**arguments)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_command_line():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "--workload=vae_mlp", "--seconds=0.01", "--repeats=1",
         "--markdown"], capture_output=True, text=True, env=users_environment(), timeout=120)
    assert done.returncode == 0, done.stderr
    row, *table = done.stdout.splitlines()
    row = json.loads(row)
    assert (row["workload"], row["variant"]) == ("vae_mlp", "gen")
    assert row["images_per_s"] == pytest.approx(1e5 / row["ms_per_step"], rel=0.01) and 0 < row["matmul_share"] < 2
    assert len(table) == 5 and table[-1].startswith("| vae_mlp |")
