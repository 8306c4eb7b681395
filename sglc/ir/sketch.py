"""What a drawing of a graph shows: boxes with the operations folded into them, arrows, and a region for each case."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sglc.errors import Location
from sglc.ir.graph import Block, Graph, Op, Value
from sglc.ir.types import Type
from sglc.ir.wording import (
    Span,
    Spans,
    details,
    expression,
    joined,
    length,
    needs_brackets,
    plain,
    reference,
    returned,
    visible,
)

FOLDED = 64
"""Characters up to which an expression that is used once is shown where it is used."""

_LITERAL = 24
_KINDS = {
    "empty": "start",
    "start": "start",
    "gen": "gen",
    "decode": "gen",
    "select": "select",
    "score": "select",
    "choose": "select",
    "call": "call",
    "branch": "branch",
    "return": "return",
    "eager": "eager",
}
_FOLDABLE = {"concat", "list", "tuple", "dict", "apply", "text", "since", "messages", "meta", "thoughts"}


_TEXT = {
    *("append", "extend", "tokens", "sections", "arrange"),
    *("begin", "end", "open", "close", "rest", "pin", "settle"),
}
_HIDDEN = {"release", "rank"}
"""They say nothing of what arrows lead to."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a box: an operation (by its place in `graph.ops()`), what is folded into it, and how that reads.

    `uses` are those of its operands that the line shows: an operation that appends several texts has several lines.
    """

    place: int
    folded: tuple[int, ...]
    text: Spans
    uses: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """Operations shown together; the box is named by the place of the first.

    `kind` is start, text, gen, select, call, data, branch, return or eager. All boxes but those of kind text, which
    hold a run of text that nothing else goes on from, have one line.
    """

    place: int
    op: Op
    kind: str
    title: str
    lines: tuple[Line, ...]

    @property
    def places(self) -> frozenset[int]:
        """Every operation that the box shows."""
        return frozenset(place for line in self.lines for place in (line.place, *line.folded))


@dataclass(frozen=True, slots=True)
class Arrow:
    """From box to box: a prompt that goes on (through the branch, where it goes on in a case), or a value.

    `line` is the one of the target that uses it.
    """

    source: int
    target: int
    is_prompt: bool
    line: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """The boxes of one block: of the whole graph, or of the case `label` of a branch. `parent` is another region."""

    boxes: tuple[int, ...]
    depth: int = 0
    branch: int | None = None
    parent: int | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Sketch:
    """Boxes by place; regions in the order of the graph, each before those inside it."""

    ops: tuple[Op, ...]
    boxes: Mapping[int, Box]
    arrows: tuple[Arrow, ...]
    regions: tuple[Region, ...]

    def location(self, place: int) -> Location | None:
        """Return where an operation was written."""
        return self.ops[place].location


def sketch(graph: Graph) -> Sketch:
    """Return what a drawing of the graph shows.

    A constant is shown in the boxes that use it, and so is a short expression that one box of its block uses.
    """
    return _Sketcher(graph, list(graph.ops())).run()


@dataclass(slots=True)
class _Sketcher:
    graph: Graph
    ops: list[Op]
    places: dict[Op, int] = field(default_factory=dict)
    uses: Counter[Value] = field(default_factory=Counter)
    user: dict[Value, Op] = field(default_factory=dict)
    region_of: dict[Op, int] = field(default_factory=dict)
    known: dict[Value, Spans] = field(default_factory=dict)
    inside: dict[Value, tuple[int, ...]] = field(default_factory=dict)  # what is folded into a value's wording
    boxes: dict[int, Box] = field(default_factory=dict)
    box_of: dict[Value, int] = field(default_factory=dict)
    arrows: dict[tuple[int, int], Arrow] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)

    def run(self) -> Sketch:
        for place, op in enumerate(self.ops):
            self.places[op] = place
            if op.name not in _HIDDEN:
                self.uses.update(op.operands)
                self.user.update((value, op) for value in op.operands)
        self.known.update((argument, (reference(argument),)) for argument in self.graph.arguments)
        blocks = list(self._blocks())
        for at, (block, _) in enumerate(blocks):
            self.region_of.update((op, at) for op in block)
        for block, region in blocks:
            boxes = tuple(self.places[op] for op in block if self._show(op))
            self.regions.append(replace(region, boxes=boxes))
        for box in self.boxes.values():
            self._connect(box)
        self._anchor()
        return Sketch(tuple(self.ops), self.boxes, tuple(self.arrows.values()), tuple(self.regions))

    def _blocks(self) -> Iterator[tuple[Block, Region]]:
        """Yield every block with its region, less the boxes, those of a branch's cases right behind its own."""
        waiting = [(self.graph.block, Region(()))]
        count = 0
        while waiting:
            block, region = waiting.pop()
            yield block, region
            last = block[-1]
            for case in reversed(last.cases):
                inner = Region((), region.depth + 1, self.places[last], count, json.dumps(case.label))
                waiting.append((case.block, inner))
            count += 1

    def _show(self, op: Op) -> bool:
        """Show an operation: in those that use it, in the box before it or in its own; return whether in its own."""
        if op.name in _HIDDEN:
            return False
        lines = self._lines(op)
        first = lines[0]
        if self._folds(op, first.text):
            user = self.user[op.result]
            bracketed = (plain("("), *first.text, plain(")"))
            self.known[op.result] = bracketed if needs_brackets(op, user) else first.text
            self.inside[op.result] = (first.place, *first.folded)
            return False
        self.known.update((value, (reference(value),)) for value in op.results)
        before = self._goes_on(op)
        if before is not None:
            self.boxes[before.place] = replace(before, lines=(*before.lines, *lines))
            self.box_of[op.result] = before.place
            return False
        kind = _KINDS.get(op.name, "text" if op.name in _TEXT else "data")
        self.boxes[first.place] = Box(first.place, op, kind, visible(self._title(op, kind)), lines)
        self.box_of.update((value, first.place) for value in op.results)
        return True

    def _lines(self, op: Op) -> tuple[Line, ...]:
        """Return the lines of an operation: one for each text that it appends, else one."""
        parts = [op.operands]
        if op.name in _TEXT and len(op.operands) > 1:
            parts = [(op.operands[0], op.operands[1]), *((value,) for value in op.operands[2:])]
        lines = []
        for uses in parts:
            folded = tuple(dict.fromkeys(each for value in uses for each in self.inside.get(value, ())))
            text = self._wording(op) if len(parts) == 1 else self.known[uses[-1]]
            lines.append(Line(self.places[op], folded, text, uses))
        return tuple(lines)

    def _folds(self, op: Op, text: Spans) -> bool:
        if op.name == "const":
            return self.uses[op.result] > 0
        if op.name not in _FOLDABLE or self.uses[op.result] != 1 or length(text, _LITERAL) > FOLDED:
            return False
        return self.region_of[self.user[op.result]] == self.region_of[op]

    def _goes_on(self, op: Op) -> Box | None:
        """Return the box of text that this operation's text goes on from, if nothing else does."""
        if op.name not in _TEXT or self.uses[op.operands[0]] != 1:
            return None
        before = self.boxes[self.box_of[op.operands[0]]]
        same_block = self.region_of[before.op] == self.region_of[op]
        return before if before.kind == "text" and same_block else None

    def _wording(self, op: Op) -> Spans:
        """Return how an operation reads in its box, or in that of its user."""
        if op.name in ("gen", "decode"):
            return details(op)
        if op.name == "return":
            return returned(op, self.known)
        if op.name == "eager":
            mend = op.attributes.get("mend")
            return (plain(op.attributes["cause"] + (f"; {mend}" if mend else "")),)
        if op.name not in _TEXT | _PROMPT_IS_IMPLIED:
            return expression(op, self.known)
        if op.name == "tokens":
            return (Span("literal", op.attributes["text"]),)
        given = [self.known[value] for value in op.operands if value.type is not Type.PROMPT]
        if not given:
            return (Span("name", f"{op.name} {op.attributes.get('role', '')}".rstrip()),)
        return joined(given, " | ")

    def _title(self, op: Op, kind: str) -> str:
        """Return a box's first line: what the operation is and the value it defines; "" for text."""
        if kind == "start":
            return f"{self.graph.name}({', '.join(argument.name for argument in self.graph.arguments)})"
        if kind == "text":
            return ""
        if kind == "data":
            return f"%{op.results[0].name}" if op.results else op.name
        return f"{op.name} %{op.results[-1].name}" if op.results else op.name

    def _connect(self, box: Box) -> None:
        """Draw the arrows to a box. What a program ends with is named in it: arrows from everywhere would hide more."""
        for at, line in enumerate(box.lines):
            uses = [(self.ops[line.place], value) for value in line.uses]
            uses += [(self.ops[place], value) for place in line.folded for value in self.ops[place].operands]
            for op, value in uses:
                source = self.box_of.get(value)
                if source is None or source == box.place:
                    continue
                if value.type is Type.PROMPT and (op.name in _TEXT or op.name in _PROMPT_IS_IMPLIED):
                    self._lead(source, box.place)
                elif box.kind not in ("return", "eager"):
                    self.arrows.setdefault((source, box.place), Arrow(source, box.place, is_prompt=False, line=at))

    def _lead(self, source: int, target: int) -> None:
        """Draw the way of a prompt, through every branch on it."""
        outer = self.region_of[self.ops[source]]
        at = self.region_of[self.ops[target]]
        while at != outer:
            region = self.regions[at]
            assert region.branch is not None and region.parent is not None  # a definition's block is around its uses
            self.arrows[region.branch, target] = Arrow(region.branch, target, is_prompt=True)
            target, at = region.branch, region.parent
        self.arrows[source, target] = Arrow(source, target, is_prompt=True)

    def _anchor(self) -> None:
        """Draw how each block is entered, and how its end is reached, where no prompt tells."""
        led = {arrow.target for arrow in self.arrows.values() if arrow.is_prompt}
        entered = {(arrow.source, self.region_of[self.ops[arrow.target]]) for arrow in self.arrows.values()}
        for at, region in enumerate(self.regions):
            first, end = region.boxes[0], region.boxes[-1]
            trunk = self._trunk(region) if end not in led else None
            if trunk is not None:
                self.arrows[trunk, end] = Arrow(trunk, end, is_prompt=True)
            if region.branch is not None and (region.branch, at) not in entered:
                self.arrows[region.branch, first] = Arrow(region.branch, first, is_prompt=True)

    def _trunk(self, region: Region) -> int | None:
        """Return the last box of prompts that all others in a region go on from, or are before; None without any."""
        prompts = [place for place in region.boxes if self.boxes[place].kind in _PROMPT_KINDS]
        inside = set(prompts)
        lines: dict[int, list[int]] = {place: [place] for place in prompts}
        ends = dict.fromkeys(prompts)
        for arrow in self.arrows.values():
            if arrow.is_prompt and arrow.source in inside and arrow.target in inside:
                lines[arrow.target] = [*lines[arrow.source], arrow.target]
                ends.pop(arrow.source, None)
        shared: list[int] | None = None
        for place in ends:
            line = lines[place]
            shared = line if shared is None else [a for a, b in zip(shared, line, strict=False) if a == b]
        return (shared or prompts)[-1] if prompts else None


_PROMPT_IS_IMPLIED = {"empty", "start", "gen", "decode", "select", "score", "choose", "branch", "return"}
_PROMPT_KINDS = {"start", "text", "gen", "select"}
