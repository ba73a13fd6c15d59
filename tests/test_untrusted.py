"""Configs, checkpoints and data are read as data: nothing in them is ever executed."""

import ast
import json
import pickle

import pytest

from gen import runs
from gen.errors import UserError
from gen.storage.checkpoints import Checkpoints
from tests.environment import ROOT
from tests.storage.test_checkpoints import ABSTRACT, assert_same, make_state

FORBIDDEN = {"eval", "exec", "compile", "pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "__import__"}
EXPERIMENTS = ("gen/config/experiments.py", {"exec", "compile"})
"""Experiments are Python files, and named as such on the command line."""

WEIGHTS = ("gen/evaluation/pretrained/checkpoint.py", {"pickle"})
"""An unpickler that knows tensors and nothing else; its own tests show it pickles that ask for more."""


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


@pytest.fixture
def bomb(tmp_path):
    canary = tmp_path / "executed"
    yield pickle.dumps(Bomb(canary))
    assert not canary.exists()


def called(tree: ast.AST) -> set[str]:
    """Names of the functions that are called without an object before them, and of the modules that are imported."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names.add(node.func.id)
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_the_package_has_no_call_that_executes_what_it_reads():
    found = {}
    for path in (*(ROOT / "gen").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")):
        text = path.read_text()
        assert "allow_pickle=True" not in text, path
        if names := called(ast.parse(text)) & FORBIDDEN:
            found[str(path.relative_to(ROOT))] = names
    assert found == dict([EXPERIMENTS, WEIGHTS])


def test_pickles_in_a_checkpoint(tmp_path, bomb):
    """In the place of every file of the newest one, and beside those of the one before."""
    with Checkpoints(tmp_path / "checkpoints", keep=5) as writer:
        for step in (1, 2):
            writer.save(step, make_state(step))
        writer.wait()
        for path in (tmp_path / "checkpoints/2").rglob("*"):
            if path.is_file():
                path.write_bytes(bomb)
        for folder in ("1", "1/state"):
            (tmp_path / "checkpoints" / folder).mkdir(exist_ok=True)
            (tmp_path / "checkpoints" / folder / "state.pkl").write_bytes(bomb)
        try:
            restored = writer.restore_latest(ABSTRACT)
        except UserError:
            return
    assert restored.step == 1
    assert_same(restored.state, make_state(1))


@pytest.mark.parametrize("text", ["__import__('os').mkdir('executed')", '{"config": {"family": "vae"}}'])
def test_code_in_a_config(tmp_path, bomb, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (text.encode(), bomb, json.dumps({"config": text}).encode()):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(UserError):
            runs.load(tmp_path)
