"""The language reference is true: its examples are legal, its tables are those of the code."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sglc.errors import InputError
from sglc.ir.ops import PROGRAM_OPS, OpRow
from sglc.ir.parser import parse
from sglc.ir.plan_ops import PLAN_OPS, PLAN_ROWS
from sglc.ir.printer import print_graph
from sglc.ir.types import Type

README = Path(__file__).resolve().parents[2] / "sglc" / "ir" / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
OPERATIONS = re.compile(r"^\| `(\w+)` \| (.*→.*) \| (.+) \|$", re.MULTILINE)


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [body for name, body in BLOCKS if name == language]


def signature(row: OpRow) -> str:
    """Return what an operation takes and gives, as the tables write it."""
    takes = [*row.operands, *([f"{row.rest}*"] if row.rest is not None else [])]
    return " ".join([*takes, "→", *row.results])


@pytest.mark.parametrize("text", blocks("sglir"))
def test_every_graph_is_legal_and_printed_as_it_stands(text: str) -> None:
    """What a reader learns here is the form that the compiler writes."""
    graph = parse(text, file=str(README))
    assert print_graph(graph, locations="loc(" in text) == text


def test_every_block_is_known() -> None:
    """A block of a language that no test reads would be untested."""
    assert {name for name, _ in BLOCKS} == {"sglir", "python", "text"}
    assert TEXT.count("```") == 2 * len(BLOCKS)


def test_every_operation_is_in_an_example() -> None:
    """Of both levels."""
    shown = {op.name for text in blocks("sglir") for op in parse(text).ops()}
    assert shown == PROGRAM_OPS.keys() | PLAN_OPS.keys()


def test_the_tables_are_those_of_the_code() -> None:
    """Name, signature and sentence of every operation."""
    of_programs, _, of_plans = TEXT.partition("\n## Operations of plans\n")
    for text, rows in ((of_programs, PROGRAM_OPS.values()), (of_plans, PLAN_ROWS)):
        written = {name: said for name, *said in OPERATIONS.findall(text)}
        assert written == {row.name: [signature(row), row.sentence] for row in rows}


def test_every_type_and_every_attribute_is_named() -> None:
    """In the order of the code."""
    assert re.findall(r"^\| `(\w+)` \| [^→|]+ \|$", TEXT, re.MULTILINE)[: len(Type)] == [kind.value for kind in Type]
    table = TEXT.partition("| attribute of `gen` | |")[2].partition("\n\n")[0]
    assert re.findall(r"`(\w+)`", table) == [*PROGRAM_OPS["gen"].attributes]
    for row in (*PROGRAM_OPS.values(), *PLAN_OPS.values()):
        for name in row.attributes:
            assert f"`{name}`" in TEXT or f"{name} = " in TEXT, f"{row.name}: {name}"


def test_the_function_has_the_graph_that_is_shown(tmp_path: Path) -> None:
    """The first one, as it is traced."""
    path = tmp_path / "judge.py"
    path.write_text(blocks("python")[0], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("judge_of_readme", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.judge.trace().graph == parse(blocks("sglir")[0])


def test_the_python_blocks_run(tmp_path: Path) -> None:
    """Each on its own."""
    for number, block in enumerate(blocks("python")):
        path = tmp_path / f"block_{number}.py"
        path.write_text(block, encoding="utf-8")
        subprocess.run([sys.executable, "-W", "error", str(path)], cwd=tmp_path, check=True)


def test_the_error_is_the_parsers() -> None:
    """Word for word."""
    text = "graph @judge(%essay: text) {\n  %0 = empty : prompt\n  %p = append %0, %eassy : prompt\n  return %p\n}\n"
    with pytest.raises(InputError) as caught:
        parse(text, file="judge.sglir")
    assert f"{caught.value}\n" in blocks("text")
