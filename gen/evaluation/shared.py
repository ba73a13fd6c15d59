"""Parts of an evaluation that several processes compute at the same time, each its own, by the name of the work.

What takes the time of an evaluation is the same computation of many batches: samples are drawn, put through a network,
test examples weighed. Each kind is a function (subject, **options) -> part, where part(i) is the i-th batch's result, a
tree of arrays of the same shapes for every i; options are plain data. Numbers do not depend on who computes a part.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import PyTree

from gen.evaluation import likelihood
from gen.evaluation.pretrained import evaluators as inception
from gen.evaluation.types import Subject

Part = Callable[[int], PyTree[np.ndarray]]


def samples(subject: Subject, n: int) -> Part:
    """Of n samples, `gen.evaluation.types.DRAWN` at a time."""
    return lambda i: subject.batch(n, i)


WORK: dict[str, Callable[..., Part]] = {
    "samples": samples, "outputs": inception.outputs, "log_likelihood": likelihood.weighed,
}
"""Name to function(subject, **options) -> part."""
