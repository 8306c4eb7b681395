"""The house has floors: a room imports only from floors below its own, and the compiler never imports torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "sglc"

FLOORS = (
    ("errors", "version", "data"),
    ("ir", "automata", "kernels"),
    ("passes", "codegen", "backend"),
    ("language", "explain", "rows", "results"),
    ("commands",),
    ("cli",),
    ("__main__",),
)
"""The rooms, lowest floor first. `sglc/__init__.py` is the front door: it opens any room, when it is asked."""

WITHOUT_TORCH = ("ir", "automata", "passes", "codegen", "rows", "results")
HEAVY = {"torch", "transformers", "triton"}
MOST_LINES = 400


def floor_of(room: str) -> int:
    """Return the floor a room is on."""
    return next(floor for floor, rooms in enumerate(FLOORS) if room in rooms)


def source_files() -> list[Path]:
    """Return every source file of the package."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    """Return the room a file is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of each import, wherever it stands, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def complaints_about(room: str, name: str) -> str | None:
    """Return what is wrong with `room` importing the dotted `name`, or None."""
    top, *rest = name.split(".")
    if top in HEAVY and room in WITHOUT_TORCH:
        return f"{room} imports {top}"
    if top != "sglc" or not rest or rest[0] == room:
        return None
    if not any(rest[0] in rooms for rooms in FLOORS):
        return f"{room} imports {name} through the front door"
    if floor_of(rest[0]) >= floor_of(room):
        return f"{room} (floor {floor_of(room)}) imports {rest[0]} (floor {floor_of(rest[0])})"
    return None


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    problems = [
        f"line {line}: {problem}"
        for line, name in imported_modules(ast.parse(path.read_text(encoding="utf-8")))
        if (problem := complaints_about(room_of(path), name))
    ]
    assert not problems


def test_every_room_is_on_a_floor() -> None:
    rooms = {room_of(path) for path in source_files()}
    assert rooms <= {room for floor in FLOORS for room in floor}


def test_the_check_sees_what_is_wrong() -> None:
    assert complaints_about("ir", "torch.nn")
    assert complaints_about("ir", "sglc.backend.engine")
    assert complaints_about("ir", "sglc.automata.constraint")
    assert complaints_about("language", "sglc.gen")
    assert complaints_about("backend", "sglc.ir.sampling") is None
    assert complaints_about("backend", "torch") is None
    assert list(imported_modules(ast.parse("def f():\n    from sglc.ir import graph"))) == [(2, "sglc.ir.graph")]


def test_the_compiler_loads_no_torch() -> None:
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in source_files()
        if room_of(path) in WITHOUT_TORCH
    ]
    assert modules
    code = f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
    code += f"loaded = {HEAVY!r} & set(sys.modules)\nassert not loaded, loaded"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_open_with_a_plain_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", "?"))
