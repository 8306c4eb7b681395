"""What the rows of a batch say in the sections that may stand in any order, read before they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from sglc.ir.evaluate import EVALUATORS, Run
from sglc.ir.graph import Graph, Op, Value
from sglc.ir.types import Type

Found = tuple[int, tuple[str, ...]]
"""What is before the sections, as a number that is equal where prompts are, and their texts as written."""

Orders = Mapping[tuple[Any, ...], tuple[str, ...]]
"""Texts as written → as they are to stand; others stand as written."""

NO_ORDERS: Orders = {}

_COMPUTED = ("concat", "list", "tuple", "dict", "apply")
_UNCHANGED = ("rest", "settle", "pin")
_Before = tuple[int, str]  # all up to the last mark or request, and the text behind that


class SectionReader:
    """Reads the sections of a plan's rows off their arguments."""

    def __init__(self, graph: Graph) -> None:
        self._arguments = graph.arguments
        self._steps = [*_needed(graph)]
        self._constants = {op.result: op.attributes["value"] for op in graph.ops() if op.name == "const"}

    @classmethod
    def of(cls, graph: Graph) -> SectionReader | None:
        """Return that of a plan, None where nothing is arranged."""
        return cls(graph) if any(op.name == "arrange" for op in graph.ops()) else None

    def read(self, arguments: Sequence[Any]) -> Mapping[int, Found]:
        """Return the sections of a row, by the numbers of their operations; those that can't be known are left out.

        `arguments` are the values of the plan's arguments, in their order.
        """
        run = Run(cast(Any, None), {}, dict(zip(self._arguments, arguments, strict=True)))  # nothing is asked or called
        run.values.update(self._constants)
        prompts: dict[Value, _Before] = {}
        found: dict[int, Found] = {}
        for op in self._steps:
            if op.name in _COMPUTED:
                try:
                    (run.values[op.result],) = EVALUATORS[op.name](run, op)
                except Exception:  # whatever it is, the row meets it where it belongs
                    continue
            else:
                prompts[op.results[0]] = _behind(op, prompts, run.values, found)
        return found


def _needed(graph: Graph) -> Iterator[Op]:
    """Return the operations, in order, that say what is in sections and before them."""
    needed: set[Value] = set()
    steps: list[Op] = []
    for op in reversed([*graph.ops()]):
        if op.name == "arrange" or not needed.isdisjoint(op.results):
            if op.name in _COMPUTED or op.name in ("extend", "arrange"):
                needed.update(op.operands)
                steps.append(op)
            elif op.results[0].type is Type.PROMPT:
                needed.update(op.operands[:1])
                steps.append(op)
    return reversed(steps)


def _behind(op: Op, prompts: Mapping[Value, _Before], values: Mapping[Value, Any], found: dict[int, Found]) -> _Before:
    """Return what is behind an operation on a prompt, and note the sections that it has."""
    if op.name == "start":
        return 0, ""
    before, text = prompts[op.operands[0]]
    if op.name in _UNCHANGED:
        return before, text
    if op.name == "tokens":
        return before, text + op.attributes["text"]
    if op.name in ("extend", "arrange"):
        texts = tuple([each for value in op.operands[1:] if isinstance(each := values.get(value), str)])
        if len(texts) == len(op.operands) - 1:
            if op.name == "extend":
                return before, text + "".join(texts)
            found[op.attributes["number"]] = hash((before, text)), texts
            return hash((before, text, *sorted(texts))), ""
    return hash((before, text, op.name, op.attributes.get("site"), op.attributes.get("role"))), ""
