"""Measures the training throughput of fixed workloads; one JSON line each.

    python scripts/benchmark.py [--workload=NAME,NAME] [--peer=FILE.jsonl] [--log] [--markdown]

The peer's rows come from a file, or from its program, run in turns with ours:
--peer_command="python torch_peer.py" --peer_command="python torch_peer.py --compile".
"""

import jax
from absl import flags

from gen import benchmark, launch

FLAGS = flags.FLAGS
flags.DEFINE_list("workload", list(benchmark.WORKLOADS), "Which; all by default.")
flags.DEFINE_bool("plain_convolutions", False, "Flax's convolutions in place of this project's.")
flags.DEFINE_float("seconds", 3.0, "About how long one block takes.", lower_bound=0.0)
flags.DEFINE_integer("repeats", 5, "Blocks; the figure is their median.", lower_bound=1)
flags.DEFINE_string("peer", "", "JSON lines of the peer, to print ratios.")
flags.DEFINE_multi_string("peer_command", [], "The peer's program; runs a block after every block of ours.")
flags.DEFINE_bool("log", False, "Also train a run after every block, and say how its log's rate compares.")
flags.DEFINE_bool("markdown", False, "Print a table at the end.")


def main() -> int:
    jax.config.update("jax_enable_compilation_cache", False)
    table = benchmark.run(FLAGS.workload, plain=FLAGS.plain_convolutions, seconds=FLAGS.seconds, repeats=FLAGS.repeats,
                          peer=FLAGS.peer, peers=FLAGS.peer_command, log=FLAGS.log)
    if FLAGS.markdown:
        print(table)
    return 0


if __name__ == "__main__":
    launch.command(main)
