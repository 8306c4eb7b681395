"""reorder-prompt: unordered sections stand in the order in which the rows of a batch have most in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from sglc.ir.graph import Graph, Op, Value, map_ops
from sglc.ir.types import Type
from sglc.passes.base import Keeps, Pass, Remarks, Target

_COMPUTED = ("const", "concat", "list", "tuple", "dict", "apply")
"""They need nothing but values: what they make of a row's arguments is known before the row runs."""

_ORIGINS = {"gen": "is generated", "select": "is chosen", "call": "is what a call returned"}


@dataclass(frozen=True, slots=True)
class ReorderPrompt(Pass):
    """Lets the batch decide in which order unordered sections stand, where all of them are known before it runs.

    The rows then begin with what most of them share, and none shares less than as written. The order is found when the
    rows are at hand; without them it is the one written.

        %p_1 = sections %p, %question, %rules : prompt
        =>
        %p_1 = sections %p, %question, %rules {arrange = true} : prompt
    """

    name: ClassVar[str] = "reorder-prompt"
    keeps: ClassVar[Keeps] = Keeps.UNORDERED

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph with `arrange` set where it can be."""
        origins = _origins(graph)
        constants = {op.result for op in graph.ops() if op.name == "const"}
        free: set[Value] = set()
        for op in graph.ops():
            if op.name != "sections" or op.attributes.get("arrange", False):
                continue
            texts = op.operands[1:]
            if len(texts) < 2 or constants.issuperset(texts):
                continue  # the same in every row
            late = next((text for text in texts if text in origins), None)
            if late is not None:
                origin = origins[late]
                found = f"%{origin.results[-1].name} {_ORIGINS.get(origin.name, 'is read while the row runs')}"
                remarks.missed(f"sections in the order written: {found}; put it behind the unordered", op.location)
                continue
            free.add(op.result)
            remarks.done("sections stand in the order that the batch shares most in", op.location, len(texts), "texts")
        if not free:
            return graph

        def arranged(op: Op) -> Op:
            if op.results and op.results[0] in free:
                return replace(op, attributes={**op.attributes, "arrange": True})
            return op

        return Graph(graph.name, graph.arguments, map_ops(graph.block, arranged), graph.level)


def _origins(graph: Graph) -> Mapping[Value, Op]:
    """Return the values that are known only while a row runs, each with the operation that it comes from."""
    origins: dict[Value, Op] = {}
    for op in graph.ops():
        origin: Op | None = op
        if op.name in _COMPUTED:
            origin = next((origins[value] for value in op.operands if value in origins), None)
        if origin is not None:
            origins.update((result, origin) for result in op.results if result.type is not Type.PROMPT)
    return origins
