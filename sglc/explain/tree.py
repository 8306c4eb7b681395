"""A plan as a tree of prompts: each statement below what it goes on from, in as few lines as it was written in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sglc.errors import Location
from sglc.ir.graph import Graph, Op
from sglc.ir.sketch import Box, Line, Sketch, sketch
from sglc.ir.wording import Span, Spans, details, plain

_TOLD = frozenset({"site", "max_new_tokens", "turn", "keep", "ahead", "shared"})
"""Attributes that are told elsewhere, or that nobody needs to know."""

_SAMPLING = {"gen": "gen", "decode": "gen", "select": "select", "score": "select", "choose": "select"}
_TEXT_FLAGS = {"pin": "pinned", "settle": "tokenized once", "arrange": "reordered"}
_SILENT = frozenset({"rest", "pin", "settle", "close", "end"})
_PROMPTS = frozenset({"text", "gen", "select"})
_BOOKKEEPING = frozenset({"data", "return"})


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree: operations of one statement, told as `text`.

    `kind` is text, gen, select, call, branch, case or eager. `guides` are the lines that lead to it from above,
    `parent` the number of the node that its prompt goes on from. `flags` say what was arranged for it. `uses` is how
    many generations and choices are at or below it, those of all ways of a branch.
    """

    kind: str
    text: Spans
    ops: tuple[Op, ...]
    guides: str
    parent: int | None
    flags: tuple[str, ...] = ()
    uses: int = 0

    @property
    def location(self) -> Location | None:
        """The statement that it comes from."""
        return next((op.location for op in self.ops if op.location is not None), None)


def plan_tree(graph: Graph) -> list[Node]:
    """Return the nodes of a graph or plan, each behind the one that it goes on from."""
    return _Tree(sketch(graph)).nodes()


@dataclass(slots=True)
class _Branching:
    """Boxes of the tree, or the cases of a branch, that are still to come below a node."""

    place: int
    guides: str
    parent: int | None
    label: str | None = None


class _Tree:
    def __init__(self, drawn: Sketch) -> None:
        self._drawn = drawn
        self._region_of = {place: at for at, region in enumerate(drawn.regions) for place in region.boxes}
        self._below: dict[int, list[int]] = {}
        self._nodes: list[Node] = []
        self._place_boxes()
        self._uses = self._count("gen", "select")
        self._costs = self._count("gen", "select", "call", "eager")

    def nodes(self) -> list[Node]:
        """Return the tree's nodes in the order in which they are read."""
        roots = self._roots(0)
        waiting = self._listed(roots, "", None)
        while waiting:
            next_one = waiting.pop()
            if next_one.label is not None:
                self._nodes.append(Node("case", (plain(next_one.label),), (), next_one.guides, next_one.parent))
                below = self._roots(next_one.place)
                waiting += self._listed(below, _continued(next_one.guides), len(self._nodes) - 1)
                continue
            box = self._drawn.boxes[next_one.place]
            last = self._write(box, next_one.guides, next_one.parent)
            guides = next_one.guides if last == next_one.parent else _continued(next_one.guides)
            below = [place for place in self._below.get(box.place, ()) if self._same_region(place, box)]
            waiting += self._listed(below, guides, last)
            if box.kind == "branch" and self._costs[box.place]:
                cases = [at for at, region in enumerate(self._drawn.regions) if region.branch == box.place]
                waiting += [
                    _Branching(at, guides + ("└─ " if at == cases[-1] else "├─ "), last, self._drawn.regions[at].label)
                    for at in reversed(cases)
                ]
        return self._nodes

    def _place_boxes(self) -> None:
        """Find for each box what it is below: the prompt it goes on from, else the box before it in its block."""
        prompts = {arrow.target: arrow.source for arrow in self._drawn.arrows if arrow.is_prompt}
        for at, region in enumerate(self._drawn.regions):
            before: int | None = None
            for place in region.boxes:
                above = prompts.get(place)
                kind = self._drawn.boxes[place].kind
                if above is None or self._region_of[above] != at or kind in ("branch", "return", "eager"):
                    above = before if kind in ("data", "call", "branch", "return", "eager") else None
                if above is not None:
                    self._below.setdefault(above, []).append(place)
                before = place

    def _roots(self, at: int) -> list[int]:
        """Return the boxes of a block that are below no other of it."""
        placed = {place for places in self._below.values() for place in places}
        return [place for place in self._drawn.regions[at].boxes if place not in placed]

    def _same_region(self, place: int, box: Box) -> bool:
        return self._region_of[place] == self._region_of[box.place]

    def _listed(self, places: Sequence[int], guides: str, parent: int | None) -> list[_Branching]:
        """Return boxes to be told, the first last; several prompts side by side are set apart."""
        tellable = [place for place in places if self._drawn.boxes[place].kind != "start"]
        for place in places:
            if self._drawn.boxes[place].kind == "start":
                tellable += self._below.get(place, [])
        prompts = [place for place in tellable if self._drawn.boxes[place].kind in _PROMPTS]
        forked = {place: "└─ " if place == prompts[-1] else "├─ " for place in prompts if len(prompts) > 1}
        return [_Branching(place, guides + forked.get(place, ""), parent) for place in sorted(tellable, reverse=True)]

    def _write(self, box: Box, guides: str, parent: int | None) -> int | None:
        """Add the nodes of a box, one for each statement; return the number of the last, `parent` if there is none."""
        for lines in self._statements(box) if box.kind not in _BOOKKEEPING else ():
            ops = tuple(dict.fromkeys(self._drawn.ops[line.place] for line in lines))
            text = self._told(box, lines)
            if text:
                uses = self._uses[box.place]
                self._nodes.append(Node(box.kind, text, ops, guides, parent, tuple(_flags(ops)), uses))
                parent, guides = len(self._nodes) - 1, _continued(guides)
        return parent

    def _statements(self, box: Box) -> Iterator[list[Line]]:
        """Yield the lines of a box that come from one line of the source."""
        group: list[Line] = []
        for line in box.lines:
            place = self._drawn.location(line.place)
            if group and place not in (None, self._drawn.location(group[0].place)):
                yield group
                group = []
            group.append(line)
        yield group

    def _told(self, box: Box, lines: Sequence[Line]) -> Spans:
        """Return how a node reads."""
        op = box.op
        if box.kind == "text":
            return _merged([line.text for line in lines if self._drawn.ops[line.place].name not in _SILENT])
        if op.name in _SAMPLING:
            named = (plain(f"{_SAMPLING[op.name]} "), Span("value", f"%{op.results[-1].name}"))
            shown = details(op, _TOLD) if box.kind == "gen" else lines[0].text
            return (*named, plain("  "), *shown) if shown else named
        if box.kind == "call":
            return (plain("call "), Span("value", f"%{op.results[-1].name}"), plain(" = "), *lines[0].text)
        if box.kind == "branch" and not self._costs[box.place]:
            return (plain("branch, nothing is generated behind it"),)
        return (plain(f"{box.kind} "), *lines[0].text)

    def _count(self, *kinds: str) -> dict[int, int]:
        """Return for each box how many boxes of these kinds are at or below it, those in its cases included."""
        following: dict[int, set[int]] = {}
        for place, places in self._below.items():
            following.setdefault(place, set()).update(places)
        for arrow in self._drawn.arrows:
            if arrow.is_prompt:
                following.setdefault(arrow.source, set()).add(arrow.target)
        for at, region in enumerate(self._drawn.regions):
            if region.branch is not None:
                following.setdefault(region.branch, set()).update(self._roots(at))
        below: dict[int, set[int]] = {}
        for place in sorted(self._drawn.boxes, reverse=True):
            found = {place} if self._drawn.boxes[place].kind in kinds else set()
            below[place] = found.union(*(below.get(each, set()) for each in following.get(place, ())))
        return {place: len(found) for place, found in below.items()}


def _flags(ops: Sequence[Op]) -> Iterator[str]:
    """Yield what was arranged for operations."""
    for op in ops:
        if op.name in _TEXT_FLAGS:
            yield _TEXT_FLAGS[op.name]
        if op.attributes.get("shared"):
            yield "asked once"
        if op.name == "choose":
            yield "as a tree"
        if op.attributes.get("keep"):
            yield "KV kept"


def _merged(parts: Sequence[Spans]) -> Spans:
    """Return the parts of a text behind each other, literals that meet as one."""
    found: list[Span] = []
    for part in parts:
        meets = False
        for span in part:
            if span.text.strip() in ("+", "|"):
                meets = False
                continue
            if found and not meets:
                if span.kind == found[-1].kind == "literal":
                    found[-1] = Span("literal", found[-1].text + span.text)
                    meets = True
                    continue
                found.append(plain(" "))
            found.append(span)
            meets = True
    return tuple(found)


def _continued(guides: str) -> str:
    """Return the guides of what comes below a node that has these."""
    return guides.replace("├─ ", "│  ").replace("└─ ", "   ")
