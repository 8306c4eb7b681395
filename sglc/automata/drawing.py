"""Drawings of byte automata, whole and with forced runs as one edge: as lines of text, for Graphviz and for Mermaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.byte_labels import edge_label, shortened
from sglc.automata.compression import compressed_edges
from sglc.automata.regular import Range

WIDTH = 46
"""Characters of a label in a drawing; in text it is whole."""

_LINE, _FILL, _INK = "#5b8fc7", "#e3eef9", "#1d2433"
_EDGE = "#7b8698"
_FONT = 'fontname="monospace" fontsize=10'

Ways = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """States and the edges between them, without DEAD. States have the numbers of the automaton.

    Two states have one edge at most: `edges` are source, target and the ways to go from one to the other.
    """

    title: str
    start: int
    states: tuple[int, ...]
    final: frozenset[int]
    edges: tuple[tuple[int, int, Ways], ...]

    @property
    def heading(self) -> str:
        """The title, with how much there is."""
        return f"{self.title}: {_counted(len(self.states), 'state')}, {_counted(len(self.edges), 'edge')}"


def whole(dfa: ByteDfa) -> Drawing:
    """Return all states of an automaton; an edge is a class of bytes."""
    states = range(1, len(dfa)) if dfa.start != DEAD else range(0)
    edges: list[tuple[int, int, Ways]] = []
    for source in states:
        first: dict[int, list[Range]] = {}
        for low, high, target in dfa.edges(source):
            first.setdefault(target, []).append((low, high))
        edges += [(source, target, (edge_label(ranges),)) for target, ranges in first.items()]
    return _drawing("before compression", dfa, states, edges)


def compressed(dfa: ByteDfa) -> Drawing:
    """Return the states where there is something to decide, and the last ones; an edge takes a forced run with it."""
    ways: dict[tuple[int, int], list[str]] = {}
    for edge in compressed_edges(dfa):
        ways.setdefault((edge.source, edge.target), []).append(edge_label(edge.first, edge.run))
    edges = [(source, target, tuple(labels)) for (source, target), labels in sorted(ways.items())]
    alive = {dfa.start} if dfa.start != DEAD else set()
    states = sorted(alive.union(*(edge[:2] for edge in edges)))
    return _drawing("after compression", dfa, states, edges)


def to_text(drawing: Drawing) -> str:
    """Return a line for each edge, or for each way where it has several."""
    lines = [drawing.heading]
    if drawing.states:
        lines.append(f"  start {drawing.start}, {_ends(drawing)}")
    arrows = [(f"{source} → {target}", way) for source, target, ways in drawing.edges for way in ways]
    width = max((len(arrow) for arrow, _ in arrows), default=0)
    lines += [f"  {arrow:<{width}}  {way}" for arrow, way in arrows]
    return "\n".join(lines) + "\n"


def to_dot(name: str, *drawings: Drawing) -> str:
    """Return drawings in Graphviz's language, each in a frame; states where a text may end have two rings."""
    lines = [
        f"digraph {_dot_quoted(name)} {{",
        f'  graph [rankdir="LR" bgcolor="transparent" {_FONT} fontcolor="{_EDGE}" ranksep=0.4 nodesep=0.25]',
        f'  node [{_FONT} fontcolor="{_INK}" style="filled" fillcolor="{_FILL}" color="{_LINE}" margin=0.05]',
        f'  edge [{_FONT} fontcolor="{_INK}" color="{_EDGE}" arrowsize=0.6]',
    ]
    for number, drawing in reversed([*enumerate(drawings)]):  # Graphviz draws the last frame on top
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f'    label={_dot_quoted(drawing.heading)} labeljust="l" style="rounded,dashed" color="{_EDGE}"')
        lines += [f"    {line}" for line in _dot_lines(drawing, f"s{number}_")]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def to_mermaid(*drawings: Drawing) -> str:
    """Return drawings as one Mermaid flowchart, of the same parts as `to_dot`."""
    lines = ["flowchart LR"]
    for number, drawing in enumerate(drawings):
        prefix = f"s{number}_"
        lines.append(f'  subgraph part{number}["{_mermaid_escaped(drawing.heading)}"]')
        if drawing.states:
            lines.append(f'    {prefix}start(["start"]) --> {prefix}{drawing.start}')
        for state in drawing.states:
            ring = ("(((", ")))") if state in drawing.final else ("((", "))")
            lines.append(f'    {prefix}{state}{ring[0]}"{state}"{ring[1]}')
        for source, target, ways in drawing.edges:
            label = "<br/>".join(_mermaid_escaped(shortened(way, WIDTH)) for way in ways)
            lines.append(f'    {prefix}{source} -- "{label}" --> {prefix}{target}')
        lines.append("  end")
    return "\n".join(lines) + "\n"


def state_count(dfa: ByteDfa) -> int:
    """Return how many states there are beside DEAD."""
    return len(dfa) - 1


def _drawing(title: str, dfa: ByteDfa, states: range | list[int], edges: list[tuple[int, int, Ways]]) -> Drawing:
    final = frozenset(state for state in states if dfa.final[state])
    return Drawing(title, dfa.start, tuple(states), final, tuple(edges))


def _dot_lines(drawing: Drawing, prefix: str) -> Iterator[str]:
    if drawing.states:
        yield f'{prefix}start [shape="point" width=0.08 fillcolor="{_EDGE}" color="{_EDGE}"]'
        yield f"{prefix}start -> {prefix}{drawing.start}"
    for state in drawing.states:
        shape = "doublecircle" if state in drawing.final else "circle"
        yield f'{prefix}{state} [label="{state}" shape="{shape}"]'
    for source, target, ways in drawing.edges:
        label = "\n".join(shortened(way, WIDTH) for way in ways)
        yield f"{prefix}{source} -> {prefix}{target} [label={_dot_quoted(label)}]"


def _ends(drawing: Drawing) -> str:
    ends = sorted(drawing.final)
    return f"{'end' if len(ends) == 1 else 'ends'} {', '.join(map(str, ends))}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _dot_quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _mermaid_escaped(text: str) -> str:
    """Return a text for a label in quotes: what ends it, HTML, Markdown and the beginning of a directive as codes."""
    return re.sub(r'[#&<>"`\\*_]|%(?=%)', lambda found: f"#{ord(found[0])};", text)
