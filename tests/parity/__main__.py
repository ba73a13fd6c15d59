"""Makes every comparison and prints the differences as Markdown: `docs/precision.md` is this output.

    python -m tests.parity [--out=docs/precision.md]
"""

import argparse
import platform
import sys
from pathlib import Path

import jax

from tests.parity.comparisons import INSTALL, comparisons, markdown, measured, missing

TEXT = """# Precision

Each row compares our numbers with those of an independent package. Ours are float32, as in training; the reference is
float64 where the package computes in it. *Asserted* is the largest difference that the tests allow, *reached* the
largest one of this run; both are relative to the largest value of the array compared, or to a hundredth of the largest
of all arrays compared at once, where that is more. Gradients are compared wherever training takes them.

This page is the output of `python -m tests.parity`; `make parity` gives it an environment of its own. The same function
makes a row and the assertion of its test, in `tests/parity/`.
"""


def processor() -> str:
    """Its name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
             ] if info.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a file to write, besides printing")
    arguments = parser.parse_args()
    every = comparisons()
    rows = [measured(comparison) for comparison in every if not missing(comparison)]
    absent = sorted({comparison.package for comparison in every if missing(comparison)})
    where = f"Processor: {processor()}; Python {platform.python_version()}, JAX {jax.__version__}."
    lines = [TEXT, where, *markdown(rows)]
    if absent:
        lines += ["", f"Left out, because they were not installed ({INSTALL}): {', '.join(absent)}."]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.out:
        arguments.out.write_text(text)
    failed = [row for row in rows if not row.holds]
    for row in failed:
        print(f"error: {row.what} differs from {row.package} by {row.difference:.1e} > {row.tolerance:.0e}",
              file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
