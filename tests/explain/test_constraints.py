"""What `explain` knows of constraints: who serves them, how large they are, and what they leave no choice about."""

from __future__ import annotations

import json

import pytest

import sglc
from sglc.automata.automaton import Automaton, compile_regex
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary
from sglc.explain.constraint_tax import constraint_tax
from sglc.explain.constraints import Constraint, Figures, constraint_facts, constraints_of, forced_share
from sglc.ir.graph import Graph

CLOSED = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
WITH_REASONS = {"type": "object", "properties": {"reasoning": {"type": "string"}, "ok": {"type": "boolean"}}}


def greedy(text: str) -> list[int]:
    """Spell a text with the longest tokens of TOKENS."""
    data, found = text.encode(), list[int]()
    while data:
        token = max((t for t in TOKENS if data.startswith(t)), key=len)
        found.append(TOKENS.index(token))
        data = data[len(token) :]
    return found


TOKENS = [*(bytes([byte]) for byte in range(128)), b"yes", b", sir"]
VOCABULARY = Vocabulary(TOKENS, encode=greedy)


def graph_of(*parts: object) -> Graph:
    """Return the graph of a program that appends these to its prompt, behind its argument."""

    @sglc.function
    def program(s: sglc.ProgramState, text: str) -> None:
        s += "About " + text + ": "
        for part in parts:
            s += part

    return program.trace().graph


def only(graph: Graph, vocabulary: Vocabulary | None) -> Figures:
    """Return the figures of a graph's only constraint."""
    (facts,) = constraint_facts(graph, vocabulary)
    return facts.figures


def test_constraints_by_kind() -> None:
    schema = json.dumps(CLOSED)
    graph = graph_of(
        sglc.gen("a", regex="[ab]c"),
        sglc.gen("free"),
        sglc.gen("b", json_schema=schema),
        sglc.gen("c", dtype=float),
        sglc.select("d", choices=["x", "y"]),
        sglc.gen("e", grammar='start: "x" | "y"'),
    )
    found = [(each.name, each.kind, each.written) for each in constraints_of(graph)]
    assert found == [
        ("a", "regex", "[ab]c"),
        ("b", "json_schema", schema),
        ("c", "dtype", "float"),
        ("e", "grammar", 'start: "x" | "y"'),
    ]


def test_figures_of_a_table() -> None:
    facts = only(graph_of(sglc.gen("a", regex="[ab]yes, sir")), VOCABULARY)
    assert (facts.served_by, facts.states, facts.forced_states) == ("our table", 10, 8 / 10)
    assert facts.forced_tokens == 2 / 3
    assert facts.table_bytes and facts.seconds is not None


def test_figures_without_a_vocabulary() -> None:
    facts = only(graph_of(sglc.gen("a", regex="[ab]yes")), None)
    assert (facts.served_by, facts.states, facts.forced_states) == ("our table", 5, 3 / 5)
    assert (facts.forced_tokens, facts.table_bytes, facts.seconds) == (None, None, None)


def test_who_serves_what_has_no_table() -> None:
    regex = compile_regex("[ab]c")
    on_demand = Constraint("a", "regex", "[ab]c", None, Automaton(regex.name, regex.positions, None))
    assert on_demand.served_by == "states on demand"
    facts = only(graph_of(sglc.gen("a", json_schema={"type": "object"})), VOCABULARY)
    assert (facts.served_by, facts.states, facts.table_bytes) == ("llguidance", None, None)


def test_one_statement_is_told_once() -> None:
    @sglc.function
    def program(s: sglc.ProgramState) -> None:
        for _ in range(3):
            s += sglc.gen("a", regex="[ab]c")

    assert len(list(constraint_facts(program.trace().graph, None))) == 1


@pytest.mark.parametrize(
    ("pattern", "text", "share"),
    [("yes", b"yes", 1.0), ("[xy]", b"x", 0.0), ("a?", b"", 0.0), ("é", "é".encode(), None)],
)
def test_forced_share(pattern: str, text: bytes, share: float | None) -> None:
    tokens = Vocabulary(TOKENS, encode=lambda text: greedy(text) if text.isascii() else [])
    assert forced_share(TokenTable(compile_regex(pattern), tokens), text) == share


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([sglc.gen("a", regex="(yes|no)")], "a regex"),
        ([sglc.gen("a", json_schema=CLOSED)], "a JSON schema"),
        ([sglc.select("b", choices=["x", "y"]), sglc.gen("a", regex="[0-9]+")], "a regex"),
        ([sglc.gen("a", regex="(yes|no)"), sglc.gen("b", regex="(yes|no)")], "a regex"),
        ([sglc.gen("thoughts"), sglc.gen("a", regex="(yes|no)")], None),
        ([sglc.gen("a", dtype=int)], None),
        ([sglc.gen("a", dtype=float)], None),
        ([sglc.gen("a", dtype=bool)], None),
        ([sglc.gen("a", dtype=str)], None),  # prose fits into it
        ([sglc.select("a", choices=["x", "y"])], None),
        ([sglc.gen("a")], None),
        ([sglc.gen("a", regex="Thoughts: .*\nAnswer: [0-9]+")], None),
        ([sglc.gen("a", json_schema=WITH_REASONS)], None),
        (["Reasoning: it is round.\n", sglc.gen("a", regex="(yes|no)")], None),
    ],
)
def test_constraint_tax(parts: list[object], said: str | None) -> None:
    remarks = list(constraint_tax(graph_of(*parts)))
    if said is None:
        assert remarks == []
        return
    (remark,) = remarks
    assert (remark.source, remark.kind) == ("constraint-tax", "missed")
    assert remark.text.startswith(f"%a is held to {said} before any reasoning is in its prompt; ")
    assert remark.location is not None and remark.location.file == __file__


def test_reasoning_that_comes_from_elsewhere_is_no_tax() -> None:
    @sglc.function
    def told(s: sglc.ProgramState, reasoning: str) -> None:
        s += reasoning + sglc.gen("a", regex="(yes|no)")

    @sglc.function
    def forked(s: sglc.ProgramState) -> None:
        (thinking,) = s.fork(1)
        thinking += sglc.gen("why")
        s += "So: " + thinking["why"] + sglc.gen("a", regex="(yes|no)")

    assert not list(constraint_tax(told.trace().graph)) and not list(constraint_tax(forked.trace().graph))


def test_a_fresh_prompt_pays_again() -> None:
    @sglc.function
    def forked(s: sglc.ProgramState) -> None:
        first, second = s.fork(2)
        first += sglc.gen("why")
        second += "Answer: " + sglc.gen("a", regex="(yes|no)")

    assert len(list(constraint_tax(forked.trace().graph))) == 1
