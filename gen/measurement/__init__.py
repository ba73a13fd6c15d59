"""Scores of any images, whoever made them: a folder, an npz file, a run, a data set, or arrays.

`sources` opens them, `measuring` computes, `writing` puts samples of a run where any tool reads them.
"""

from gen.measurement.measuring import measure

__all__ = ["measure"]
