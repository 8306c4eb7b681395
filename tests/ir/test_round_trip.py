"""Every graph survives its text, and the text is the same in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sglc.errors import Location
from sglc.ir.attribute_text import read_scalar, write_attribute
from sglc.ir.graph import Block, BlockBuilder, Graph, make_graph
from sglc.ir.ops import rows_of
from sglc.ir.parser import parse, parse_all
from sglc.ir.printer import print_graph
from sglc.ir.types import Type
from tests.ir.graphs import graphs, nested, random_graph

LEVELS = ("program", "plan")
GENERATED = 5000
NESTED = 500


def described(block: Block, locations: bool) -> Any:
    """Return all that a block says as plain values, which compare by type and sign, too."""
    return [
        (
            op.name,
            [repr(value) for value in op.operands],
            [repr(value) for value in op.results],
            sorted((name, repr(value)) for name, value in op.attributes.items()),
            [(repr(case.label), described(case.block, locations)) for case in op.cases],
            op.location if locations else None,
        )
        for op in block
    ]


def check_round_trip(graph: Graph, *, locations: bool) -> None:
    """Check that a graph is what its text says, part by part."""
    text = print_graph(graph, locations=locations)
    assert text.encode("utf-8").decode("utf-8") == text
    assert text.replace("\n", "").isprintable()
    again = parse(text)
    assert again == graph and hash(again) == hash(graph)
    assert (again.name, again.level) == (graph.name, graph.level)
    assert list(map(repr, again.arguments)) == list(map(repr, graph.arguments))
    assert described(again.block, locations) == described(graph.block, locations)
    assert print_graph(again, locations=locations) == text


@pytest.mark.usefixtures("no_round_trips")
@pytest.mark.parametrize("level", LEVELS)
def test_generated_graphs_survive_their_text(level: str) -> None:
    """Graphs drawn from seeds: half of each level, in turns with and without locations."""
    seen = set()
    for seed in range(GENERATED // 2):
        graph = random_graph(Random(f"{level} {seed}"), level)
        check_round_trip(graph, locations=seed % 2 == 0)
        seen.update(op.name for op in graph.ops())
    assert seen == set(rows_of(level))


@pytest.mark.usefixtures("no_round_trips")
@pytest.mark.parametrize("level", LEVELS)
def test_any_graph_survives_its_text(level: str) -> None:
    """The same as a property, which finds a small graph where it fails."""

    @settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(graphs(level), st.booleans())
    def holds(graph: Graph, locations: bool) -> None:
        check_round_trip(graph, locations=locations)

    holds()


@given(st.text(st.characters(exclude_categories=())))
@settings(max_examples=300, deadline=None)
def test_any_text_survives_as_an_attribute(text: str) -> None:
    """Also one with surrogates, of which JSON would make characters where they stand side by side."""
    written = write_attribute(text)
    written.encode("utf-8")
    assert read_scalar(written) == text


def test_what_cannot_be_seen_is_escaped() -> None:
    """The table of hidden characters covers all that this Python's Unicode knows, and nothing that can be seen."""
    import unicodedata

    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"}
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if character == " " or character in '"\\':
            continue
        written = write_attribute(character)
        category = unicodedata.category(character)
        if category in hidden:
            assert written.isascii(), hex(number)
        elif category != "Cn":
            assert written == f'"{character}"', hex(number)


def test_numbers_keep_their_type_and_sign() -> None:
    """What Python calls equal is still told apart."""
    values = (0, False, 0.0, -0.0, 1, True, 1.0, 10**400, float("inf"), float("-inf"))
    texts = [write_attribute(value) for value in values]
    assert len(set(texts)) == len(texts)
    for value, text in zip(values, texts, strict=True):
        again = read_scalar(text)
        assert repr(again) == repr(value)
    assert repr(read_scalar(write_attribute(float("nan")))) == "nan"


def test_surrogates_side_by_side_are_no_character() -> None:
    """The one thing that the text says in a way of its own."""
    assert write_attribute("\ud83d\ude00") == '"\\u{d83d}\\ude00"'
    assert write_attribute("\U000e0001") == '"\\udb40\\udc01"'
    assert read_scalar('"\\ud83d\\ude00"') == "😀"
    assert read_scalar('"\\\\u{d83d}"') == "\\u{d83d}"


def test_deep_nesting_is_no_matter() -> None:
    """Branches may be nested deeper than Python's functions."""
    graph = nested(NESTED)
    assert sum(op.name == "branch" for op in graph.ops()) == NESTED
    assert parse(print_graph(graph)) == graph


DETERMINISM = """
import hashlib
from random import Random
from sglc.ir.printer import print_graph
from tests.ir.graphs import random_graph
for level in ("program", "plan"):
    texts = [print_graph(random_graph(Random(seed), level), locations=True) for seed in range(100)]
    print(hashlib.sha256("".join(texts).encode()).hexdigest())
"""


def test_the_text_is_the_same_in_every_process(repository: Path) -> None:
    """Whatever Python's hashes are seeded with."""
    printed = {
        subprocess.run(
            [sys.executable, "-c", DETERMINISM],
            cwd=repository,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    (only,) = printed
    here = [
        "".join(print_graph(random_graph(Random(seed), level), locations=True) for seed in range(100))
        for level in LEVELS
    ]
    assert only.split() == [hashlib.sha256(text.encode()).hexdigest() for text in here]


def test_locations_are_printed_when_asked_for() -> None:
    """They end the line, before the cases of a branch, and do not count when graphs are compared."""
    text = (
        "graph @f(%flag: bool) {\n"
        '  %0 = empty : prompt loc("a \\"b\\".py":1)\n'
        '  branch %flag loc("a \\"b\\".py":2) {\n'
        "    case true {\n"
        '      return %0 -> %flag, x = %flag loc("c.py":3)\n'
        "    }\n"
        "  }\n"
        "}\n"
    )
    graph = parse(text)
    assert [op.location for op in graph.ops()] == [
        Location('a "b".py', 1),
        Location('a "b".py', 2),
        Location("c.py", 3),
    ]
    assert print_graph(graph, locations=True) == text
    assert parse(print_graph(graph)) == graph
    assert "loc" not in print_graph(graph)


def test_attributes_stand_in_the_order_of_their_row() -> None:
    """Whatever order they were given in."""
    builder = BlockBuilder()
    (prompt,) = builder.emit("empty", (), (Type.PROMPT,))
    attributes = {"regex": "a", "temperature": 0.5, "max_new_tokens": 3, "site": ":0", "stop": ("x", "y")}
    builder.emit("gen", (prompt,), (Type.PROMPT, Type.TEXT), attributes, hint="a")
    builder.end("return", (prompt,))
    line = make_graph("f", (), builder).text.splitlines()[2]
    assert 'gen %0 {site = ":0", max_new_tokens = 3, stop = ["x", "y"], temperature = 0.5, regex = "a"}' in line


def test_variables_may_have_any_name() -> None:
    """Words of the language too; a name that is no identifier is a string."""
    line = '  return %0 -> %0_text, größe = %0_text, return = %0_text, case = %0_text, "" = %0_text, "a b" = %0_text'
    text = f"graph @f() {{\n  %0 = empty : prompt\n  %0_text = text %0 : text\n{line}\n}}\n"
    graph = parse(text)
    assert graph.block[-1].attributes == {"names": ("größe", "return", "case", "", "a b"), "returns": True}
    assert graph.text == text


def test_a_text_may_hold_several_graphs_and_comments() -> None:
    """Comments stand anywhere but in strings, where two slashes are text."""
    text = """
// A file of two.
graph @one() { // the first
  // nothing in it
  %0 = empty : prompt    // a prompt

  %1 = const {value = "// no comment"} : text
  return %0, url = %1
} // end
// between
plan @two() {\r
  %0 = start : prompt\r
  return %0\r
}
// the last line"""
    one, two = parse_all(text)
    assert [op.attributes.get("value") for op in one.ops()] == [None, "// no comment", None]
    assert (one.level, two.level) == ("program", "plan")
    assert parse_all("") == [] == parse_all("// nothing\n")


def test_the_parser_keeps_names() -> None:
    """Numbers need not be in order, hints not canonical."""
    text = "graph @f() {\n  %7 = empty : prompt\n  %x_3 = const {value = 1} : int\n  return %7 -> %x_3\n}\n"
    assert print_graph(parse(text)) == text
