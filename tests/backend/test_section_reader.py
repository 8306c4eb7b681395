"""What rows say in sections that may stand in any order: read before they run, and put in the order that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import sglc
from sglc.backend.plan import Plan
from sglc.backend.section_reader import SectionReader
from sglc.codegen.arrangement import arrange_found
from sglc.codegen.lower import lower
from sglc.ir.graph import Graph
from sglc.ir.parser import parse
from sglc.language.state import ProgramState
from sglc.passes.base import Remarks, Target
from sglc.passes.reorder_prompt import ReorderPrompt
from tests.plans import run_plan

CALL = """
graph @call(%question: text, %tools: list) {
  %0 = empty : prompt
  %1 = const {value = "Answer with one of the tools.\\n"} : text
  %p = append %0, %1 : prompt
  %2 = const {value = 0} : int
  %3 = apply %tools, %2 {fn = "getitem"} : value
  %4 = apply %3 {fn = "as_text"} : text
  %5 = const {value = "\\n"} : text
  %6 = concat %question, %5 : text
  %p_1 = sections %p, %6, %4 {arrange = true} : prompt
  %7, %answer = gen %p_1 {site = ":0", max_new_tokens = 4} : prompt, text
  return %7, answer = %answer
}
"""


def reader_of(text: str) -> SectionReader:
    """Return what reads the sections of a program."""
    reader = Plan(lower(parse(text)), {"f": print}).sections
    assert reader is not None
    return reader


def test_sections_are_computed_from_arguments() -> None:
    reader = reader_of(CALL)
    ((before, texts),) = reader.read(["Who?", ["find()\n", "ask()\n"]]).values()
    assert texts == ("Who?\n", "find()\n")
    assert reader.read(["Why?", ["find()\n"]]) == {0: (before, ("Why?\n", "find()\n"))}


def test_what_cannot_be_computed_is_left_to_the_row() -> None:
    """An index that is not there, and what is no text."""
    reader = reader_of(CALL)
    assert reader.read(["Who?", []]) == {}
    assert reader.read([7, ["find()"]]) == {}
    assert reader.read(["Who?", [7]]) == {}


def test_a_plan_that_arranges_nothing_has_no_reader() -> None:
    assert Plan(lower(parse(CALL.replace(" {arrange = true}", "")))).sections is None


def test_only_prompts_that_are_equal_so_far_can_share() -> None:
    """Whatever pieces they are written in, and in whatever order their own sections are; not behind other text."""
    whole = before("%p = append %0, %a : prompt", a="ab", b="c")
    assert whole == before("%1 = append %0, %b : prompt", "%p = append %1, %a : prompt", a="b", b="a")
    assert whole != before("%1 = append %0, %b : prompt", "%p = append %1, %a : prompt", a="a", b="b")
    sections = "%p = sections %0, %a, %b {arrange = true} : prompt"
    assert before(sections, a="x", b="y") == before(sections, a="y", b="x") != before(sections, a="x", b="x")
    generated = "%p, %x = gen %1 {site = ':0'} : prompt, text".replace("'", '"')
    assert before("%1 = append %0, %a : prompt", generated, a="a") == before(
        "%1 = append %0, %b : prompt", generated, b="a"
    )
    assert before("%1 = append %0, %a : prompt", generated, a="a") != whole
    user = '%p = begin %0 {role = "user"} : prompt'
    assert before(user) != before(user.replace("user", "system"))
    called = '%1 = call %a {fn = "f", number = 0} : text'
    assert before(called, "%p = append %0, %1 : prompt", a="a") == before(called, "%p = append %0, %1 : prompt", a="b")


def before(*lines: str, a: str = "", b: str = "") -> int:
    """Return what stands for the prompt %p that some operations make."""
    graph = ["graph @f(%a: text, %b: text) {", "%0 = empty : prompt", *lines]
    graph += ["%last = sections %p, %a, %b {arrange = true} : prompt", "return %last", "}"]
    found = reader_of("\n".join(graph)).read([a, b])
    return found[max(found)][0]


@sglc.function
def call(s: ProgramState, question: str, tools: list[str]) -> None:
    """Ask which tool."""
    s += "Answer with one of the tools.\n" + sglc.unordered(question + "\n", tools[0])
    s += sglc.gen("answer", max_tokens=4)


@sglc.function
def call_arranged(s: ProgramState, question: str, tools: list[str]) -> None:
    """Ask the same with the tool in front."""
    s += "Answer with one of the tools.\n" + tools[0] + question + "\n" + sglc.gen("answer", max_tokens=4)


@pytest.fixture(scope="module")
def engine() -> Iterator[sglc.Engine]:
    """The audited replay model."""
    with closing(sglc.Engine("replay:hash", check=True, kv_tokens=4096)) as engine:
        yield engine


def test_a_row_puts_its_sections_in_the_order_it_brings(engine: sglc.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes to what the program written in that order does."""
    plan = Plan(lower(reordered(call.trace(question="Who?", tools=["find()\n"]).graph)))
    assert plan.sections is not None
    rows: list[dict[str, Any]] = [
        {"question": f"Who is {name}?", "tools": ["find(name)\n" * 3]} for name in "abcdefghi"
    ]
    orders = arrange_found([plan.sections.read([row[name] for name in plan.arguments]) for row in rows])
    wanted = call_arranged.run_batch(rows, backend=engine, eager=True, temperature=0)
    for row, order, expected in zip(rows, orders, wanted, strict=True):
        monkeypatch.setattr("sglc.language.row.NO_ORDERS", order)
        (state,) = run_plan(plan, call, [row], engine, temperature=0)
        assert (state.text(), state["answer"]) == (expected.text(), expected["answer"])


def test_without_an_order_sections_stand_as_written(engine: sglc.Engine) -> None:
    plan = Plan(lower(reordered(call.trace(question="Who?", tools=["find()\n"]).graph)))
    row = {"question": "Who?", "tools": ["find()\n"]}
    (state,) = run_plan(plan, call, [row], engine, temperature=0)
    assert state.text() == call.run(**row, backend=engine, eager=True, temperature=0).text()


def reordered(graph: Graph) -> Graph:
    """Return a graph whose sections are arranged."""
    after = ReorderPrompt().run(graph, Target(), Remarks())
    assert after is not graph
    return after
