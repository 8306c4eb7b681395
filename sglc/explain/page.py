"""An explanation as a page of HTML: an overview, and a tab for each plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from sglc.errors import Location
from sglc.explain.report import Explanation, GraphPart, grouped, source_line
from sglc.explain.text import COMPARED, CONSTRAINT_HEADS, FIGURES, constraint_cells
from sglc.ir.graph import Op
from sglc.ir.page import Tab, to_page
from sglc.ir.wording import quoted, short_path

_LONGEST = 60

Cell = tuple[str, str] | str
"""What stands in a table, and its class; text is escaped, HTML is not where the class says so."""


def to_html(explanation: Explanation, count: Callable[[str], int] | None) -> str:
    """Return a page that needs nothing else. `count` says how many tokens a text has."""
    tabs = [
        Tab(_title(part, number, len(explanation.graphs)), part.plan, part.tier, part.assumptions, _notes(part))
        for number, part in enumerate(explanation.graphs, start=1)
    ]
    overview = "".join(_overview(explanation))
    return to_page(tabs, title=explanation.program, count=count, overview=overview)


def _title(part: GraphPart, number: int, count: int) -> str:
    rows = "" if part.rows is None else f" ({_plural(part.rows, 'row')})"
    return part.name + (f" {number}" if count > 1 else "") + rows


def _notes(part: GraphPart) -> dict[Op, str]:
    """Return what stands beside operations: the tokens of texts, and how many prompts and requests go on from them."""
    found: dict[Op, str] = {}
    for node, size in zip(part.nodes, part.sizes, strict=True):
        if node.kind != "text" or size.middle is None:
            continue
        said = [f"{size.middle:,}{'' if size.whole else ' + …'} tok"]
        if size.distinct is not None:
            said.append(_plural(size.distinct, "prompt"))
        said.append(_plural(node.uses, "use"))
        found.update((op, "") for op in node.ops)
        found[node.ops[-1]] = " · ".join([*said, *node.flags])
    return found


def _overview(explanation: Explanation) -> Iterator[str]:
    for number, part in enumerate(explanation.graphs, start=1):
        arguments = escape(", ".join(argument.name for argument in part.plan.arguments))
        yield f'<h2>{escape(part.name)}<span class="arguments">({arguments})</span> '
        yield f'<span class="tier {part.tier.replace(" ", "-")}">{escape(part.tier)}</span></h2>'
        rows = "any row" if part.rows is None else _plural(part.rows, "row")
        facts = [_place(part.location), rows, explanation.level, explanation.engine]
        yield f'<ul class="stats">{"".join(f"<li>{escape(fact)}</li>" for fact in facts if fact)}</ul>'
        eager = [
            f"<li>{escape(_place(each.location))}: {escape(each.cause)}"
            + (f' <span class="mend">{escape(each.mend)}</span>' if each.mend else "")
            for each in part.eager
        ]
        if eager:
            yield f'<div class="fact eager"><h3>in Python</h3><ul>{"".join(eager)}</ul></div>'
        yield from _tree(part, number, explanation.unit)
        yield from _constraints(part)
    yield from _costs(explanation)
    yield from _statements(explanation)
    yield from _passes(explanation)
    yield from _remarks(explanation)
    yield from (f"<p>{escape(note)}</p>" for note in explanation.notes)


def _tree(part: GraphPart, number: int, unit: str) -> Iterator[str]:
    places = {op: place for place, op in enumerate(part.plan.ops())}
    rows: list[list[Cell]] = []
    for node, size in zip(part.nodes, part.sizes, strict=True):
        told = escape(node.guides + "".join(quoted(span, _LONGEST) for span in node.text))
        if node.ops:
            told = f'<a href="#t{number}-o{places[node.ops[0]]}">{told}</a>'
        flags = f' <span class="flag">{escape(" · ".join(node.flags))}</span>' if node.flags else ""
        tokens = [f"{count:,}" if count is not None else "" for count in (size.least, size.middle, size.most)]
        if size.least == size.most:
            tokens = ["", tokens[1], ""]
        if size.most_new is not None:
            tokens = ["", "", f"≤ {size.most_new:,}"]
        distinct = "" if size.distinct is None else f"{size.distinct:,}"
        uses = f"{node.uses:,}" if node.uses and node.kind != "case" else ""
        line = str(node.location.line) if node.location else ""
        source = source_line(node.location) if node.kind != "case" else ""
        rows.append([line, *tokens, distinct, uses, (told + flags, "left raw"), (source, "left source")])
    yield _table("plan", ["line", "least", unit, "most", "prompts", "uses", "plan", "source"], rows, "tree", left=2)


def _constraints(part: GraphPart) -> Iterator[str]:
    rows: list[list[Cell]] = [
        [
            f"{_place(facts.constraint.location)}  %{facts.constraint.name}  {facts.constraint.kind}",
            *constraint_cells(facts),
        ]
        for facts in part.constraints
    ]
    if rows:
        yield _table("constraints", ["generation", *CONSTRAINT_HEADS], rows)


def _costs(explanation: Explanation) -> Iterator[str]:
    columns = {
        "at most": explanation.at_most,
        "at full length": explanation.full_length,
        "predicted": explanation.foretold,
    }
    shown = {heading: cost.as_dict() for heading, cost in columns.items() if cost is not None}
    measured = explanation.measured
    if not shown and measured is None:
        return
    rows: list[list[Cell]] = []
    for name, words in FIGURES.items():
        cells: list[Cell] = [words]
        for costs in shown.values():
            most = costs[name]
            cells.append(("no bound", "less") if most is None else f"{most:,}")
        if measured is not None:
            cells.append(f"{measured.counters[name]:,}")
        rows.append(cells)
    if measured is not None:
        rows.append(["seconds", *[""] * len(shown), f"{measured.seconds:.2f}"])
    heading = _plural(explanation.rows or 0, "row")
    yield _table("cost", [heading, *shown, *(["measured"] if measured is not None else [])], rows)


def _statements(explanation: Explanation) -> Iterator[str]:
    if explanation.measured is None or not explanation.measured.statements:
        return
    rows: list[list[Cell]] = [
        [
            f"{_place(each.location)}  {source_line(each.location)}" if each.location else "without a prompt",
            *(f"{count:,}" for count in (each.requests, each.prompt, each.cached, each.filled, each.decoded)),
            f"{each.seconds / each.requests:.3f}",
        ]
        for each in explanation.measured.statements
    ]
    heads = ["statement", "requests", "prompt", "cached", "filled", "decoded", "s each"]
    yield _table("measured, by statement", heads, rows)


def _passes(explanation: Explanation) -> Iterator[str]:
    base = explanation.compared
    if base is None:
        return
    costs = base.as_dict()
    rows: list[list[Cell]] = [[explanation.level, *(f"{costs[name]:,}" for name in COMPARED)]]
    for each in explanation.without:
        told = "without any pass" if each.name is None else f"without {each.name}"
        if each.cost is None:
            rows.append([told, ("the model would be asked something else", "less")])
            continue
        other = each.cost.as_dict()
        changes = [(other[name] or 0) - (costs[name] or 0) for name in COMPARED]
        rows.append([told, *(f"{change:+,}" if change else ("·", "less") for change in changes)])
    whose = "outputs as measured" if explanation.foretold is not None else "outputs at full length"
    if explanation.compared_rows != explanation.rows:
        whose += f", the first {_plural(explanation.compared_rows, 'row')}"
    yield _table(f"passes ({whose})", ["", *COMPARED.values()], rows)


def _remarks(explanation: Explanation) -> Iterator[str]:
    remarks = grouped(remark for part in explanation.graphs for remark in part.remarks)
    rows: list[list[Cell]] = [
        [
            (remark.kind, remark.kind),
            (remark.source, "left"),
            (_place(remark.location), "left"),
            (remark.text + (f" (×{times})" if times > 1 else ""), "left"),
        ]
        for remark, times in remarks
    ]
    if rows:
        yield _table("remarks", ["", "pass", "line", ""], rows, left=3)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], kind: str = "", left: int = 0) -> str:
    """Return a table; the last `left` columns are aligned to the left, like the first."""
    first_left = len(heads) - left
    kinds = [' class="left"' if number >= first_left else "" for number in range(len(heads))]
    head = "".join(f"<th{its_kind}>{escape(name)}</th>" for its_kind, name in zip(kinds, heads, strict=True))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<h3>{escape(title)}</h3><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    text, kind = cell
    return f'<td class="{kind}">{text if "raw" in kind.split() else escape(text)}</td>'


def _place(location: Location | None) -> str:
    return f"{short_path(location.file)}:{location.line}" if location else ""


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}" + ("" if count == 1 else "s")
