"""Tables of papers, reproduced: from the experiments' `TABLES` to runs, and from finished runs to text and figures.

An experiment's file holds `TABLES = {name: Table(...)}`: rows as overrides of its variants, the metrics that are its
columns, and what was published, with its source. `collect` finds them all, `of_file` those of one file, `points` lists
the runs of one, `results` reads those that are finished, and `markdown`, `latex` and `figure` show our mean ± standard
error over seeds beside the published value and the difference.
"""

from gen.estimates import Estimate, difference, estimate
from gen.tables.compare import compare
from gen.tables.formats import latex, listing, markdown
from gen.tables.picture import figure
from gen.tables.points import Entry, Point, collect, of_file, points
from gen.tables.results import Progress, Result, Row, progress, results
from gen.tables.types import Metric, Table, sweep_of

__all__ = [
    "Entry",
    "Estimate",
    "Metric",
    "Point",
    "Progress",
    "Result",
    "Row",
    "Table",
    "collect",
    "compare",
    "difference",
    "estimate",
    "figure",
    "latex",
    "listing",
    "markdown",
    "of_file",
    "points",
    "progress",
    "results",
    "sweep_of",
]
