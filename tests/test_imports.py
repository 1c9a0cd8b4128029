"""Imports point one way: main -> trainer -> {training_loop, datasets, models, metrics, logger} -> system."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("datasets", "models", "metrics", "logger", "system", "training_loop", "trainer", "main", "collect_results")
ALLOWED = {
    "system": set(),
    "datasets": {"system"},
    "models": {"system"},
    "metrics": {"system"},
    "logger": {"system", "metrics"},  # what the metrics declare of themselves: titles, directions, columns
    "training_loop": {"system"},
    "trainer": {"training_loop", "datasets", "models", "metrics", "logger", "system"},
    "main": {"trainer", "datasets", "models", "system"},  # of data sets and models, the names
    "collect_results": {"logger", "metrics", "system"},
}


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py")) if (ROOT / room).is_dir() else [ROOT / f"{room}.py"]


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path) -> set[str]:
    """The project's rooms that a file imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room):
    for file in files(room):
        wrong = imported(file) - {room} - ALLOWED[room]
        assert not wrong, f"{file.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_the_root_holds_the_path_that_everybody_reads_and_nothing_else():
    assert {file.name for file in ROOT.glob("*.py")} == {
        *("main.py", "trainer.py", "training_loop.py", "collect_results.py")
    }


def test_no_circle_within_a_room():
    """Modules of a room, followed through their imports, those inside functions too, never lead back."""
    for room in ("datasets", "models", "metrics", "logger", "system"):
        modules = {
            ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
            for file in files(room)
        }
        edges = {}
        for module, file in modules.items():
            edges[module] = set()
            for node in ast.walk(tree(file)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    below = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
                    edges[module] |= below or {node.module} & modules.keys()
        for start in edges:
            reached, ahead = set(), [start]
            while ahead:
                ahead += [name for name in edges[ahead.pop()] if name not in reached]
                reached |= set(ahead)
            assert start not in reached, f"{start} is imported by what it imports"
