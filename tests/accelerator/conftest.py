"""Tests of the accelerator that JAX finds. They run where their folder is named, and print what they found as a table.

Programs are compiled with the user's own XLA flags, and memory is taken as it is needed: processes share the device.
"""

import os
from pathlib import Path

import pytest

from tests.accelerator import sides

HERE = Path(__file__).parent


def named(config) -> bool:
    """Whether the command asks for these tests, by their folder or their marker."""
    asked = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return any(HERE in (path, *path.parents) for path in asked) or "accelerator" in (config.option.markexpr or "")


def pytest_configure(config):
    """Before the settings of all tests, which compile quickly rather than well."""
    if named(config) and not sides.STANDS_IN:
        os.environ.setdefault("XLA_FLAGS", "")
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def pytest_collection_modifyitems(config, items):
    """Marks the tests of this folder, leaves them out where nobody asked, and says why they are skipped."""
    here = [item for item in items if HERE in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.accelerator)
    if here and not named(config):
        items[:] = [item for item in items if item not in here]
        config.hook.pytest_deselected(items=here)
    elif here and sides.device() is None:
        for item in here:
            item.add_marker(pytest.mark.skip(
                reason="JAX finds no accelerator; GEN_ACCELERATOR=cpu has a CPU stand in for one"))


def pytest_terminal_summary(terminalreporter):
    """The table, as docs/accelerator.md has it."""
    if not sides.ROWS:
        return
    terminalreporter.section(sides.name())
    lines = ["| compared with the CPU in float32 | precision | difference | bound |", "| --- | --- | ---: | ---: |"]
    lines += [f"| {row.what} | {row.precision} | {row.difference:.1e} | {row.bound:.0e} |" for row in sides.ROWS]
    terminalreporter.write_line("\n".join(lines))
