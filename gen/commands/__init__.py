"""What the scripts do, one function each."""

from gen.commands.models import checkpoint_step, evaluate, export, plot, sample
from gen.commands.results import compare, list_queue, list_tables, reproduce, train_classifier, work_through
from gen.commands.trainings import (
    Description,
    demo,
    describe,
    ending,
    examine,
    progress,
    sweep,
    train,
    train_pack,
    use_every_core,
)

__all__ = [
    "Description", "checkpoint_step", "compare", "demo", "describe", "ending", "evaluate", "examine", "export",
    "list_queue", "list_tables", "plot", "progress", "reproduce", "sample", "sweep", "train",
    "train_classifier", "train_pack", "use_every_core", "work_through",
]
