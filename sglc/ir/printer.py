"""Graphs as text: the same text in every process, one operation a line."""

from __future__ import annotations

from collections.abc import Iterator

from sglc.ir.attribute_text import write_attribute
from sglc.ir.graph import Graph, Op
from sglc.ir.ops import OpRow, rows_of

KEYWORDS = {"program": "graph", "plan": "plan"}
"""Level → the word that its graphs begin with."""

_INDENT = "  "


def print_graph(graph: Graph, *, locations: bool = False) -> str:
    """Return the text form of a graph, which `parse` reads; with `locations`, operations end in theirs."""
    return "".join(f"{line}\n" for _, line in graph_lines(graph, locations=locations))


def graph_lines(graph: Graph, *, locations: bool = False) -> Iterator[tuple[Op | None, str]]:
    """Yield the lines of the text form, each with the operation that it shows. Graphs with faults can be shown, too."""
    rows = rows_of(graph.level)
    arguments = ", ".join(f"%{value.name}: {value.type}" for value in graph.arguments)
    yield None, f"{KEYWORDS[graph.level]} @{_name(graph.name)}({arguments}) {{"
    todo: list[tuple[int, Op | str]] = [(0, "}"), *((1, op) for op in reversed(graph.block))]
    while todo:
        depth, item = todo.pop()
        if isinstance(item, str):
            yield None, _INDENT * depth + item
            continue
        yield item, _INDENT * depth + _op_line(item, rows.get(item.name), locations)
        if not item.cases:
            continue
        todo.append((depth, "}"))
        for case in reversed(item.cases):
            todo.append((depth + 1, "}"))
            todo.extend((depth + 2, op) for op in reversed(case.block))
            todo.append((depth + 1, f"case {write_attribute(case.label)} {{"))


def _op_line(op: Op, row: OpRow | None, locations: bool) -> str:
    text = (_return_text(op) if op.name == "return" else None) or _op_text(op, row)
    if locations and op.location is not None:
        text += f" loc({write_attribute(op.location.file)}:{op.location.line})"
    return f"{text} {{" if op.cases else text


def _op_text(op: Op, row: OpRow | None) -> str:
    text = op.name
    if op.results:
        text = f"{', '.join([f'%{value.name}' for value in op.results])} = {text}"
    if op.operands:
        text += f" {', '.join([f'%{value.name}' for value in op.operands])}"
    if op.attributes:
        names = [*op.attributes]
        if len(names) > 1 and row is not None:
            names = [name for name in row.attributes if name in op.attributes]
            names += [name for name in op.attributes if name not in row.attributes]
        text += f" {{{', '.join([f'{name} = {write_attribute(op.attributes[name])}' for name in names])}}}"
    if op.results:
        text += f" : {', '.join([value.type.value for value in op.results])}"
    return text


def _return_text(op: Op) -> str | None:
    """Return the text of a `return`, None for one that has faults which this form can't show."""
    names = op.attributes.get("names", ())
    if op.results or op.cases or not isinstance(names, tuple) or not op.attributes.keys() <= {"names", "returns"}:
        return None
    operands = [f"%{value.name}" for value in op.operands]
    returned = operands[1:2] if op.attributes.get("returns", False) else []
    variables = operands[1 + len(returned) :]
    if not operands or len(variables) != len(names):
        return None
    parts = [" -> ".join((operands[0], *returned))]
    parts += [f"{_name(str(name))} = {value}" for name, value in zip(names, variables, strict=True)]
    return f"return {', '.join(parts)}"


def _name(name: str) -> str:
    """Return a name as it is if it is an identifier, else as a JSON string."""
    return name if name.isidentifier() else write_attribute(name)
