"""Tests of the accelerator that JAX finds, skipped where there is none. They print what they found as a table."""

from pathlib import Path

import pytest

from tests.accelerator import sides

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Marks the tests of this folder, and says why they are skipped."""
    skipped = pytest.mark.skip(reason="JAX finds no accelerator; GEN_ACCELERATOR=cpu has a CPU stand in for one")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.accelerator)
            if sides.device() is None:
                item.add_marker(skipped)


def pytest_terminal_summary(terminalreporter):
    """The table, as docs/accelerator.md has it."""
    if not sides.ROWS:
        return
    terminalreporter.section(sides.name())
    lines = ["| compared with the CPU in float32 | precision | difference | bound |", "| --- | --- | ---: | ---: |"]
    lines += [f"| {row.what} | {row.precision} | {row.difference:.1e} | {row.bound:.0e} |" for row in sides.ROWS]
    terminalreporter.write_line("\n".join(lines))
