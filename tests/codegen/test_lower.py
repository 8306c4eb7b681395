"""Lowering: programs and their plans, side by side; and what holds for the plan of any program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from sglc.codegen.lower import lower
from sglc.ir.graph import Block, Graph, Value
from sglc.ir.parser import parse_all
from sglc.ir.types import Type
from sglc.ir.verifier import verify
from tests.ir.graphs import graphs
from tests.ir.sample_graphs import linear

CASES = Path(__file__).with_suffix("").parent / "lower.sglir"


def pairs() -> list[tuple[Graph, Graph]]:
    """Return the programs of the case file, each with its plan."""
    each = parse_all(CASES.read_text(encoding="utf-8"), file=str(CASES))
    return list(zip(each[::2], each[1::2], strict=True))


@pytest.mark.parametrize(("program", "plan"), pairs(), ids=[program.name for program, _ in pairs()])
def test_cases(program: Graph, plan: Graph) -> None:
    """A program is lowered to the plan behind it."""
    assert lower(program).text == plan.text


def test_a_plan_is_not_lowered() -> None:
    """Only programs are."""
    plan = lower(linear())
    with pytest.raises(ValueError, match="found a plan; wanted a program"):
        lower(plan)


def test_locations_are_kept() -> None:
    """An operation of a plan is where that of the program was written; texts put together, where the last was."""
    program = linear()
    wanted = [op.location for op in program.ops() if op.name in ("empty", "gen", "return")]
    found = [op.location for op in lower(program).ops() if op.name in ("start", "decode", "return")]
    assert found == wanted
    assert all(op.location is not None for op in lower(program).ops())


@given(graphs("program"))
@settings(max_examples=150, deadline=None)
def test_any_program(program: Graph) -> None:
    """Plans are legal, make the same questions and calls, and release each prompt once on each path, none too early."""
    plan = lower(program)
    verify(plan)
    assert count(plan, "decode", "score", "call", "apply") == count(program, "gen", "select", "call", "apply")
    assert count(plan, "branch", "return", "eager") == count(program, "branch", "return", "eager")
    for path in paths(plan.block):
        assert_releases(path)


def count(graph: Graph, *names: str) -> list[int]:
    """Return how many operations of each name there are."""
    return [sum(op.name == name for op in graph.ops()) for name in names]


def paths(block: Block) -> Iterator[Block]:
    """Yield the operations on each way through a block."""
    *body, terminator = block
    if not terminator.cases:
        yield block
    for case in terminator.cases:
        for rest in paths(case.block):
            yield (*body, terminator, *rest)


def assert_releases(path: Block) -> None:
    """Check that every prompt but the final one is released, once, and not used behind that."""
    released: set[Value] = set()
    made: set[Value] = set()
    for op in path:
        used = {value for value in op.operands if value.type is Type.PROMPT}
        assert not used & released
        made |= {value for value in op.results if value.type is Type.PROMPT}
        if op.name == "release":
            released |= used
    final = {path[-1].operands[0]} if path[-1].name == "return" else set()
    assert released == made - final
