"""Several processes compute the parts of an evaluation together; the leader, which evaluates, says of what.

The leader's evaluators ask for the parts of a work by its name (`gen.evaluation.shared`). Every process then computes
one part in each round, of which the results go to all; between rounds each says whether it is to stop. Where another
process cannot compute its parts, because weights or a file are not on its host, the leader computes them all. What is
not asked for in parts it computes alone.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
from absl import logging
from jax.experimental import multihost_utils

from gen.config.messages import failure
from gen.distributed import processes
from gen.errors import UserError
from gen.evaluation import Subject
from gen.evaluation.shared import WORK
from gen.evaluation.types import Share
from gen.signals import Interrupted, Stop, asked


class Elsewhere(Exception):
    """Another process cannot compute its part."""


class Helpers:
    """A context in which the processes that do not lead serve the leader; they leave it when the leader does.

    Args:
      subjects: what is evaluated, of every run; the same in all processes.
      stop: whether this process is to stop.
    """

    def __init__(self, subjects: Sequence[Subject], stop: Stop):
        self.subjects, self.stop = subjects, stop

    def __enter__(self) -> "Helpers":
        while not processes.leads() and (work := processes.leaders(None)):
            try:
                self.rounds(**work)
            except (Elsewhere, Interrupted):
                pass
            except Exception as error:
                logging.warning("The leader computes %r alone: %s", work["name"],
                                error if isinstance(error, UserError) else failure(error))
        return self

    def __exit__(self, *_: object) -> None:
        if processes.leads():
            processes.leaders(None)

    def of(self, run: int) -> Share:
        """The function by which the leader has the parts of a run's evaluation computed.

        It raises Interrupted where a process is to stop, and what the leader's own computation raises.
        """
        return partial(self.lead, run)

    def lead(self, run: int, name: str, count: int, options: Mapping[str, Any]) -> list:
        """All parts of a work, in order."""
        try:
            return self.rounds(
                **processes.leaders({"run": run, "name": name, "count": count, "options": dict(options)}))
        except Elsewhere:
            logging.warning("Another process cannot compute its part of %r, so this one computes all.", name)
            part = WORK[name](self.subjects[run], **options)
            return [part(i) for i in asked(range(count), self.subjects[run].ask)]

    def rounds(self, run: int, name: str, count: int, options: Mapping[str, Any]) -> list:
        """All parts of a work, in order, for the leader; every process calls this, and the others keep none."""
        me, others, results, made = jax.process_index(), jax.process_count(), [], []
        for first in range(0, count, others):
            error: Exception | None = None
            try:
                made = made or [WORK[name](self.subjects[run], **options)]
                found = made[0](min(first + me, count - 1))
            except Exception as e:
                error = e
            self.go_on(error)
            gathered = multihost_utils.process_allgather(found)
            if processes.leads():
                here = range(min(others, count - first))
                results += [jax.tree.map(lambda leaf, i=i: leaf[i], gathered) for i in here]
        return results

    def go_on(self, error: Exception | None) -> None:
        """Raises what ends the rounds, in every process: its own error, or that another one has one or is to stop."""
        failed, stopped = processes.any_of(error is not None), processes.any_of(self.stop())
        if error:
            raise error
        if failed:
            raise Elsewhere
        if stopped:
            raise Interrupted
