"""Training throughput on fixed workloads: against the matmul peak of the machine, and against a peer.

What is timed is the function that the training loop calls (`Program.train`, or that of a pack): many steps in one
dispatch, each with its gather, decoding, noise and update. The data are synthetic arrays in memory, of the sizes of the
real sets.
"""

from gen.benchmark import scaling
from gen.benchmark.compiling import compile_times, experiments, table
from gen.benchmark.measuring import markdown, measure, run
from gen.benchmark.workloads import SETTINGS, WORKLOADS

__all__ = ["SETTINGS", "WORKLOADS", "compile_times", "experiments", "markdown", "measure", "run", "scaling", "table"]
