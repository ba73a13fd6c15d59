"""Measures the training throughput of fixed workloads; one JSON line each.

    python scripts/benchmark.py [--workload=NAME,NAME] [--settings=cpu|gpu] [--out=FILE.jsonl] [--minutes=N]
        [--peer=FILE.jsonl] [--log] [--markdown]

`--settings=gpu`, the default where JAX finds an accelerator: also batches of 64 and 512, in bfloat16 too, and 8 and 64
runs in one program. `--out` keeps what was measured: the same command again measures the rest. Where the data set of a
workload is prepared, the rate at which it can be read stands beside the step's.

The peer's rows come from a file, or from its program, run in turns with ours, on the GPU with `--device cuda`:
--peer_command="PYTHON benchmarks/torch_peers" --peer_command="PYTHON benchmarks/torch_peers --compile". `make race`
makes PyTorch's environment and races every workload against both.

--compile=all measures what every experiment takes to compile instead, --compile=gan/ring,vae/digits:smoke these.

--scaling=all --out=FILE.jsonl [--figure=FILE.png] measures how time and memory of a step grow: with the batch, the side
of the images, the width, the samples of a bound, the runs of a program, the devices, the examples in memory and on a
stream. --scaling=batch,side measures these.

Exit codes: 0; 1 an error, explained in one line; 75 stopped by a signal, or before --minutes have passed.
"""

import json
import os

import jax
from absl import flags

from gen import benchmark, launch
from gen.figures.grids import save_png
from gen.signals import STOPPED, stopping

FLAGS = flags.FLAGS
flags.DEFINE_list("workload", list(benchmark.WORKLOADS), "Which; all by default.")
flags.DEFINE_enum("settings", None, list(benchmark.SETTINGS), "Sizes, precisions and packs; by the device by default.")
flags.DEFINE_string("out", "", "Keeps what was measured, JSON lines; what is there is not measured again.")
flags.DEFINE_float("minutes", None, "Stop before so many minutes have passed since the start.", lower_bound=0.0)
flags.DEFINE_bool("plain_convolutions", False, "Flax's convolutions in place of this project's.")
flags.DEFINE_float("seconds", 3.0, "About how long one block takes.", lower_bound=0.0)
flags.DEFINE_integer("repeats", 5, "Blocks; the figure is their median.", lower_bound=1)
flags.DEFINE_string("peer", "", "JSON lines of the peer, to print ratios.")
flags.DEFINE_multi_string("peer_command", [], "The peer's program; runs a block after every block of ours.")
flags.DEFINE_bool("log", False, "Also train a run after every block, and say how its log's rate compares.")
flags.DEFINE_bool("markdown", False, "Print a table at the end.")
flags.DEFINE_list("compile", None, "Seconds to compile these experiments, or all of them.")
flags.DEFINE_list("scaling", None, f"How cost grows along these axes, or all: {', '.join(benchmark.scaling.AXES)}.")
flags.DEFINE_string("figure", "", "Where --scaling draws what it measured, as PNG.")
EVERYTHING = "all"


def main() -> int:
    jax.config.update("jax_enable_compilation_cache", False)
    if FLAGS.compile is not None:
        names = benchmark.experiments() if FLAGS.compile == [EVERYTHING] else FLAGS.compile
        rows = []
        for row in benchmark.compile_times(names):
            print(f"{row.experiment}: {row.why or f'init {row.init:.1f} s, training {row.train:.1f} s'}", flush=True)
            rows.append(row)
        print(benchmark.table(rows))
        return 0
    if FLAGS.scaling is not None:
        return scaling()
    if FLAGS.peer_command:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the peer needs memory of the same device
    settings = FLAGS.settings or ("cpu" if jax.default_backend() == "cpu" else "gpu")
    rows, stopped = benchmark.run(
        FLAGS.workload, settings=settings, plain=FLAGS.plain_convolutions, seconds=FLAGS.seconds,
        repeats=FLAGS.repeats, peer=FLAGS.peer, commands=FLAGS.peer_command, log=FLAGS.log, out=FLAGS.out,
        stop=stopping(FLAGS.minutes))
    if FLAGS.markdown:
        print(benchmark.markdown(rows))
    return STOPPED if stopped else 0


def scaling() -> int:
    """Measures along the axes, and shows a JSON line of each point, a table, and a figure."""
    names = list(benchmark.scaling.AXES) if FLAGS.scaling == [EVERYTHING] else FLAGS.scaling
    rows = []
    for row in benchmark.scaling.run(names, FLAGS.seconds, FLAGS.out, stopping(FLAGS.minutes)):
        print(json.dumps(row), flush=True)
        rows.append(row)
    print(benchmark.scaling.table(rows))
    if FLAGS.figure and rows:
        save_png(benchmark.scaling.figure(rows), FLAGS.figure)
    return 0 if len(rows) == sum(len(benchmark.scaling.AXES[name].values) for name in names) else STOPPED


if __name__ == "__main__":
    launch.command(main)
