"""Shows which config keys and which metrics of the last evaluation differ between runs, as aligned text.

    python scripts/compare.py RUN RUN ...

Runs that differ in the seed alone are one column, mean ± standard error. Differences are to the first column.
"""

import sys

from gen import commands, launch


def main() -> int:
    return commands.compare([argument for argument in sys.argv[1:] if not argument.startswith("--")])


if __name__ == "__main__":
    launch.command(main, words=True)
