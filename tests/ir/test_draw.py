"""Drawings show every operation once, for Graphviz and for Mermaid, whatever the texts are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from random import Random

import pytest

from sglc.errors import InputError, Location
from sglc.ir import draw
from sglc.ir.draw import source_range, to_dot, to_mermaid, to_svg
from sglc.ir.graph import BlockBuilder, Graph, Op, Value, make_graph
from sglc.ir.page import Tab, to_page
from sglc.ir.sketch import sketch
from sglc.ir.types import Type
from sglc.ir.wording import Span, columns, quoted, wrapped
from tests.ir.graphs import random_graph
from tests.ir.sample_graphs import Writer, judge, linear, react

GRAPHS = [linear, judge, react]
NASTY = 'a "quoted" <b>&amp;</b> #35; `code` %%{init} [x] {y} | \\n \n\t\u0007 ; end --> 漢字 \ud800'

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


def wholly_eager() -> Graph:
    """Return the graph of a program of which nothing was captured."""
    return Graph("none", (), (Op("eager", attributes={"cause": "has no source to be read"}),))


def nasty() -> Graph:
    """Return a graph with texts that drawing tools take for something else."""
    builder = BlockBuilder()
    w = Writer(builder)
    p, answer = w.gen(w.append(w.empty(), NASTY), "answer", "0", stop=(NASTY,))
    w.builder.branch(w.apply("contains", Type.BOOL, answer, w.const(NASTY)), [True, False])
    for case in builder.cases.values():
        Writer(case).end(p, end=answer)
    return make_graph("nasty", (), builder)


@pytest.mark.parametrize("make", [*GRAPHS, nasty, wholly_eager])
def test_every_operation_is_in_a_box(make: Callable[[], Graph]) -> None:
    graph = make()
    drawn = sketch(graph)
    shown = set().union(*(box.places for box in drawn.boxes.values()))
    assert shown == set(range(len(list(graph.ops()))))
    assert {place for region in drawn.regions for place in region.boxes} == drawn.boxes.keys()
    led = {arrow.target for arrow in drawn.arrows}
    assert led | {drawn.regions[0].boxes[0]} == drawn.boxes.keys()


def test_text_that_nothing_else_goes_on_from_is_one_box() -> None:
    drawn = sketch(judge())
    kinds = [drawn.boxes[place].kind for place in drawn.regions[0].boxes]
    assert kinds == ["start", "text", *["text", "gen"] * 3, "text", "select", "return"]
    last = drawn.boxes[drawn.regions[0].boxes[-3]]
    assert len(last.lines) == 11
    assert [arrow.line for arrow in drawn.arrows if arrow.target == last.place] == [0, 2, 5, 8]


def test_a_prompt_goes_into_a_case_through_the_branch() -> None:
    graph = react(1)
    drawn = sketch(graph)
    branch = next(place for place, box in drawn.boxes.items() if box.kind == "branch")
    assert len(drawn.regions) == 3
    assert {arrow.target for arrow in drawn.arrows if arrow.source == branch} == {
        drawn.regions[1].boxes[0],
        drawn.regions[2].boxes[0],
    }
    assert [region.label for region in drawn.regions] == ["", "true", "false"]


def test_dot_names_boxes_cases_and_sources() -> None:
    text = to_dot(react(1))
    assert text.startswith('digraph "travel_agent" {\n')
    assert len(re.findall(r"^ *n\d+ \[label", text, re.M)) == len(sketch(react(1)).boxes)
    assert len(re.findall("subgraph cluster_", text)) == 2
    assert 'tooltip="sample.py:12"' in text and "sample.py:13<" in text
    assert text.count("{") == text.count("}")
    assert 'style="dashed"]' in text and "penwidth=1.6" in text


def test_mermaid_names_boxes_cases_and_sources() -> None:
    text = to_mermaid(react(1))
    assert text.startswith("flowchart TD\n")
    assert len(re.findall(r"^ *n\d+\W.*:::is_\w+$", text, re.M)) == len(sketch(react(1)).boxes)
    assert text.count("subgraph case") == len(re.findall(r"^ *end$", text, re.M)) == 2
    assert "<small>sample.py:12</small>" in text
    assert re.search(r"^ *n\d+ ==> n\d+$", text, re.M) and re.search(r"^ *n\d+ -\.-> n\d+$", text, re.M)


def test_mermaid_takes_texts_for_texts() -> None:
    for line in to_mermaid(nasty()).splitlines():
        label = re.search(r'"(.*)"', line)
        if label:
            inside = re.sub(r"</?(b|br/|small)>", "", label[1])
            assert not re.search(r'["<>`\\&]|%%|#(?!\d+;)', inside), inside


@pytest.mark.parametrize("level", ["program", "plan"])
def test_any_graph_can_be_drawn(level: str) -> None:
    for seed in range(60):
        graph = random_graph(Random(seed), level)
        drawn = sketch(graph)
        ops = list(graph.ops())
        hidden = {place for place, op in enumerate(ops) if op.name in ("release", "rank")}
        assert set().union(*(box.places for box in drawn.boxes.values())) == set(range(len(ops))) - hidden
        (to_dot(graph) + to_mermaid(graph) + to_page([Tab(graph.name, graph)], title=graph.name)).encode()


@needs_dot
@pytest.mark.parametrize("make", [*GRAPHS, nasty, wholly_eager])
def test_graphviz_draws_it(make: Callable[[], Graph]) -> None:
    svg = to_svg(make())
    assert len(re.findall('class="node"', svg)) == len(sketch(make()).boxes)


def test_without_graphviz_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"found no program dot; wanted Graphviz \(apt install graphviz"):
        to_svg(linear())


@needs_dot
def test_what_graphviz_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "to_dot", lambda graph: "digraph {")
    with pytest.raises(InputError, match=r"found that dot ended with .*syntax error"):
        to_svg(linear())


def test_drawing_is_the_same_in_every_process() -> None:
    code = (
        "from tests.ir.sample_graphs import react as r; from sglc.ir.draw import *; print(to_dot(r()), to_mermaid(r()))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_a_deep_ladder_of_branches_is_drawn() -> None:
    graph = react(40)
    assert to_dot(graph).count("subgraph") == 80
    assert to_mermaid(graph).count("subgraph") == 80


def test_source_ranges() -> None:
    places = [Location("/x/a.py", 3), None, Location("/x/a.py", 7)]
    assert source_range(places) == "a.py:3-7"
    assert source_range(places[:2]) == "a.py:3"
    assert source_range([Location("/x/a.py", 3), Location("/x/b.py", 1)]) == "a.py:3"
    assert source_range([None]) == ""


def test_words_are_wrapped_and_long_texts_lose_their_middle() -> None:
    long = Span("literal", "The first words of a long text, " + "many more, " * 40 + "and the last ones.")
    lines = wrapped((long, Span("plain", " + "), Span("value", "%essay")), 30, 3)
    shown = ["".join(text for _, text in line) for line in lines]
    assert len(lines) == 3 and all(columns(line) <= 31 for line in shown)
    assert shown[0].startswith('"The first words') and " … " in "".join(shown) and shown[-1].endswith("%essay")
    assert wrapped((Span("value", "x" * 70),), 30, 2)[-1][-1] == Span("plain", "…")
    assert wrapped((Span("literal", "漢" * 10),), 10, 9)[0] == (Span("literal", '"漢漢漢漢'),)


def test_what_cannot_be_seen_is_shown() -> None:
    assert quoted(Span("literal", "a\n\tb\u0007\ud800"), 99) == '"a⏎⇥b\\u0007\\ud800"'
    assert quoted(Span("value", "%x"), 1) == "%x"


def expression_of(build: Callable[[Writer, Value], Value]) -> str:
    """Return how a value is shown that is computed from an argument x and appended."""
    x = Value("x", Type.TEXT)
    builder = BlockBuilder()
    w = Writer(builder)
    w.end(w.append(w.empty(), build(w, x)))
    graph = make_graph("g", (x,), builder)
    drawn = sketch(graph)
    (box,) = [box for box in drawn.boxes.values() if box.kind == "text"]
    return "".join(quoted(span, 50) for span in box.lines[0].text)


@pytest.mark.parametrize(
    ("build", "shown"),
    [
        (lambda w, x: w.apply("as_text", Type.TEXT, x), "%x"),
        (lambda w, x: w.apply("str.strip", Type.TEXT, x), "str.strip(%x)"),
        (lambda w, x: w.apply("str", Type.TEXT, w.apply("contains", Type.BOOL, x, w.const("a"))), 'str("a" in %x)'),
        (
            lambda w, x: w.apply("str", Type.TEXT, w.apply("not", Type.BOOL, w.apply("eq", Type.BOOL, x, x))),
            "str(not (%x == %x))",
        ),
        (
            lambda w, x: w.apply("add", Type.TEXT, w.apply("add", Type.TEXT, x, w.const("b")), w.const("c")),
            '%x + "b" + "c"',
        ),
        (
            lambda w, x: w.apply("str", Type.TEXT, w.apply("getitem", Type.VALUE, x, w.const(0))),
            "str(%x[0])",
        ),
    ],
)
def test_expressions_read_like_python(build: Callable[[Writer, Value], Value], shown: str) -> None:
    assert expression_of(build) == shown
