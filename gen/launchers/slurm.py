"""Trains a sweep on a SLURM cluster: one array job, one task a pack."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from gen import config as configs
from gen import sweeps
from gen.errors import UserError
from gen.launchers.options import Options, optional
from gen.signals import STOPPED

FOLDER = ".slurm"
"""Below the folder of the runs: scripts, logs and pickles of submitit."""

REQUEUES = 1_000_000
"""How often a task may reach its time limit; it goes on from its last checkpoint each time."""

DEFAULTS = {"time": 60, "additional_parameters": {"requeue": True}}
"""Of submitit's parameters; the time limit is in minutes."""


class Task:
    """Trains a pack as `scripts/sweep.py --only=K` does; what submitit calls in a job.

    Before the time limit, and where the cluster is so configured before a pre-emption, SLURM sends SIGUSR2 to every
    process of the job: the training saves and ends, submitit calls `checkpoint` and puts the job back in the queue.
    After SIGTERM (`scontrol requeue`, a pre-emption, `scancel`) the training saves and ends too; whether the job is
    queued again is then SLURM's to say.
    """

    def __init__(self, argv: Sequence[str]):
        self.argv, self.pid = list(argv), None

    def __call__(self) -> None:
        process = subprocess.Popen(self.argv)
        self.pid = process.pid
        code = process.wait()
        if code:
            raise RuntimeError("stopped after saving" if code == STOPPED else f"the training ended with code {code}")

    def checkpoint(self):
        """Waits until the training has saved and ended; returns what the job does when it starts again.

        It is called by a signal that interrupts `process.wait`, which holds its lock: so the wait is for the pid.
        """
        from submitit.helpers import DelayedSubmission

        if self.pid:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGTERM)
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Task(self.argv))


def slurm(sweep: sweeps.Sweep, options: Options) -> int:
    """Submits the packs that are not done as one array job and prints its tasks; returns 0.

    Raises:
      UserError: submitit or SLURM is missing, it refuses the job, or an option is unknown.
    """
    if options.minutes is not None:
        raise UserError("--minutes: jobs of SLURM have their own limit, --slurm=time=MINUTES, and go on by themselves.")
    submitit = optional("submitit", "slurm")
    todo = sweeps.unfinished(sweep.packs)
    if not todo:
        return 0
    try:
        executor = submitit.SlurmExecutor(sweep.folder / FOLDER, max_num_timeout=REQUEUES)
        executor.update_parameters(**DEFAULTS | {"job_name": configs.experiment_name(sweep.spec)}
                                   | parameters(options.slurm))
        with executor.batch():
            jobs = [executor.submit(Task(sweep.command(k))) for k in todo]
    except (RuntimeError, ValueError, OSError) as e:
        raise UserError(f"--launcher=slurm: {' '.join(str(e).split())}") from e
    for k, job in zip(todo, jobs, strict=True):
        print(f"pack {k}: SLURM job {job.job_id}, output in {job.paths.stdout} and {job.paths.stderr}")
    return 0


def parameters(given: Sequence[str]) -> dict[str, str | int]:
    """Returns {"time": 60, "partition": "gpu"} for ["time=60", "partition=gpu"]."""
    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, (key, _, value) in zip(given, pairs, strict=True) if not key or not value]:
        raise UserError(f"--slurm={wrong[0]}: write --slurm=KEY=VALUE, as in --slurm=partition=gpu.")
    return {key: int(value) if value.isdigit() else value for key, _, value in pairs}
