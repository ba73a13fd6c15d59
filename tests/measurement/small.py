"""A command with something quick in Inception's place: `python -m tests.measurement.small SECONDS SCRIPT --FLAG=...`.

Outputs have Inception's widths; a batch takes so many seconds more than it needs. Ends by printing the most memory, in
bytes, that the process had.
"""

import re
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gen.evaluation.pretrained.networks import NETWORKS
from gen.measurement import measuring
from tests.environment import ROOT
from tests.evaluation.pretrained import fake

WIDTHS = dict(NETWORKS["inception"].widths)
MIX = np.random.default_rng(0).normal(size=(12, sum(WIDTHS.values()))).astype(np.float32)


def extractor(seconds: float):
    """Stands for `extraction.extractor`: random mixtures of the brightness of parts of an image."""
    ends = np.cumsum(list(WIDTHS.values()))

    def made(network, weights, resize, wanted):
        def extract(batches):
            for images in batches:
                time.sleep(seconds)
                x = np.stack([fake.outputs(image) for image in images]) @ MIX
                parts = dict(zip(WIDTHS, np.split(np.tanh(x), ends[:-1], axis=1), strict=True))
                yield {name: parts[name] for name in wanted}

        return extract

    return made


def peak() -> int:
    """The most bytes of memory that this program had. `getrusage` counts its parent's too, from before the exec."""
    return 1_024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    seconds, script, *flags = sys.argv[1:]
    sys.argv = [script, *flags]
    with pytest.MonkeyPatch.context() as patch:
        fake.place(patch, WIDTHS)
        patch.setattr(measuring, "extractor", extractor(float(seconds)))
        try:
            runpy.run_path(str(ROOT / "scripts" / script), run_name="__main__")
        finally:
            print(peak(), file=sys.stderr)
