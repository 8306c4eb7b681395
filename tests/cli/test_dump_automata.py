"""`sglc dump --automaton` shows what constraints become."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sglc.automata.automaton import Automaton, compile_regex
from sglc.cli import app
from sglc.commands.dump_automata import automata
from sglc.commands.optional_name import _with_values
from sglc.errors import InputError
from sglc.explain.constraints import Constraint

PROGRAM = """\
import sglc


@sglc.function
def fill(s, text):
    s += text + sglc.gen("date", regex="[0-9]-(a|b)?")
    s += sglc.gen("age", dtype=int)
    for _ in range(2):
        s += sglc.gen("ok", json_schema={"type": "object"})


@sglc.function
def free(s, text):
    s += text + sglc.gen("answer")


@sglc.function
def large(s):
    s += sglc.gen("long", regex="([a-z][0-9]){100}")
"""

DATE = """\
// %date  program.py:6  regex [0-9]-(a|b)?
// 4 states, 4 byte classes; finite, texts of 2 to 3 bytes; the shortest is "0-"
before compression: 4 states, 3 edges
  start 1, ends 3, 4
  1 → 2  [0-9]
  2 → 3  -
  3 → 4  [ab]
after compression: 3 states, 2 edges
  start 1, ends 3, 4
  1 → 3  [0-9]-
  3 → 4  [ab]
"""

AGE = '// 4 states, 4 byte classes; texts of 1 byte or more, without a longest; the shortest is "0"\n'
OPEN = """\
// %ok  program.py:9  json_schema {"type": "object"}
// no automaton of ours: it needs a stack or too many states, and llguidance serves it
"""


@pytest.fixture
def program(folder: Path) -> Path:
    """`program.py` in the current folder."""
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    return folder


def dump(*options: str, program: str = "program.py:fill") -> Result:
    """Run `sglc dump` in this process."""
    return CliRunner().invoke(app, ["dump", program, *options])


def test_the_automaton_of_a_name(program: Path) -> None:
    said = dump("--automaton", "date")
    assert (said.exit_code, said.stdout, said.stderr) == (0, DATE, "")


def test_all_automata(program: Path) -> None:
    said = dump("--automaton")
    assert said.stdout.startswith(DATE + "\n// %age  program.py:7  dtype int\n" + AGE)
    assert said.stdout.endswith("\n\n" + OPEN)
    assert said.stdout.count("json_schema") == 1  # two generations of one statement


def test_drawings(program: Path) -> None:
    said = dump("--automaton", "--format", "dot")
    assert said.stdout.count("digraph ") == 2
    assert said.stdout.startswith("// %date  program.py:6  regex [0-9]-(a|b)?\n")
    said = dump("--automaton", "date", "--format", "mermaid", "-o", "date.mmd")
    assert (said.exit_code, said.stdout) == (0, "")
    assert (program / "date.mmd").read_text(encoding="utf-8").startswith("%% %date  program.py:6")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_svg(program: Path) -> None:
    said = dump("--automaton", "date", "--format", "svg")
    assert said.exit_code == 0
    assert "[0&#45;9]&#45;</text>" in said.stdout and "</svg>" in said.stdout


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("free", ("--automaton",), "found no constrained generation in what is captured; wanted a gen with"),
        ("fill", ("--automaton", "dat"), "found no constrained generation 'dat'; wanted one of date, age, ok"),
        ("fill", ("--automaton", "--format", "svg"), "found 3 constraints; wanted the name of one: date, age, ok"),
        ("fill", ("--automaton", "--format", "html"), "found --automaton with --format html; wanted text, dot"),
        ("fill", ("--automaton", "--plan"), "found --automaton and --plan; wanted one of them"),
        ("fill", ("--automaton", "ok", "--format", "svg"), "%ok has no automaton of ours"),
        ("large", ("--automaton", "--format", "dot"), "%long: found an automaton of 201 states; wanted at most 150"),
    ],
)
def test_what_cannot_be_shown(program: Path, function: str, options: tuple[str, ...], message: str) -> None:
    said = dump(*options, program=f"program.py:{function}")
    assert (said.exit_code, said.stdout) == (2, "")
    assert said.stderr.startswith("sglc: error: ") and message in said.stderr


def test_a_large_automaton_is_shown_as_text(program: Path) -> None:
    said = dump("--automaton", "--format", "text", program="program.py:large")
    assert said.exit_code == 0
    assert "\n  200 → 201  [0-9]\n" in said.stdout


def test_states_on_demand_are_said_to_be_so() -> None:
    regex = compile_regex("[ab]c")
    constraint = Constraint("a", "regex", "[ab]c", None, Automaton(regex.name, regex.positions, None))
    told = "%a  regex [ab]c\n{0} states on demand: there are too many to work out ahead\n"
    assert automata([constraint], "text") == "// " + told.format("//")
    assert automata([constraint], "mermaid") == "%% " + told.format("%%")
    with pytest.raises(InputError, match="%a has states on demand"):
        automata([constraint], "svg")


def test_the_name_may_be_left_out() -> None:
    assert [*_with_values(["--automaton", "a", "p.py"])] == ["--automaton", "a", "p.py"]
    assert [*_with_values(["--automaton", "p.py"])] == ["--automaton=", "p.py"]
    assert [*_with_values(["p.py", "--automaton"])] == ["p.py", "--automaton="]
    assert [*_with_values(["--automaton=a", "-o", "x"])] == ["--automaton=a", "-o", "x"]
