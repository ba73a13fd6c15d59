"""The scripts as one command, wherever the package is installed: `gen train --config=...` is `scripts/train.py`."""

import runpy
import sys

from gen.resources import folder


def main() -> None:
    """Runs the script that the first argument names, with the others; without one, lists them."""
    scripts = {path.stem.replace("_", "-"): path for path in sorted(folder("scripts").glob("*.py"))}
    name = sys.argv[1].replace("_", "-") if sys.argv[1:] else ""
    if name not in scripts:
        sys.exit("usage: gen COMMAND [--FLAG=VALUE ...]; COMMAND is one of: " + ", ".join(scripts)
                 + ".\n`gen COMMAND --help` lists its flags.")
    sys.argv = [str(scripts[name]), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
