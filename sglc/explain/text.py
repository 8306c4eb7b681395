"""An explanation as plain text of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import PurePath

from sglc.backend.prediction import Prediction
from sglc.errors import Location
from sglc.explain.constraints import ConstraintFacts
from sglc.explain.report import Explanation, GraphPart, grouped, source_line
from sglc.explain.sizes import Size
from sglc.explain.tree import Node
from sglc.ir.wording import columns, short_path, wrapped

WIDTH = 100

FIGURES = {
    "requests": "requests",
    "filled": "prompt tokens filled",
    "relogit": "computed again for their logits",
    "refilled": "computed again after preemption",
    "decoded": "tokens decoded",
    "forward_passes": "forward passes",
    "sequence_steps": "sequences in them",
    "tokenizer_calls": "texts tokenized",
    "peak_kv": "KV tokens at the peak",
}
"""The figures of a prediction, in words."""

COMPARED = {"filled": "filled", "relogit": "relogit", "decoded": "decoded", "forward_passes": "passes"} | {
    "sequence_steps": "in them",
    "tokenizer_calls": "texts",
}
"""Those that passes are compared by, shortly."""

CONSTRAINT_HEADS = ("served by", "states", "forced", "table", "compiled")
"""What is said of constraints."""

_CONSTRAINT_WIDTHS = (18, 8, 14, 12, 11)
_SOURCE = 24
_LEAST_PLAN = 24


def constraint_cells(facts: ConstraintFacts) -> tuple[str, ...]:
    """Return what is said of a constraint, in the order of CONSTRAINT_HEADS."""
    shares = (facts.figures.forced_states, facts.figures.forced_tokens)
    return (
        facts.figures.served_by,
        "" if facts.figures.states is None else f"{facts.figures.states:,}",
        " · ".join(f"{share:.0%}" for share in shares if share is not None),
        "" if facts.figures.table_bytes is None else f"{facts.figures.table_bytes / 1024:,.1f} KiB",
        "" if facts.figures.seconds is None else f"{facts.figures.seconds * 1e3:,.1f} ms",
    )


def to_text(explanation: Explanation) -> str:
    """Return what a person reads."""
    lines = [line for part in explanation.graphs for line in _graph(part, explanation)]
    lines += [*_costs(explanation), *_statements(explanation), *_passes(explanation), *_remarks(explanation)]
    lines += [line for note in explanation.notes for line in _paragraph(f"note: {note}", "")]
    return "".join(f"{line.rstrip()}\n" for line in lines).rstrip() + "\n"


def _graph(part: GraphPart, explanation: Explanation) -> Iterator[str]:
    arguments = ", ".join(argument.name for argument in part.plan.arguments)
    yield f"{part.name}({arguments})  {_place(part.location)}"
    rows = "any row" if part.rows is None else _plural(part.rows, "row")
    yield f"{part.tier} · {rows} · {explanation.level}" + (f" · {explanation.engine}" if explanation.engine else "")
    for assumption in part.assumptions:
        yield from _paragraph(assumption, "assumes ")
    for each in part.eager:
        mend = f"; {each.mend}" if each.mend else ""
        yield from _paragraph(f"{_place(each.location) or _place(part.location)}: {each.cause}{mend}", "in Python: ")
    yield ""
    yield from _tree(part, explanation.unit)
    if part.rows is not None:
        yield "       prompts: how many different ones the rows have up to here; uses: what a row asks from here on"
    yield ""
    yield from _constraints(part)


def _constraints(part: GraphPart) -> Iterator[str]:
    if not part.constraints:
        return
    heads = "".join(f"{head:>{width}}" for head, width in zip(CONSTRAINT_HEADS, _CONSTRAINT_WIDTHS, strict=True))
    yield f"{'constraints':<36}{heads}"
    for facts in part.constraints:
        line = facts.constraint.location.line if facts.constraint.location else ""
        told = f"{line:>5}  %{facts.constraint.name}  {facts.constraint.kind}"
        cells = zip(constraint_cells(facts), _CONSTRAINT_WIDTHS, strict=True)
        yield f"{_cut(told, 35):<36}" + "".join(f"{cell:>{width}}" for cell, width in cells)
    if any(facts.figures.forced_tokens is not None for facts in part.constraints):
        yield "       forced: states that one byte can follow · tokens of the shortest text that are drafted"
    yield ""


def _tree(part: GraphPart, unit: str) -> Iterator[str]:
    sizes = [*map(_size, part.sizes)]
    with_rows = any(size.distinct is not None for size in part.sizes)
    tokens = max([len(unit), *map(len, sizes)])
    before = f"{'line':>5}  {unit:>{tokens}}  " + ("prompts  " if with_rows else "") + "uses  "
    plan = max(_LEAST_PLAN, WIDTH - len(before) - _SOURCE - 2)
    yield f"{before}{'plan':<{plan}}  source"
    last = None
    for node, size, shown in zip(part.nodes, part.sizes, sizes, strict=True):
        line = str(node.location.line) if node.location else ""
        distinct = f"{size.distinct if size.distinct is not None else '':>7}  " if with_rows else ""
        uses = str(node.uses) if node.uses and node.kind != "case" else ""
        source = _cut(source_line(node.location), _SOURCE) if node.location != last else ""  # a statement's once
        told = _told(node, plan if source else WIDTH - len(before))
        last = node.location
        yield f"{line:>5}  {shown:>{tokens}}  {distinct}{uses:>4}  {told}{' ' * (plan - columns(told))}  {source}"


def _told(node: Node, width: int) -> str:
    """Return a node in a line of so many columns."""
    flags = f"  [{', '.join(node.flags)}]" if node.flags else ""
    room = max(12, width - len(node.guides) - len(flags))
    lines = wrapped(node.text, room, 1)
    return _cut(node.guides + "".join(span.text for span in lines[0]).rstrip() + flags, max(width, room))


def _size(size: Size) -> str:
    if size.most_new is not None:
        return f"≤ {size.most_new:,}"
    if size.least is None:
        return ""
    known = dict.fromkeys((size.least, size.middle, size.most))
    return "·".join(f"{count:,}" for count in known if count is not None) + ("" if size.whole else " + …")


def _costs(explanation: Explanation) -> Iterator[str]:
    """Yield the table of what the rows cost."""
    measured = explanation.measured
    found: list[tuple[str, Sequence[str]]] = []
    names = [field.name for field in fields(Prediction)]
    for heading, cost in (
        ("at most", explanation.at_most),
        ("at full length", explanation.full_length),
        ("predicted", explanation.foretold),
    ):
        if cost is not None:
            found.append((heading, ["no bound" if v is None else f"{v:,}" for v in cost.as_dict().values()]))
    if measured is not None:
        found.append(("measured", [f"{measured.counters[name]:,}" for name in names]))
    if not found:
        return
    rows = explanation.rows or 0
    yield f"{_plural(rows, 'row'):<34}" + "".join(f"{heading:>16}" for heading, _ in found)
    for place, name in enumerate(names):
        yield f"  {FIGURES[name]:<32}" + "".join(f"{column[place]:>16}" for _, column in found)
    if measured is not None:
        yield f"  {'seconds':<32}" + f"{measured.seconds:>{16 * len(found)}.2f}"
    yield ""


def _statements(explanation: Explanation) -> Iterator[str]:
    if explanation.measured is None or not explanation.measured.statements:
        return
    heads = ("requests", "prompt", "cached", "filled", "decoded")
    yield f"{'measured, by statement':<36}" + "".join(f"{head:>11}" for head in heads) + f"{'s each':>9}"
    for each in explanation.measured.statements:
        place = f"{PurePath(each.location.file).name}:{each.location.line}" if each.location else "without a prompt"
        told = _cut(f"{place}  {source_line(each.location)}", 33)
        counts = (each.requests, each.prompt, each.cached, each.filled, each.decoded)
        yield f"  {told:<34}" + "".join(f"{count:>11,}" for count in counts) + f"{each.seconds / each.requests:>9.3f}"
    yield ""


def _passes(explanation: Explanation) -> Iterator[str]:
    base = explanation.compared
    if base is None:
        return
    whose = "outputs as measured" if explanation.foretold is not None else "outputs at full length"
    of_rows = f", the first {_plural(explanation.compared_rows, 'row')}"
    yield f"passes ({whose}{of_rows if explanation.compared_rows != explanation.rows else ''})"
    yield " " * 34 + "".join(f"{word:>11}" for word in COMPARED.values())
    costs = base.as_dict()
    yield f"  {explanation.level:<32}" + "".join(f"{costs[name]:>11,}" for name in COMPARED)
    for each in explanation.without:
        told = "without any pass" if each.name is None else f"without {each.name}"
        if each.cost is None:
            yield f"  {told:<32}  the model would be asked something else"
            continue
        other = each.cost.as_dict()
        changes = [(other[name] or 0) - (costs[name] or 0) for name in COMPARED]
        yield f"  {told:<32}" + "".join(f"{change:>+11,}" if change else f"{'·':>11}" for change in changes)
    yield ""


def _remarks(explanation: Explanation) -> Iterator[str]:
    remarks = grouped(remark for part in explanation.graphs for remark in part.remarks)
    if not remarks:
        return
    yield "remarks"
    for remark, times in remarks:
        place = f"{_place(remark.location)}: " if remark.location else ""
        often = f" (×{times})" if times > 1 else ""
        yield from _paragraph(f"{place}{remark.source}: {remark.text}{often}", f"  {remark.kind:<8}")
    yield ""


def _paragraph(text: str, start: str) -> list[str]:
    """Return a text in lines, the first of which begins with `start`."""
    indent = " " * len(start)
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=indent, break_long_words=False) or [start]


def _place(location: Location | None) -> str:
    return f"{short_path(location.file)}:{location.line}" if location else ""


def _cut(text: str, width: int) -> str:
    """Return a text, or so much of it as has so many columns, with `…` at its end."""
    if columns(text) <= width:
        return text
    while columns(text) > width - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}" + ("" if count == 1 else "s")
