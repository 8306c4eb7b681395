"""Drawings of graphs: for Graphviz, for Mermaid, and as SVG where Graphviz is there."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

from sglc.errors import InputError, Location
from sglc.ir.graph import Graph
from sglc.ir.sketch import Arrow, Box, Sketch, sketch
from sglc.ir.wording import Span, Spans, visible, wrapped

WIDTH = 46
"""Columns of a label."""

MOST_LINES = 14
"""Lines of a box; the rest of a long run of text is counted."""

_UNBROKEN = 200  # columns: Mermaid breaks lines itself


class _Look(NamedTuple):
    """How boxes of a kind look, on white and on black; `shape` is Graphviz's name for it, `brackets` are Mermaid's."""

    fill: str
    line: str
    shape: str
    brackets: tuple[str, str]


_LOOKS = {
    "start": _Look("#e4e7ec", "#7b8698", "oval", ("([", "])")),
    "text": _Look("#f4f5f7", "#a0a9b8", "box", ("[", "]")),
    "gen": _Look("#d9f2e3", "#2f9e63", "box", ("(", ")")),
    "select": _Look("#fdeecb", "#c28a12", "hexagon", ("{{", "}}")),
    "call": _Look("#e6e0fb", "#7b61d1", "component", ("[[", "]]")),
    "data": _Look("#e3eef9", "#5b8fc7", "parallelogram", ("[/", "/]")),
    "branch": _Look("#fbe0ee", "#c2508d", "diamond", ("{", "}")),
    "return": _Look("#e4e7ec", "#7b8698", "oval", ("([", "])")),
    "eager": _Look("#fde0dc", "#cf4b3d", "octagon", (">", "]")),
}
_INK = "#1d2433"
_INKS = {"literal": "#0b6b3a", "number": "#0b5cad", "value": "#8a3ffc", "name": "#57606f", "plain": _INK}
_EDGE = "#7b8698"
_FONT = 'fontname="monospace" fontsize=10'


def to_dot(graph: Graph) -> str:
    """Return the graph in Graphviz's language: prompts go down, cases are clusters, values dashed arrows."""
    drawn = sketch(graph)
    lines = [
        f"digraph {_dot_quoted(graph.name)} {{",
        f'  graph [bgcolor="transparent" {_FONT} fontcolor="{_EDGE}" ranksep=0.35 nodesep=0.3]',
        f'  node [{_FONT} fontcolor="{_INK}" style="filled" margin="0.14,0.07"]',
        f'  edge [{_FONT} fontcolor="{_EDGE}" color="{_EDGE}" arrowsize=0.6]',
    ]
    for indent, kind, text in _nested(drawn, _dot_box):
        if kind == "open":
            lines.append(f"{indent}subgraph cluster_{len(lines)} {{")
            lines.append(f'{indent}  label={_dot_quoted(text)} labeljust="l" style="rounded,dashed" color="{_EDGE}"')
        else:
            lines.append(f"{indent}}}" if kind == "close" else indent + text)
    lines += [_dot_arrow(arrow) for arrow in drawn.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def to_mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, of the same parts as `to_dot`."""
    drawn = sketch(graph)
    lines = ["flowchart TD"]
    for indent, kind, text in _nested(drawn, _mermaid_box):
        if kind == "open":
            lines.append(f'{indent}subgraph case{len(lines)}["{_mermaid_escaped(text)}"]')
        else:
            lines.append(f"{indent}end" if kind == "close" else indent + text)
    lines += [f"  n{a.source} {'==>' if a.is_prompt else '-.->'} n{a.target}" for a in drawn.arrows]
    lines += [f"  classDef is_{kind} fill:{look.fill},stroke:{look.line},color:{_INK}" for kind, look in _LOOKS.items()]
    return "\n".join(lines) + "\n"


def to_svg(graph: Graph) -> str:
    """Return the graph as SVG. Raises InputError where Graphviz is not there, or cannot draw it."""
    return svg_of(to_dot(graph), f"@{graph.name}", "--format html")


def svg_of(dot: str, name: str, otherwise: str) -> str:
    """Return what Graphviz draws of its language; errors call it `name` and say what needs no Graphviz.

    Raises InputError where it is not there, or cannot draw it.
    """
    program = shutil.which("dot")
    if program is None:
        raise InputError(
            "found no program dot; wanted Graphviz (apt install graphviz, brew install graphviz), "
            f"or {otherwise}, which needs none"
        )
    done = subprocess.run([program, "-Tsvg"], input=dot, capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise InputError(f"found that dot ended with {done.stderr.strip()!r}; wanted a drawing of {name}")
    return done.stdout


def source_range(locations: Sequence[Location | None]) -> str:
    """Return the lines of the source that these are, shortly: `judge.py:12`, `judge.py:12-14`, "" for none."""
    known = sorted({(visible(PurePath(place.file).name), place.line) for place in locations if place is not None})
    if not known:
        return ""
    (file, first), (last_file, last) = known[0], known[-1]
    return f"{file}:{first}" + (f"-{last}" if file == last_file and first != last else "")


def _nested(drawn: Sketch, text_of: Callable[[Sketch, Box], str]) -> Iterator[tuple[str, str, str]]:
    """Yield (indent, open | close | box, text) for the boxes of every region in turn, the regions nested."""
    depth = 0
    for region in drawn.regions:
        while region.depth <= depth and depth:
            yield "  " * depth, "close", ""
            depth -= 1
        if region.depth:
            depth = region.depth
            yield "  " * depth, "open", region.label
        for place in region.boxes:
            yield "  " * (depth + 1), "box", text_of(drawn, drawn.boxes[place])
    for level in range(depth, 0, -1):
        yield "  " * level, "close", ""


def _label(drawn: Sketch, box: Box, width: int = WIDTH) -> tuple[str, list[Spans], str]:
    """Return a box's title, the lines of its text, and where it was written."""
    lines = [part for line in box.lines for part in wrapped(line.text, width, 4) if part]
    if box.kind == "start":
        lines = []
    if len(lines) > MOST_LINES:
        more = len(lines) - MOST_LINES + 2
        lines = [*lines[: MOST_LINES - 2], (Span("name", f"… {more} more lines …"),), lines[-1]]
    return box.title, lines, source_range([drawn.location(line.place) for line in box.lines])


def _dot_box(drawn: Sketch, box: Box) -> str:
    title, lines, source = _label(drawn, box)
    parts = [f"<B>{_dot_escaped(title)}</B>"] if title else []
    parts += [
        "".join(f'<FONT COLOR="{_INKS[kind]}">{_dot_escaped(text)}</FONT>' for kind, text in line) for line in lines
    ]
    if source:
        parts.append(f'<FONT POINT-SIZE="8" COLOR="{_INKS["name"]}">{_dot_escaped(source)}</FONT>')
    align = '<BR ALIGN="LEFT"/>' if box.kind in ("text", "gen", "call", "data") else "<BR/>"
    label = align.join(parts) + (align if align != "<BR/>" else "")
    look = _LOOKS[box.kind]
    rounded = ' style="filled,rounded"' if box.kind == "gen" else ""
    return (
        f"n{box.place} [label=<{label}> shape={look.shape}{rounded} "
        f'fillcolor="{look.fill}" color="{look.line}" tooltip={_dot_quoted(source or title or box.kind)}]'
    )


def _dot_arrow(arrow: Arrow) -> str:
    style = "penwidth=1.6" if arrow.is_prompt else 'style="dashed"'
    return f"  n{arrow.source} -> n{arrow.target} [{style}]"


def _dot_escaped(text: str) -> str:
    """Return a text for Graphviz's HTML: a bracket right behind a tag is an error there."""
    return html.escape(text).replace("[", "&#91;").replace("]", "&#93;")


def _dot_quoted(text: str) -> str:
    return '"' + visible(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _mermaid_box(drawn: Sketch, box: Box) -> str:
    title, lines, source = _label(drawn, box, _UNBROKEN)
    parts = [f"<b>{_mermaid_escaped(title)}</b>"] if title else []
    parts += [_mermaid_escaped("".join(text for _, text in line)) for line in lines]
    parts += [f"<small>{_mermaid_escaped(source)}</small>"] if source else []
    opening, closing = _LOOKS[box.kind].brackets
    return f'n{box.place}{opening}"{"<br/>".join(parts)}"{closing}:::is_{box.kind}'


def _mermaid_escaped(text: str) -> str:
    """Return a text for a label in quotes: what ends it, HTML, Markdown and the beginning of a directive as codes."""
    return re.sub(r'[#&<>"`\\]|%(?=%)', lambda found: f"#{ord(found[0])};", text)
