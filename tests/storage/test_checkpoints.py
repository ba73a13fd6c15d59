"""Checkpoints: what is restored is what was saved, whatever happens to the disk or the process in between."""

import errno
import logging
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl import logging as absl_logging

from gen.errors import UserError
from gen.storage import checkpoints, integrity
from gen.storage.checkpoints import Checkpoints, restore, steps


def make_state(step: int, width: int = 50) -> dict:
    """A small state of all kinds of leaves, different at every step."""
    key = jax.random.fold_in(jax.random.key(7), step)
    params = {"kernel": jax.random.normal(key, (64, width)), "bias": jnp.full(3, step, jnp.bfloat16)}
    return {
        "step": jnp.int32(step),
        "key": key,
        "params": {"generator": params},
        "variables": {},
        "opt_state": {"generator": optax.chain(optax.clip(1.0), optax.adam(1e-3)).init(params)},
        "hypers": {"learning_rate": jnp.float32(1e-3)},
    }


ABSTRACT = jax.eval_shape(make_state, 0)


def assert_same(actual, expected) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())


@pytest.fixture
def lines():
    """Messages that absl logs at level INFO and above, orbax's included."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger, level = absl_logging.get_absl_logger(), absl_logging.get_verbosity()
    logger.addHandler(handler)
    absl_logging.set_verbosity(absl_logging.INFO)
    yield records
    logger.removeHandler(handler)
    absl_logging.set_verbosity(level)


@pytest.fixture
def saved(tmp_path) -> Path:
    """A directory with checkpoints of steps 1, 2 and 3."""
    with Checkpoints(tmp_path / "checkpoints", keep=5) as writer:
        for step in (1, 2, 3):
            writer.save(step, make_state(step))
            writer.add(step, {"elbo": -float(step)})
    return tmp_path / "checkpoints"


def test_restores_what_was_saved_without_a_word(tmp_path, lines):
    with Checkpoints(tmp_path, keep=2) as writer:
        assert writer.restore_latest(ABSTRACT) is None
        writer.save(5, make_state(5))
        assert writer.restore_latest(ABSTRACT).metrics is None
        writer.add(5, {"elbo": -1.5, "bad": float("nan")})
        restored = writer.restore_latest(ABSTRACT)
    assert_same(restored.state, make_state(5))
    assert jnp.issubdtype(restored.state["key"].dtype, jax.dtypes.prng_key)
    assert (restored.step, restored.metrics) == (5, {"elbo": -1.5})
    assert lines == []


def test_state_may_be_donated_right_after_saving(tmp_path):
    advance = jax.jit(lambda x: {"w": x["w"] + 1}, donate_argnums=0)
    state = {"w": jnp.zeros((512, 512))}
    abstract = jax.eval_shape(lambda: state)
    with Checkpoints(tmp_path, keep=10) as writer:
        for step in range(5):
            old = state["w"]
            writer.save(step, state)
            for _ in range(3):
                state = advance(state)
            assert old.is_deleted()
    for step in range(5):
        np.testing.assert_array_equal(restore(tmp_path, abstract, step).state["w"], 3 * step)


def test_restored_state_may_be_donated(saved):
    with Checkpoints(saved, keep=5) as writer:
        state = writer.restore_latest(ABSTRACT).state
    jax.jit(lambda s: jax.tree.map(jnp.copy, s), donate_argnums=0)(state)
    assert state["params"]["generator"]["kernel"].is_deleted()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def biggest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGE = {
    "flipped weights": lambda folder: flip(biggest(folder / "state")),
    "truncated weights": lambda folder: truncate(biggest(folder / "state")),
    "missing weights": lambda folder: biggest(folder / "state").unlink(),
    "missing key types": lambda folder: shutil.rmtree(folder / "state" / "array_metadatas"),
    "flipped meta": lambda folder: flip(folder / "meta" / "metadata"),
    "truncated digests": lambda folder: truncate(folder / integrity.NAME),
    "flipped digests": lambda folder: flip(folder / integrity.NAME),
    "empty": empty,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_reported_once_and_the_one_before_is_used(saved, lines, capfd, damage):
    DAMAGE[damage](saved / "3")
    with Checkpoints(saved, keep=5) as writer:
        restored = writer.restore_latest(ABSTRACT)
        assert restored.step == 2
        assert_same(restored.state, make_state(2))
        assert len(lines) == 1 and "step 3" in lines[0] and "\n" not in lines[0]
        assert "Traceback" not in capfd.readouterr().err
        assert steps(saved) == [1, 2] and (saved / "3.damaged").is_dir()
        writer.save(3, make_state(30))
        assert_same(writer.restore_latest(ABSTRACT).state, make_state(30))


def test_reading_for_inference_changes_nothing(saved):
    flip(biggest(saved / "3" / "state"))
    assert restore(saved, ABSTRACT).step == 2
    assert steps(saved) == [1, 2, 3]
    with pytest.raises(UserError, match="step 3 in .* is damaged: state/.* is not what was written"):
        restore(saved, ABSTRACT, 3)


def test_unfinished_checkpoint_is_removed(saved):
    (saved / "3").rename(saved / "4.orbax-checkpoint-tmp")
    with Checkpoints(saved, keep=5) as writer:
        assert writer.restore_latest(ABSTRACT).step == 2
    assert sorted(path.name for path in saved.iterdir()) == ["1", "2"]


def test_all_damaged(saved):
    for step in (1, 2, 3):
        flip(biggest(saved / str(step) / "state"))
    expected = r"All checkpoints in .* are damaged \(steps 3, 2, 1\): put back a copy"
    with Checkpoints(saved, keep=5) as writer, pytest.raises(UserError, match=expected):
        writer.restore_latest(ABSTRACT)
    assert steps(saved) == [1, 2, 3]


def test_another_model_is_not_damage(saved):
    wider = jax.eval_shape(lambda: make_state(0, width=60))
    expected = r"\.mu\.kernel is float32\[64,50\] there and float32\[64,60\] here"
    with Checkpoints(saved, keep=5) as writer, pytest.raises(UserError, match=expected):
        writer.restore_latest(wider)
    with pytest.raises(UserError, match=r"ema is absent there and float32\[\] here; .* and 1 more"):
        restore(saved, wider | {"ema": jax.ShapeDtypeStruct((), jnp.float32)})
    assert steps(saved) == [1, 2, 3]


def test_errors_of_restore(saved, tmp_path):
    with pytest.raises(UserError, match="No checkpoint in .*absent: train there first"):
        restore(tmp_path / "absent", ABSTRACT)
    with pytest.raises(UserError, match="No checkpoint of step 9 in .*; there are: 1, 2, 3"):
        restore(saved, ABSTRACT, 9)
    with pytest.raises(UserError, match="saved with the metric that makes it the best"):
        restore(saved, ABSTRACT, "best")


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "expected"), [("max", 2), ("min", 4)])
def test_the_best_stays_while_others_rotate(tmp_path, mode, expected):
    elbo = {1: 3.0, 2: 9.0, 3: 5.0, 4: 1.0, 5: float("nan"), 6: None, 7: 4.0}
    for span in ((1, 2, 3), (4, 5), (6, 7)):
        with Checkpoints(tmp_path, keep=2, best=("elbo", mode)) as writer:
            for step in span:
                writer.save(step, make_state(step))
                if elbo[step] is not None:
                    writer.add(step, {"elbo": elbo[step]})
    assert steps(tmp_path) == [expected, 6, 7]
    best = restore(tmp_path, ABSTRACT, "best")
    assert (best.step, best.metrics) == (expected, {"elbo": elbo[expected]})
    assert_same(best.state, make_state(expected))


def test_a_step_saved_already_stays(saved):
    with Checkpoints(saved, keep=5) as writer:
        writer.save(3, make_state(30))
        assert_same(writer.restore_latest(ABSTRACT).state, make_state(3))


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["CheckpointManager.save", "write_digests"])
def test_disk_full_at_once_or_in_the_background(saved, monkeypatch, where):
    target = checkpoints.ocp.CheckpointManager if where == "CheckpointManager.save" else checkpoints
    expected = (
        f"Disk full while writing checkpoint of step 4 in {saved}; the checkpoint of step 3 is intact; "
        "free space and run the same command again."
    )
    with pytest.raises(UserError) as error, Checkpoints(saved, keep=1) as writer:
        monkeypatch.setattr(target, where.split(".")[-1], full)
        writer.save(4, make_state(4))
        writer.wait()
    assert str(error.value) == expected
    assert sorted(path.name for path in saved.iterdir()) == ["1", "2", "3"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("kilobytes", [700, 1200, 1300, 1420])
def test_disk_really_full(tmp_path, kilobytes):
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", tmp_path]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.strip()}")
    states = [{"w": jax.random.normal(jax.random.key(step), (256, 512))} for step in range(5)]
    try:
        with pytest.raises(UserError, match="Disk full while writing"), Checkpoints(tmp_path, keep=5) as writer:
            for step, state in enumerate(states):
                writer.save(step, state)
        left = steps(tmp_path)
        assert left == list(range(len(left))) and left
        assert sorted(path.name for path in tmp_path.iterdir()) == [str(step) for step in left]
        assert_same(restore(tmp_path, jax.eval_shape(lambda: states[0])).state, states[left[-1]])
        shutil.rmtree(tmp_path / "0")
        with Checkpoints(tmp_path, keep=1) as writer:
            writer.save(9, states[0])
        assert steps(tmp_path) == [9]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


NOISE = "np.random.default_rng(0).integers(0, 256, (4, 512, 512)).astype(np.float32) / 256"
SAVE_FOREVER = f"""
import os, signal, sys
import flax.linen, jax, matplotlib.pyplot, numpy as np, optax, orbax.checkpoint
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        from gen.storage.checkpoints import Checkpoints
        state = [jax.numpy.asarray(leaf) for leaf in {NOISE}]
        with Checkpoints(sys.argv[1], keep=2) as writer:
            restored = writer.restore_latest(jax.eval_shape(lambda: state))
            step = restored.step if restored else 0
            while True:
                step += 1
                writer.save(step, [leaf + step for leaf in state])
                os.write(1, b"%d saving\\n" % os.getpid())
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""


@pytest.mark.slow
def test_killed_while_writing(tmp_path):
    """Every leaf is noise in [0, 1) plus the step, so a mixture of two steps cannot pass.

    Importing takes longer than saving: the processes to kill are forked after the imports, before JAX has threads.
    """
    delays = random.Random(0)
    noise = list(eval(NOISE))
    abstract = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in noise]
    last, unfinished = 0, 0
    command = [sys.executable, "-W", "ignore", "-c", SAVE_FOREVER, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as zygote:
        for _ in range(12):
            zygote.stdin.write("start\n")
            pid, _ = zygote.stdout.readline().split()
            zygote.stdout.readline()
            time.sleep(delays.uniform(0, 0.3))
            os.kill(int(pid), 9)
            while zygote.stdout.readline() != "ended\n":
                pass
            unfinished += any(tmp_path.glob("*.orbax-checkpoint-tmp*"))
            restored = restore(tmp_path, abstract)
            for leaf, base in zip(restored.state, noise, strict=True):
                np.testing.assert_array_equal(leaf, base + restored.step)
            assert restored.step > last
            last = restored.step
        zygote.stdin.close()
    assert unfinished >= 3
