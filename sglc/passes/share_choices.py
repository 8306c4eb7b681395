"""share-choices: the choices of a `select` are scored as a tree of tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sglc.ir.graph import Graph, Op, map_ops
from sglc.passes.base import Pass, Remarks, Target, counted


@dataclass(frozen=True, slots=True)
class ShareChoices(Pass):
    """Computes tokens that choices share once, and no last token at all: the node before it says how likely it is.

    Choices of one token each cost nothing beside the prompt. What choices are worth without a prompt, which one of the
    methods asks, is computed once for all rows.

        %1, %to = score %p, %a, %b {site = ":0?0"} : prompt, text
        =>
        %1, %to = choose %p, %a, %b {site = ":0?0"} : prompt, text
    """

    name: ClassVar[str] = "share-choices"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the plan with every `score` as a `choose`."""
        scores = [op for op in graph.ops() if op.name == "score"]
        if not scores:
            return graph
        for op in scores:
            count = len(op.operands) - 1
            remarks.done(f"{counted(count, 'choice')} scored as one tree of tokens", op.location, count, "choices")
        return Graph(graph.name, graph.arguments, map_ops(graph.block, _as_tree), graph.level)


def _as_tree(op: Op) -> Op:
    return replace(op, name="choose") if op.name == "score" else op
