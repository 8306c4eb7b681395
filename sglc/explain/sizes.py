"""How many tokens the parts of a plan have in each row, and how many rows begin alike up to there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from sglc.explain.tree import Node
from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import Graph, Op, Value
from sglc.ir.types import Type

Count = Callable[[str], int]
"""How many tokens a text has by itself."""


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens of a node, over the rows: the fewest, the median and the most. `whole`: nothing else is in it.

    Tokens are those of its text by itself. `distinct` is how many different prompts the rows have up to its end, None
    where something generated is in them. `most_new` bounds what is generated.
    """

    least: int | None = None
    middle: int | None = None
    most: int | None = None
    whole: bool = True
    distinct: int | None = None
    most_new: int | None = None


def node_sizes(
    graph: Graph, nodes: Sequence[Node], rows: Sequence[Mapping[str, Any]], count: Count, most_new: int
) -> list[Size]:
    """Return the sizes of a tree's nodes. Without rows, of what is the same in all; `most_new` is the run's default."""
    by_row = [_Known(graph, row, count) for row in rows or [{}]]
    found: list[Size] = []
    nothing: list[int | None] = [0] * len(by_row)
    keys: list[list[int | None]] = []  # for each node the prompt up to its end, by row
    for node in nodes:
        before = keys[node.parent] if node.parent is not None else nothing
        if node.kind != "text":
            keys.append(before if node.kind in ("branch", "case", "call") else [None] * len(by_row))
            found.append(Size(most_new=_most_new(node, most_new)))
            continue
        parts = [known.parts(node) for known in by_row]
        keys.append([known.behind(key, node) for known, key in zip(by_row, before, strict=True)])
        behind = keys[-1]
        distinct = len(set(behind)) if rows and None not in behind else None
        counts = sorted(tokens for tokens, _ in parts)
        whole = all(is_whole for _, is_whole in parts)
        if not any(op.name in _WRITES for op in node.ops):
            found.append(Size(distinct=distinct))
        else:
            found.append(Size(counts[0], median_low(counts), counts[-1], whole, distinct))
    return found


_WRITES = frozenset({"append", "extend", "tokens", "sections", "arrange"})


def _most_new(node: Node, default: int) -> int | None:
    if node.kind != "gen":
        return None
    attributes = node.ops[0].attributes
    limit = attributes.get("max_new_tokens")
    return (default if limit is None else int(limit)) * int(attributes.get("n") or 1)


class _Known:
    """What of a graph is known for one row, or for all rows of which nothing is known."""

    def __init__(self, graph: Graph, row: Mapping[str, Any], count: Count) -> None:
        self._count = count
        self._values: dict[Value, Any] = {
            argument: row[argument.name] for argument in graph.arguments if argument.name in row
        }
        self._joined = {op.result: op.operands for op in graph.ops() if op.name == "concat"}
        for op in graph.ops():
            self._evaluate(op)

    def parts(self, node: Node) -> tuple[int, bool]:
        """Return the tokens of a node's text, and whether that is all of it."""
        tokens, whole, text = 0, True, ""
        for op in node.ops:
            if op.name == "tokens":
                tokens += len(op.attributes["ids"]) + (self._count(text) if text else 0)
                text = ""
            for value in self._pieces(_texts(op)):
                known = self._values.get(value)
                whole &= isinstance(known, str)
                text += known if isinstance(known, str) else ""
        return tokens + (self._count(text) if text else 0), whole

    def _pieces(self, texts: Sequence[Value]) -> Iterator[Value]:
        """Yield texts, in place of one that is not known those that it is joined of."""
        waiting = [*reversed(texts)]
        while waiting:
            text = waiting.pop()
            if text in self._values or text not in self._joined:
                yield text
            else:
                waiting += reversed(self._joined[text])

    def behind(self, before: int | None, node: Node) -> int | None:
        """Return what tells a prompt apart from others, None where it is not known."""
        for op in node.ops:
            for value in _texts(op):
                if before is None or value not in self._values:
                    return None
                before = hash((before, str(self._values[value])))
            if op.name == "tokens" and before is not None:
                before = hash((before, op.attributes["text"]))
        return before

    def _evaluate(self, op: Op) -> None:
        """Compute a pure operation on what is known; what raises stays unknown."""
        values = self._values
        if op.name == "const":
            values[op.result] = op.attributes["value"]
            return
        if op.name not in ("concat", "apply", "list", "tuple") or any(value not in values for value in op.operands):
            return
        given = [values[value] for value in op.operands]
        try:
            if op.name == "concat":
                values[op.result] = "".join(given)
            elif op.name == "apply":
                keywords: Sequence[str] = op.attributes.get("keywords", ())
                plain = len(given) - len(keywords)
                named = dict(zip(keywords, given[plain:], strict=True))
                values[op.result] = FUNCTIONS[op.attributes["fn"]].compute(*given[:plain], **named)
            else:
                values[op.result] = list(given) if op.name == "list" else tuple(given)
        except Exception:  # on the way that this row goes it may never be computed
            return


def _texts(op: Op) -> list[Value]:
    """Return the texts that an operation writes behind a prompt."""
    return [value for value in op.operands if value.type is not Type.PROMPT] if op.name in _WRITES else []
