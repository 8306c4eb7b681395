"""A drawing of a graph as SVG for a page that styles it: boxes, frames and arrows, each marked with what it shows."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from sglc.ir.draw import source_range
from sglc.ir.layout import Rectangle, layout
from sglc.ir.sketch import Arrow, Box, Sketch
from sglc.ir.wording import Span, Spans, columns, plain, wrapped

COLUMN = 7.25
ROW = 17.0
"""Pixels of a column and of a row of the page's monospaced font, of 12 pixels."""

WIDTH = 34
"""Columns of a box."""

_MOST_LINES = 12
_SIDE, _TOP = 12.0, 9.0
_ALL_OF_IT = 40  # lines of what is listed by name


def to_picture(drawn: Sketch, prefix: str) -> str:
    """Return an `svg` element. The ids in it begin with `prefix`.

    A box is a `g.box` and a line of it a `g.line`, whose `data-ops` are the places of what it shows; arrows have
    `data-from` and `data-to`, the places of boxes, and `data-users`, the operations of the line they lead to.
    """
    looks = {place: _Look(drawn, box) for place, box in drawn.boxes.items()}
    plan = layout(drawn, lambda box: looks[box.place].size, lambda box, line: looks[box.place].line_y(line))
    width, height = f"{plan.width:.0f}", f"{plan.height:.0f}"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    )
    tip = f'<marker id="{prefix}tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6.5" markerHeight="6.5"'
    parts = [
        f'{opening} role="group" aria-label="the graph">',
        f'<defs>{tip} orient="auto"><path class="tip" d="M0 0.5L8 4L0 7.5z"/></marker></defs>',
    ]
    parts += [_frame(plan.frames[number], drawn.regions[number].label) for number in sorted(plan.frames)]
    home = {place: number for number, region in enumerate(drawn.regions) for place in region.boxes}
    for arrow in sorted(drawn.arrows, key=lambda arrow: arrow.is_prompt):
        far = not arrow.is_prompt and home[arrow.source] != home[arrow.target]
        line = drawn.boxes[arrow.target].lines[arrow.line]
        parts.append(_arrow(arrow, plan.paths[arrow], prefix, far, (line.place, *line.folded)))
    parts += [looks[place].svg(plan.boxes[place]) for place in drawn.boxes]
    return "".join([*parts, "</svg>"])


class _Look:
    """How one box looks: its title and lines, wrapped, and so its size."""

    def __init__(self, drawn: Sketch, box: Box) -> None:
        self.box = box
        self.source = source_range([drawn.location(line.place) for line in box.lines])
        self.title = self._title()
        most = _ALL_OF_IT if box.kind in ("return", "eager", "select") else 3
        self.lines: list[tuple[tuple[int, ...], list[Spans]]] = []  # places, wrapped
        shown = box.lines if box.kind != "start" else ()
        rest = shown[_MOST_LINES:] if len(shown) > _MOST_LINES + 1 else ()
        for line in shown[: len(shown) - len(rest)]:
            texts = [text for text in wrapped(line.text, WIDTH, most) if text]
            self.lines.append(((line.place, *line.folded), texts))
        if rest:
            places = tuple(place for line in rest for place in (line.place, *line.folded))
            self.lines.append((places, [(Span("name", f"… {len(rest)} more …"),)]))
        rows = [self.title] if self.title else []
        rows += [text for _, texts in self.lines for text in texts]
        widest = max((_columns(text) for text in rows), default=8)
        self.size = (max(widest * COLUMN, 60) + 2 * _SIDE, len(rows) * ROW + 2 * _TOP)

    def _title(self) -> Spans:
        box = self.box
        if box.kind == "text":
            return ()
        kind, _, value = box.title.partition(" ")
        if box.kind in ("start", "data"):
            return (Span("title", box.title),)
        line = self.source.rpartition(":")[2]
        found = [Span("kind", kind)]
        found += [plain(" "), Span("value", value)] if value else []
        found += [Span("where", f"  :{line}")] if line and box.kind not in ("return", "branch") else []
        return tuple(found)

    def line_y(self, line: int) -> float:
        """Return the y of the middle of a line."""
        rows = 1 if self.title else 0
        for _, texts in self.lines[: min(line, len(self.lines) - 1)]:
            rows += len(texts)
        return _TOP + ROW * (rows + 0.5)

    def svg(self, at: Rectangle) -> str:
        """Return the box at its place."""
        box = self.box
        round_off = at.height / 2 if box.kind == "start" else 16 if box.kind in ("branch", "return") else 7
        title = "".join(text for kind, text in self.title if kind != "where")
        said = title or "text " + "".join(text for _, texts in self.lines for spans in texts for _, text in spans)
        label = said + (f", {self.source}" if self.source else "")
        places = " ".join(map(str, sorted(box.places)))
        parts = [
            f'<g class="box {box.kind}" transform="translate({at.x:.1f} {at.y:.1f})" tabindex="0" role="button"',
            f' data-box="{box.place}" data-ops="{places}" aria-label="{escape(label)}">',
            f'<rect class="card" width="{at.width:.1f}" height="{at.height:.1f}" rx="{round_off:.1f}"/>',
        ]
        y = _TOP
        centred = box.kind in ("start", "branch", "return", "eager")
        x = at.width / 2 if centred else _SIDE
        anchor = ' text-anchor="middle"' if centred else ""
        if self.title:
            parts.append(f'<text x="{x:.1f}" y="{y + ROW * 0.74:.1f}"{anchor}>{_spans(self.title)}</text>')
            y += ROW
        for places_of, texts in self.lines:
            height = ROW * len(texts)
            ops = " ".join(map(str, places_of))
            parts.append(f'<g class="line" data-ops="{ops}">')
            parts.append(
                f'<rect class="row" x="4" y="{y:.1f}" width="{at.width - 8:.1f}" height="{height:.1f}" rx="4"/>'
            )
            for spans in texts:
                parts.append(f'<text x="{x:.1f}" y="{y + ROW * 0.74:.1f}"{anchor}>{_spans(spans)}</text>')
                y += ROW
            parts.append("</g>")
        return "".join([*parts, "</g>"])


def _columns(spans: Spans) -> int:
    return sum(columns(text) for _, text in spans)


def _spans(spans: Spans) -> str:
    return "".join(f'<tspan class="{kind}">{escape(text)}</tspan>' for kind, text in spans)


def _frame(at: Rectangle, label: str) -> str:
    size = f'width="{at.width:.1f}" height="{at.height:.1f}"'
    return (
        f'<g class="frame"><rect x="{at.x:.1f}" y="{at.y:.1f}" {size} rx="10"/>'
        f'<text x="{at.right - 12:.1f}" y="{at.y + 16:.1f}" text-anchor="end">{escape(label)}</text></g>'
    )


def _arrow(arrow: Arrow, path: str, prefix: str, far: bool, users: Iterable[int]) -> str:
    kind = "prompt" if arrow.is_prompt else "used far" if far else "used"
    return (
        f'<path class="arrow {kind}" d="{path}" marker-end="url(#{prefix}tip)" '
        f'data-from="{arrow.source}" data-to="{arrow.target}" data-users="{" ".join(map(str, users))}"/>'
    )
