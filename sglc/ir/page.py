"""A page of HTML that shows graphs: drawing, text and source beside each other, each leading to the others."""

from __future__ import annotations

import json
import linecache
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import PurePath
from typing import Any

from sglc.errors import Location
from sglc.ir.graph import Graph, Op, Value
from sglc.ir.ops import rows_of
from sglc.ir.picture import to_picture
from sglc.ir.printer import graph_lines
from sglc.ir.sketch import sketch
from sglc.ir.structure import critical_path
from sglc.ir.types import Type
from sglc.ir.uniformity import uniformity
from sglc.ir.wording import short_path

_COUNTED = {
    "generation": ("gen", "decode"),
    "choice": ("select", "score", "choose"),
    "call": ("call",),
    "branch": ("branch",),
}

SOURCE_MARGIN = 2
"""Lines of the source shown around those that operations come from."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One graph of a page: its name, how far the program was captured (`tier`), and what that took for granted.

    `notes` are shown beside operations, in place of how much they add.
    """

    title: str
    graph: Graph
    tier: str = ""
    assumptions: tuple[str, ...] = ()
    notes: Mapping[Op, str] = field(default_factory=dict)


def to_page(
    tabs: Sequence[Tab], *, title: str, count: Callable[[str], int] | None = None, overview: str | None = None
) -> str:
    """Return one HTML page that needs nothing else: a tab for each graph, behind one for an `overview`, which is HTML.

    `count` says how many tokens a text has; without one, characters are counted. The place `#t1-o12` of the page is
    operation 12 (of `graph.ops()`) in tab 1.
    """
    counter = _Counter(count or len, "ch" if count is None else "tok")
    panels: list[_Panel | _Overview] = [] if overview is None else [_Overview(overview)]
    panels += [_Panel(number, tab, counter) for number, tab in enumerate(tabs, start=len(panels))]
    buttons = "".join(
        f'<button role="tab" id="tab{panel.number}" aria-controls="panel{panel.number}" '
        f'aria-selected="{"false" if panel.number else "true"}" tabindex="{-1 if panel.number else 0}">'
        f"{escape(panel.title)}</button>"
        for panel in panels
    )
    data = json.dumps([panel.data() for panel in panels], ensure_ascii=False).replace("<", "\\u003c")
    parts = {
        "title": escape(title),
        "tabs": buttons,
        "panels": "".join(panel.html() for panel in panels),
        "data": data,
    }
    template = (resources.files("sglc.ir") / "page.html").read_text(encoding="utf-8")
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)
    return page.encode("utf-8", "backslashreplace").decode("utf-8")  # a text may hold half of a surrogate pair


@dataclass(frozen=True, slots=True)
class _Counter:
    """How long texts are, and in what unit."""

    measure: Callable[[str], int]
    unit: str

    def said(self, ops: Sequence[Op]) -> list[str]:
        """Return what each operation adds, as it is shown: a text's fixed part, at most those of a generation."""
        fixed: dict[Value, tuple[int, bool]] = {}  # value → the length that is known, whether that is all
        found = []
        for op in ops:
            parts = [fixed.get(value, (0, False)) for value in op.operands if value.type is not Type.PROMPT]
            known, whole = sum(part for part, _ in parts), all(all_of_it for _, all_of_it in parts)
            said = ""
            if op.name == "const" and isinstance(op.attributes["value"], str):
                fixed[op.result] = self.measure(op.attributes["value"]), True
                said = f"{fixed[op.result][0]} {self.unit}"
            elif op.name == "concat" or op.attributes.get("fn") in ("add", "as_text"):
                fixed[op.result] = known, whole
            elif op.name in ("append", "extend", "sections", "arrange"):
                said = f"+{known}{'' if whole else ' + …'} {self.unit}" if known else ""
            elif op.name == "tokens":
                said = f"+{self.measure(op.attributes['text'])} {self.unit}"
            elif op.attributes.get("max_new_tokens") is not None:
                said = f"≤ {op.attributes['max_new_tokens']} tok"
            found.append(said)
        return found


class _Overview:
    """The first tab's part of the page, where that is no graph."""

    number = 0
    title = "overview"

    def __init__(self, content: str) -> None:
        self._content = content

    def html(self) -> str:
        """Return the panel."""
        return (
            '<section class="panel overview" role="tabpanel" id="panel0" aria-labelledby="tab0">'
            f"{self._content}</section>"
        )

    def data(self) -> list[dict[str, Any]]:
        """Return nothing: it has no operations."""
        return []


class _Panel:
    """One tab's part of the page."""

    def __init__(self, number: int, tab: Tab, counter: _Counter) -> None:
        self.number = number
        self.tab = tab
        self.title = tab.title
        self.ops = list(tab.graph.ops())
        said = counter.said(self.ops)
        self.counts = [escape(tab.notes.get(op, count)) for op, count in zip(self.ops, said, strict=True)]
        constants = [op.attributes["value"] for op in self.ops if op.name == "const"]
        fixed = sum(counter.measure(value) for value in constants if isinstance(value, str))
        self.fixed = f"{fixed:,} {'characters' if counter.unit == 'ch' else 'tokens'} of fixed text"

    def html(self) -> str:
        """Return the panel."""
        number, hidden = self.number, " hidden" if self.number else ""
        return (
            f'<section class="panel" role="tabpanel" id="panel{number}" aria-labelledby="tab{number}"{hidden}>'
            f'<div class="facts">{self._facts()}</div><div class="panes"><div class="graph" tabindex="-1">'
            f'<div class="zoom" role="group" aria-label="zoom"><button data-zoom="out" aria-label="smaller">−</button>'
            f'<button data-zoom="fit">fit</button><button data-zoom="in" aria-label="larger">+</button></div>'
            f'<div class="canvas">{to_picture(sketch(self.tab.graph), f"t{number}-")}</div></div>'
            f'<div class="texts"><div class="ir"><ol class="code">{self._code()}</ol></div>'
            f'{self._sources()}<div class="detail" aria-live="polite"></div></div></div></section>'
        )

    def data(self) -> list[dict[str, Any]]:
        """Return, for every operation: what it uses, what uses it, what it is, where it was written, how it varies."""
        defined: dict[Value, int] = {}
        uniform = uniformity(self.tab.graph)
        table = rows_of(self.tab.graph.level)
        described: list[dict[str, Any]] = []
        for place, op in enumerate(self.ops):
            sources = list(dict.fromkeys(defined[value] for value in op.operands if value in defined))
            for source in sources:
                described[source]["users"].append(place)
            defined.update((result, place) for result in op.results)
            described.append(
                {
                    "name": op.name,
                    "says": table[op.name].sentence,
                    "uses": sources,
                    "users": [],
                    "at": _key(op.location),
                    "same": bool(op.results) and all(uniform[result] for result in op.results),
                    "has": bool(op.results),
                }
            )
        return described

    def _facts(self) -> str:
        names = Counter(op.name for op in self.ops)
        most = critical_path(self.tab.graph).tokens
        arguments = ", ".join(f"{a.name}: {a.type}" for a in self.tab.graph.arguments)
        parts = [f'<h2>@{escape(self.tab.graph.name)}<span class="arguments">({escape(arguments)})</span></h2>']
        if self.tab.tier:
            parts.append(f'<span class="tier {self.tab.tier.replace(" ", "-")}">{escape(self.tab.tier)}</span>')
        stats = [_plural(len(self.ops), "operation")]
        for word, kinds in _COUNTED.items():
            if count := sum(names[kind] for kind in kinds):
                stats.append(_plural(count, word))
        stats.append(self.fixed)
        if most:
            stats.append(f"critical path ≤ {most:,} new tokens")
        parts.append(f'<ul class="stats">{"".join(f"<li>{stat}</li>" for stat in stats)}</ul>')
        if self.tab.assumptions:
            listed = "".join(f"<li><code>{escape(each)}</code></li>" for each in self.tab.assumptions)
            parts.append(f'<div class="fact"><h3>assumes</h3><ul>{listed}</ul></div>')
        regions: dict[tuple[str, str], list[int]] = {}
        for place, op in enumerate(self.ops):
            if op.name == "eager":
                where = f"{PurePath(op.location.file).name}:{op.location.line}: " if op.location else ""
                said = where + op.attributes["cause"], op.attributes.get("mend", "")
                regions.setdefault(said, []).append(place)
        if regions:
            listed = "".join(_region(*said, places) for said, places in regions.items())
            parts.append(f'<div class="fact eager"><h3>eager</h3><ul>{listed}</ul></div>')
        return "".join(parts)

    def _code(self) -> str:
        places = {op: place for place, op in enumerate(self.ops)}
        lines = []
        for op, text in graph_lines(self.tab.graph):
            if op is None:
                lines.append(f'<li><span class="at"></span><code>{_coloured(text)}</code></li>')
                continue
            place = places[op]
            lines.append(
                f'<li class="op" data-ops="{place}" tabindex="-1">'
                f'<span class="at">{op.location.line if op.location else ""}</span><code>{_coloured(text)}</code>'
                f'<span class="count">{self.counts[place]}</span></li>'
            )
        return "".join(lines)

    def _sources(self) -> str:
        """Return the source files' lines that operations come from, with those between and around them."""
        found: dict[str, dict[int, list[int]]] = {}
        for place, op in enumerate(self.ops):
            if op.location:
                found.setdefault(op.location.file, {}).setdefault(op.location.line, []).append(place)
        parts = []
        for file, lines in found.items():
            text = _lines_of(file)
            if not text:
                continue
            first = max(min(lines) - SOURCE_MARGIN, 1)
            listed = []
            for number in range(first, min(max(lines) + SOURCE_MARGIN, len(text)) + 1):
                ops = " ".join(map(str, lines.get(number, ())))
                kind = ' class="op" tabindex="-1"' if ops else ""
                listed.append(
                    f'<li{kind} data-ops="{ops}" data-at="{escape(_key(Location(file, number)))}">'
                    f'<span class="at">{number}</span><code>{escape(text[number - 1].rstrip())}</code></li>'
                )
            parts.append(f'<h3>{escape(short_path(file))}</h3><ol class="code">{"".join(listed)}</ol>')
        return f'<div class="source">{"".join(parts)}</div>' if parts else ""


_TOKEN = re.compile(
    r'(?P<literal>"(?:[^"\\]|\\.)*")|(?P<value>%\w+)|(?P<word>@\w+)|(?P<number>(?<![\w.])-?\d[\d.e+-]*)|'
    r"(?P<type>: [a-z]+(?:, [a-z]+)*(?= *\{?$))|(?P<name>\b[a-z_]+(?= =))"
)


def _coloured(text: str) -> str:
    """Return a line of a graph's text with its parts marked."""
    parts = []
    end = 0
    for found in _TOKEN.finditer(text):
        parts.append(escape(text[end : found.start()]))
        parts.append(f'<span class="{found.lastgroup}">{escape(found[0])}</span>')
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def _region(cause: str, mend: str, places: list[int]) -> str:
    """Return an entry of the list of eager regions; it leads to all that have one cause."""
    times = f' <span class="times">in {len(places)} cases</span>' if len(places) > 1 else ""
    mended = f' <span class="mend">{escape(mend)}</span>' if mend else ""
    ops = " ".join(map(str, places))
    return f'<li><button class="jump" data-ops="{ops}">{escape(cause)}</button>{times}{mended}</li>'


def _lines_of(file: str) -> list[str]:
    """Return the lines of a source file or of a notebook's cell, none where there are no such."""
    try:
        return linecache.getlines(file)
    except ValueError:  # a name that no file can have
        return []


def _key(location: Location | None) -> str:
    return f"{short_path(location.file)}:{location.line}" if location else ""


def _plural(count: int, word: str) -> str:
    if count == 1:
        return f"1 {word}"
    return f"{count} {word}es" if word.endswith("ch") else f"{count} {word}s"
