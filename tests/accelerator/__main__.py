"""`python -m tests.accelerator` runs these tests where JAX finds an accelerator, and fails where it finds none."""

import subprocess
import sys
from pathlib import Path

import pytest

FOUND = "import sys, jax; sys.exit(jax.default_backend() == 'cpu')"


def main() -> int:
    if subprocess.run([sys.executable, "-c", FOUND]).returncode:
        print("error: JAX finds no accelerator.", file=sys.stderr)
        return 1
    return pytest.main(["-n", "0", "--durations=0", str(Path(__file__).parent)])


if __name__ == "__main__":
    sys.exit(main())
