import multiprocessing
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from gen.data import batches, images, load, streaming
from gen.errors import UserError
from tests.environment import ROOT, environment


@pytest.fixture
def prepared(tiny_mnist, tmp_path, monkeypatch):
    """The folder of a prepared MNIST of 40 and 8 images."""
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "sets"))
    return images.prepare("mnist", images.data_dir(), tiny_mnist[0])


def source(plan=((0, 3), (3, 3), (6, 2)), longest=3, batch_size=6, shard=(0, 1), workers=0):
    records = load({"name": "mnist", "loading": "streaming", "workers": workers}).train["x"].records
    return streaming.Blocks(records, batches.order(jax.random.key(4), 40), np.array(plan), longest, batch_size, shard)


@pytest.mark.parametrize(("start", "last", "log_every", "longest"), [
    (0, 12, 4, 4), (0, 12, 4, 3), (8, 30, 7, 2), (5, 6, 100, 100), (12, 12, 4, 4), (5, 61, 20, 20)])
def test_blocks_of_a_plan_are_all_steps_once_in_windows(start, last, log_every, longest):
    *plan, extra = streaming.plan(start, last, log_every, longest).tolist()
    assert extra == [last, 1]
    assert [first + i for first, steps in plan for i in range(steps)] == list(range(start, last))
    assert all(steps <= longest for _, steps in plan)
    assert all(first // log_every == (first + steps - 1) // log_every for first, steps in plan)


def test_block_length():
    fields = {"x": ((32, 32, 3), np.uint8), "label": ((), np.int32)}
    most = streaming.BLOCK_BYTES // (64 * 3076)
    assert streaming.block_steps(fields, 64, 10) == 10
    assert streaming.block_steps(fields, 64, 100) <= most < 100
    assert streaming.block_steps(fields, 10**6, 100) == 1


def test_auto_streams_what_is_too_large(prepared, monkeypatch):
    assert not streaming.streamed(load({"name": "mnist"}).train)
    monkeypatch.setattr(streaming, "RESIDENT_BYTES", 40 * (28 * 28 + 4) - 1)
    dataset = load({"name": "mnist"})
    assert streaming.streamed(dataset.train) and isinstance(dataset.test["x"], np.ndarray)
    assert not streaming.streamed(load({"name": "mnist", "loading": "resident"}).train)
    assert not streaming.streamed(load({"name": "mnist", "train_examples": 39}).train)


def test_columns_read_the_rows_they_are_asked_for(prepared):
    whole, stream = (load({"name": "mnist", "loading": loading}).train for loading in ("resident", "streaming"))
    for name, column in stream.items():
        assert column.shape == whole[name].shape and column.dtype == whole[name].dtype and len(column) == 40
        np.testing.assert_array_equal(column[:7], whole[name][:7])
        np.testing.assert_array_equal(column[np.array([9, 3, 3])], whole[name][[9, 3, 3]])
    with pytest.raises(UserError, match="loading=resident"):
        np.asarray(stream["x"])


@pytest.mark.parametrize(("options", "message"), [
    ({"loading": "straeming"}, "Did you mean 'streaming'"),
    ({"loading": "streaming", "binarize": "static"}, "loading=resident"),
    ({"loading": "streaming", "workers": -1}, "workers=-1"),
])
def test_what_cannot_be_streamed(prepared, options, message):
    with pytest.raises(UserError, match=message):
        load({"name": "mnist"} | options)


def test_blocks_are_the_batches_of_the_resident_set_and_shards_their_parts(prepared):
    train = load({"name": "mnist"}).train
    indices = np.asarray(batches.indices_block(jax.random.key(4), 3, 3, 6, 40))
    block, padded = source()[1], source()[2]
    for name, values in train.items():
        np.testing.assert_array_equal(block[name], values[indices])
        assert padded[name].shape == block[name].shape and not padded[name][2].any()
        parts = [source(shard=(i, 3))[1][name] for i in range(3)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), block[name])
    with pytest.raises(UserError, match="4 processes do not divide"):
        source(shard=(0, 4))


def damage(prepared):
    """Flips a bit inside the largest record-like part of the file of training images; returns the file's name."""
    path = next(prepared.glob("*train.array_record*"))
    content = bytearray(path.read_bytes())
    middle = max(range(0, len(content) - 1000, 1000), key=lambda i: len(set(content[i:i + 1000])))
    content[middle] ^= 1
    path.write_bytes(content)
    return path.name


def test_a_damaged_record_is_named_when_it_is_its_turn(prepared):
    name = damage(prepared)
    with pytest.raises(UserError, match=rf"Record \d+ of .*{name} is missing or corrupt: .*--overwrite") as error, \
            streaming.blocks(source(plan=((0, 3), (3, 3), (6, 3))), jax.device_put) as stream:
        list(zip(range(3), stream, strict=False))
    assert str(error.value).count("\n") == 0
    with pytest.raises(UserError, match=rf"Record \d+ of .*{name}"):
        load({"name": "mnist"})


@pytest.mark.slow
def test_a_killed_worker_is_an_error_and_not_a_hang(prepared):
    whole = [source()[i]["x"] for i in range(3)]
    with streaming.blocks(source(workers=1), jax.device_put) as stream:
        np.testing.assert_array_equal(next(stream).batches["x"], whole[0])
        np.testing.assert_array_equal(next(stream).batches["x"], whole[1])
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid, signal.SIGTERM)  # which the parent handles, and no worker
        np.testing.assert_array_equal(next(stream).batches["x"], whole[2])
        worker.kill()
        with pytest.raises(UserError, match="was killed"):
            for _ in range(10):
                next(stream)


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(prepared):
    code = """
import multiprocessing, os, signal, jax
from tests.data.test_streaming import source
from gen.data import streaming
if __name__ == "__main__":
    with streaming.blocks(source(workers=1), jax.device_put) as stream:
        next(stream)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True,
                          timeout=120)
    (worker,) = map(int, done.stdout.split())
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert done.returncode == -signal.SIGKILL and not os.path.exists(f"/proc/{worker}")
