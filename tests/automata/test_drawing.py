"""Drawings of automata have every state and edge but the dead ones, and read well."""

from __future__ import annotations

import re
from itertools import product

import pytest

from sglc.automata.automaton import compile_regex
from sglc.automata.byte_dfa import ByteDfa
from sglc.automata.drawing import compressed, state_count, to_dot, to_mermaid, to_text, whole

PATTERN = r"ab|c[0-9]yes|cano|x(é)?"

WHOLE = """\
before compression: 11 states, 13 edges
  start 1, ends 4, 5
  1 → 2   a
  1 → 3   c
  1 → 4   x
  2 → 5   b
  3 → 6   [0-9]
  3 → 7   a
  4 → 8   \\xc3
  6 → 9   y
  7 → 10  n
  8 → 5   \\xa9
  9 → 11  e
  10 → 5  o
  11 → 5  s
"""

COMPRESSED = """\
after compression: 4 states, 5 edges
  start 1, ends 4, 5
  1 → 3  c
  1 → 4  x
  1 → 5  ab
  3 → 5  [0-9]yes
  3 → 5  ano
  4 → 5  é
"""

DOT = """\
digraph "\\"é\\"" {
  graph [rankdir="LR" bgcolor="transparent" FONT fontcolor="#7b8698" ranksep=0.4 nodesep=0.25]
  node [FONT fontcolor="#1d2433" style="filled" fillcolor="#e3eef9" color="#5b8fc7" margin=0.05]
  edge [FONT fontcolor="#1d2433" color="#7b8698" arrowsize=0.6]
  subgraph cluster_0 {
    label="after compression: 2 states, 1 edge" labeljust="l" style="rounded,dashed" color="#7b8698"
    s0_start [shape="point" width=0.08 fillcolor="#7b8698" color="#7b8698"]
    s0_start -> s0_1
    s0_1 [label="1" shape="circle"]
    s0_4 [label="4" shape="doublecircle"]
    s0_1 -> s0_4 [label="\\"\\\\\\\\\\nab"]
  }
}
""".replace("FONT", 'fontname="monospace" fontsize=10')

MERMAID = """\
flowchart LR
  subgraph part0["after compression: 2 states, 1 edge"]
    s0_start(["start"]) --> s0_1
    s0_1(("1"))
    s0_4((("4")))
    s0_1 -- "#34;#92;#92;<br/>ab" --> s0_4
  end
"""


def dfa_of(pattern: str) -> ByteDfa:
    """Return a pattern's automaton."""
    dfa = compile_regex(pattern).dfa
    assert dfa is not None
    return dfa


def test_text_before_and_after_compression() -> None:
    dfa = dfa_of(PATTERN)
    assert to_text(whole(dfa)) == WHOLE
    assert to_text(compressed(dfa)) == COMPRESSED
    assert state_count(dfa) == len(whole(dfa).states) == 11


def test_two_states_have_one_edge_at_most() -> None:
    for pattern in (PATTERN, "(ab|cd|ef)*", "a|b|c|dd|[0-9]+"):
        for drawing in (whole(dfa_of(pattern)), compressed(dfa_of(pattern))):
            pairs = [edge[:2] for edge in drawing.edges]
            assert len(pairs) == len(set(pairs))
            assert 0 not in {state for pair in pairs for state in pair}


def test_dot_and_mermaid_have_double_rings_for_ends_and_escape_labels() -> None:
    drawing = compressed(dfa_of(r'"\\|ab'))
    assert to_dot('"é"', drawing) == DOT
    assert to_mermaid(drawing) == MERMAID


def test_the_empty_language_has_no_states() -> None:
    drawing = whole(dfa_of(r"[^\s\S]"))
    assert to_text(drawing) == "before compression: 0 states, 0 edges\n"
    assert compressed(dfa_of(r"[^\s\S]")).states == ()
    assert "start" not in to_mermaid(drawing)


@pytest.mark.parametrize("pattern", [PATTERN, "(ab|cd)*e?", "[ab]{2,3}c"])
def test_the_paths_of_a_compressed_drawing_spell_the_members(pattern: str) -> None:
    drawing = compressed(dfa_of(pattern))
    found: set[str] = set()
    pending = [("", drawing.start)]
    while pending:
        text, state = pending.pop()
        if state in drawing.final:
            found.add(text)
        for source, target, ways in drawing.edges:
            for way in ways if source == state else ():
                first = re.fullmatch(r"\[(.)-?(.)\](.*)", way)
                begun = [chr(code) + first[3] for code in range(ord(first[1]), ord(first[2]) + 1)] if first else [way]
                pending += [(text + more, target) for more in begun if len(text + more) <= 5]
    words = ("".join(letters) for length in range(6) for letters in product("abcdex", repeat=length))
    assert {word for word in words if re.fullmatch(pattern, word)} == {
        word for word in found if set(word) <= set("abcdex")
    }
