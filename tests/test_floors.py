"""The house: every file of `gen` stands on one floor, and imports from the floors below alone."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from gen.resources import PACKAGE

FLOORS = (
    ("errors", "estimates", "flat", "machine", "resources", "rng", "settled", "signals"),
    ("config", "distributed", "files", "precision"),
    ("augment", "compilation_cache", "networks", "onnx", "optimizers", "run_folder", "schedules", "terminal"),
    ("data", "unread"),
    ("distributions", "figures"),
    ("probability",),
    ("objectives",),
    ("families",),
    ("evaluation",),
    ("schema",),
    ("manual", "storage"),
    ("training",),
    ("benchmark", "runs", "sweeps"),
    ("explore", "exporting", "importing", "launchers", "lecture", "library", "measurement", "tables"),
    ("commands", "launch"),
    ("__main__",),
)
"""From the ground up: rooms, and files that are rooms of their own."""

ROOF = "__init__"
"""`gen` itself, which names what is public: nothing imports from it."""

LONGEST = 60
"""Lines of a function."""

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module(path: Path) -> tuple[str, ...]:
    """gen/data/batches.py -> ("data", "batches")."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {module(path) for path in FILES}


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """The modules of `gen` that a file imports, those of `from gen.x import y` included where y is a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for parts in (tuple(name.split(".")) for name in names):
            if parts[0] == "gen":
                yield next((parts[1:n] for n in range(len(parts), 1, -1) if parts[1:n] in MODULES), (ROOF,))


def test_every_file_stands_on_one_floor_and_imports_from_below():
    floor = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
    assert len(floor) == sum(map(len, FLOORS)) and floor.keys() == {parts[0] for parts in MODULES}
    upwards = [f"{'.'.join(module(path))} imports {'.'.join(of)}" for path in FILES for of in imported(path)
               if of[0] != module(path)[0] and floor.get(of[0], len(FLOORS)) >= floor[module(path)[0]]]
    assert not upwards


def test_no_files_of_a_room_import_each_other():
    graph = {module(path): {of for of in imported(path) if len(of) > 1 and of != module(path)} for path in FILES
             if path.name != "__init__.py"}
    TopologicalSorter(graph).prepare()


def test_functions_are_short():
    functions = ((path, node) for path in FILES for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert not [f"{'.'.join(module(path))}.{node.name}" for path, node in functions
                if node.end_lineno - node.lineno + 1 > LONGEST]


def test_the_map_names_every_room_in_the_order_of_the_floors():
    """Each row of the table in AGENTS.md is on floors at or below those of the row above it."""
    page = (PACKAGE.parent / "AGENTS.md").read_text()
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    rows = [[floor_of[room] for room in re.findall(r"`(\w+)`", cell) if room in floor_of]
            for cell in re.findall(r"^\| (`[^|]+) \|", page[:page.index("## The commands")], re.MULTILINE)]
    rows = [floors for floors in rows if floors]
    assert sorted(floor for floors in rows for floor in floors) == sorted(floor_of.values())
    assert all(min(upper) >= max(lower) for upper, lower in zip(rows, rows[1:], strict=False))
