"""A program is found in its file, or the message says what is there instead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sglc.commands.program_file import load_program
from sglc.errors import InputError

ONE = "import sglc\n\n@sglc.function\ndef one(s, a, b=1):\n    s += a\n"
TWO = ONE + "\n@sglc.function\ndef two(s):\n    s += 'x'\n"


@pytest.fixture(autouse=True)
def _own_sys_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())


def save(source: str, name: str = "program.py") -> None:
    """Write a program file."""
    Path(name).write_text(source, encoding="utf-8")


def test_the_only_program_needs_no_name() -> None:
    save(ONE)
    program = load_program("program.py")
    assert program.function.name == "one"
    assert tuple(program.function.arg_names) == ("a", "b")
    assert set(program.function.required) == {"a"}
    assert load_program("program.py:one").identity == program.identity


def test_a_second_name_for_a_program_is_no_second_program() -> None:
    save(ONE + "\nalias = one\n")
    assert load_program("program.py").function.name == "one"


def test_an_imported_program_is_found_by_name_only() -> None:
    save(ONE, "library.py")
    save("from library import one\n" + TWO.replace("def one", "def mine").partition("\n@sglc.function\ndef two")[0])
    assert load_program("program.py").function.name == "mine"
    assert load_program("program.py:one").function.name == "one"


def test_another_source_is_another_identity() -> None:
    save(ONE)
    before = load_program("program.py").identity
    save(ONE + "\n")
    assert load_program("program.py").identity != before


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (TWO, "program.py", "program.py: found 2 programs; wanted program.py:FUNCTION, one of one, two"),
        (TWO, "program.py:three", "program.py: found no program 'three'; wanted one of one, two"),
        ("x = 1\n", "program.py", "program.py: found no function decorated with @sglc.function; wanted one"),
        ("x = 1\n", "program.py:x", "found no program 'x'; wanted a function decorated with @sglc.function"),
        ("x = 1\ny = (\n", "program.py", "program.py:2: found a syntax error: '(' was never closed"),
        ("\nimport no_such_module\n", "program.py", "program.py:2: found ModuleNotFoundError: No module named"),
        ("def f():\n    1 / 0\n\nf()\n", "program.py", "program.py:2: found ZeroDivisionError: division by zero"),
        ("raise SystemExit\n", "program.py", "program.py:1: found SystemExit; wanted a program file that can be"),
        (ONE, "other.py", "other.py: found no such file or directory; wanted a program file"),
        (ONE, ".", "found is a directory; wanted a program file"),
    ],
)
def test_what_is_there_instead_is_said(source: str, target: str, message: str) -> None:
    save(source)
    with pytest.raises(InputError) as caught:
        load_program(target)
    assert message in str(caught.value)


def test_a_file_without_the_ending_of_python() -> None:
    save(ONE, "program.txt")
    with pytest.raises(InputError, match=r"program\.txt: found no Python file; wanted PROGRAM\.py"):
        load_program("program.txt")
