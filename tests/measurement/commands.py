"""Scripts that run in this process as their users start them: flags, `launch.command`, exit code, one line."""

import importlib.util
from unittest import mock

import pytest
from absl import logging
from absl.testing import flagsaver

from gen import launch
from tests.environment import ROOT


def ended(script: str, **flags) -> int | str:
    """What the script ends with: its exit code, or the line that is printed on stderr with code 1."""
    spec = importlib.util.spec_from_file_location(script, ROOT / f"scripts/{script}.py")
    module = importlib.util.module_from_spec(spec)
    arguments = [f"--{name}={value}" if value is not True else f"--{name}" for name, value in flags.items()]
    with flagsaver.flagsaver(), mock.patch.object(logging, "use_absl_handler"), pytest.raises(SystemExit) as end:
        spec.loader.exec_module(module)
        launch.command(module.main, [script, *arguments])
    return end.value.code


def refused(script: str, **flags) -> str:
    """The one line with which the script ends, the flags being wrong."""
    line = ended(script, **flags)
    assert isinstance(line, str) and line.startswith("error: ") and line.isprintable(), line
    assert len(line) < 1_000, line
    return line
