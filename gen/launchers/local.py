"""Trains a sweep on this machine, one pack after another on all its devices."""

from gen import sweeps
from gen.launchers.options import Options
from gen.signals import stopping


def local(sweep: sweeps.Sweep, options: Options) -> int:
    """Trains what is not done, a process for each pack; returns 0, 1 where a run failed, 75 where it stopped before."""
    ended = sweeps.run(sweep.packs, sweep.command, stopping(options.minutes))
    runs = [run for pack in sweep.packs for run in pack]
    print(f"{sum(run.finished for run in runs)} of {len(runs)} runs are done."
          + (" Stopped before the end; the same command again goes on." if ended.stopped else ""))
    return sweeps.exit_code(ended)
