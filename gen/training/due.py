"""What is due at which step of a run, and where the dispatches end so that nothing due is passed over."""

from typing import NamedTuple

TEST = "test split"
"""Beside the names of evaluators: the family's own metrics, averaged over the test split."""


class Due(NamedTuple):
    """What is due at a step.

    Attributes:
      evaluations: `TEST` and names of evaluators.
      pictures: whether samples are drawn.
      checkpoint: whether the state is saved.
    """

    evaluations: tuple[str, ...]
    pictures: bool
    checkpoint: bool


def due(config, step: int) -> Due:
    """What is due at this step: where its period ends, or the run; a period of 0 is never. The last step is saved.

    An evaluator's period is its `every`, or `train.evaluate_every` where that is 0.
    """
    train = config.train

    def ends(period: int) -> bool:
        return period > 0 and (step % period == 0 or step == train.steps)

    periods = {TEST: train.evaluate_every}
    periods |= {name: options.every or train.evaluate_every for name, options in config.evaluators.items()}
    evaluations = tuple(name for name, period in periods.items() if ends(period))
    return Due(evaluations, ends(train.sample_every), step == train.steps or ends(train.checkpoint_every))


def window(config, step: int) -> int:
    """Steps of the dispatch from `step` on: to the next multiple of `log_every`, of which all periods are multiples."""
    log_every = config.train.log_every
    return min(log_every - step % log_every, config.train.steps - step)
