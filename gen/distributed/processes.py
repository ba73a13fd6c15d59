"""Several processes that train together, one or more a host, on JAX's distributed runtime.

All run the same program on arrays that lie on the devices of all. Process 0, the leader, alone reads and writes runs'
folders, evaluates and draws; the others get its state and its decisions, compute parts of its evaluations
(`gen.training.helpers`), and wait for it in the next collective. So a folder need not be shared between hosts, and its
checkpoints are those of one process. With one process nothing here communicates.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from gen.distributed import rollcall
from gen.errors import UserError
from gen.rng import key_as, plain
from gen.signals import end_with

T = TypeVar("T")

_PARENT = "GEN_PARENT_PROCESS"
LOST = ("Another process of this run has ended or cannot be reached. Start all of them again: the run goes on from its "
        "newest checkpoint.")
JOIN_SECONDS = 300
"""How long the processes wait for each other at the start."""
HEARTBEAT_SECONDS = 20
"""After how long without a sign of life a process counts as dead."""
SHUTDOWN_SECONDS = 30
"""How long a process that ends waits for the others."""


def start(coordinator: str | None = None, count: int | None = None, index: int | None = None, find: bool = False,
          join_timeout: int = JOIN_SECONDS, bind: str | None = None) -> None:
    """Joins the processes of a run; call it before anything is computed.

    Without arguments they are found where SLURM started several tasks (`srun`) or a TPU has several hosts; else this
    process is alone. What is joined is a child that runs the same program; this process ends with its exit code.

    Args:
      coordinator: "host:port" of process 0, where it listens.
      count: how many processes there are.
      index: which of them this is, from 0 on.
      find: there are others, and JAX finds them (Cloud TPU, Open MPI, Kubernetes).
      join_timeout: seconds that the processes wait for each other.
      bind: the address of the interface on which process 0 listens; all of them where it is None.

    Raises:
      UserError: an argument is missing or wrong, the port is taken, a process is missing or there twice.
    """
    given = {"--coordinator": coordinator, "--processes": count, "--process": index}
    if missing := [flag for flag, value in given.items() if value is None]:
        if len(missing) < len(given):
            raise UserError(f"Several processes need {', '.join(given)} together; missing: {', '.join(missing)}.")
        if not (find or _several_found()):
            return
        if bind:
            raise UserError("--bind needs --coordinator, whose process 0 listens there.")
    elif not 0 <= index < count:
        raise UserError(f"--process={index}: there are the processes 0 to {count - 1} (--processes={count}).")
    at = rollcall.address(coordinator) if coordinator else None
    if _PARENT not in os.environ:
        sys.exit(_supervised())
    end_with(int(os.environ.pop(_PARENT)))
    jax.config.update("jax_enable_preemption_service", False)
    if at and index:
        rollcall.come(at, count, index, join_timeout)
    elif at:
        rollcall.answer_all(at, count, join_timeout, bind)
    try:
        jax.distributed.initialize(coordinator, count, index, initialization_timeout=join_timeout,
                                   heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
                                   shutdown_timeout_seconds=SHUTDOWN_SECONDS,
                                   coordinator_bind_address=f"{bind}:{at.port}" if bind else None)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"The processes of this run cannot be joined: {_line(error)}") from error


def _supervised() -> int:
    """Runs this program again as a child and waits for it; returns the exit code.

    Where another process dies, JAX aborts this one with a stack trace; the last line then says what it means.
    """
    child = subprocess.Popen([sys.executable, *sys.argv], env=os.environ | {_PARENT: str(os.getpid())})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    code = child.wait()
    if code == -signal.SIGABRT:
        print(f"error: {LOST}", file=sys.stderr)
        return 1
    return code if code >= 0 else 128 - code


def _several_found() -> bool:
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) if "SLURM_PROCID" in os.environ else 1
    return tasks > 1 or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def leads() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def agree(facts: Mapping[str, str]) -> None:
    """Raises a UserError in every process where one has another value of a fact than process 0; all must call it.

    `facts`: what to name in the message, to a text of any length, of which the digests are compared.
    """
    if not several():
        return
    own = np.stack([np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8) for text in facts.values()])
    same = (multihost_utils.process_allgather(own) == leaders_arrays(own)).all(-1)
    for name, column in zip(facts, same.T, strict=True):
        if others := [str(i) for i in np.flatnonzero(~column)]:
            raise UserError(f"Process {', '.join(others)} has another {name} than process 0: start all with the same "
                            "command and the same version of the code.")


def code() -> str:
    """The sources of this package, as one text."""
    package = Path(__file__).parents[1]
    return "".join(f"{path.relative_to(package)}\0{path.read_text()}\0" for path in sorted(package.rglob("*.py")))


def any_of(flag: bool) -> bool:
    """Whether `flag` is true in one of the processes at least; all must call it."""
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag)))) if several() else flag


def leaders(value: T) -> T:
    """The leader's `value`, plain data as JSON has it, in every process; all must call it."""
    if not several():
        return value
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(text.size)))
    text = text if leads() else np.zeros(size, np.uint8)
    return json.loads(multihost_utils.broadcast_one_to_all(text).tobytes())


def leaders_arrays(tree: PyTree) -> PyTree:
    """The leader's arrays in every process, for each of which `tree` has the same shapes; all must call it."""
    if not several():
        return tree
    return jax.tree.map(key_as, tree, multihost_utils.broadcast_one_to_all(_on_host(tree)))


def place(tree: PyTree, sharding: NamedSharding | jax.Device) -> PyTree:
    """Arrays that every process has, on the devices of `sharding`."""
    if not several():
        return jax.device_put(tree, sharding)

    def put(leaf: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(leaf.shape, sharding, lambda part: leaf[part])

    placed = jax.tree.map(put, _on_host(tree))
    return jax.jit(lambda placed: jax.tree.map(key_as, tree, placed), out_shardings=sharding)(placed)


def gathered(tree: PyTree, mesh: Mesh) -> PyTree:
    """Arrays on a mesh of all processes, whole on this process's first device; all must call it."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    whole = jax.jit(lambda tree: tree, out_shardings=everywhere)(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), whole)


@contextmanager
def together() -> Iterator[None]:
    """Says in one line that another process ended, where JAX fails inside for that reason."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not several():
            raise
        raise UserError(f"{LOST} ({_line(error)})") from error


def _on_host(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(plain(leaf)), tree)


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
