"""share-rows: equal greedy requests of a batch are one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sglc.ir.graph import Graph, Op, map_ops
from sglc.ir.sampling import SamplingParams
from sglc.passes.base import Pass, Remarks, Target


@dataclass(frozen=True, slots=True)
class ShareRows(Pass):
    """Lets greedy generations say that one answer is good for all that ask the same, in whichever row.

        %p_1, %a = decode %p {site = ":0", temperature = 0.0} : prompt, text
      =>
        %p_1, %a = decode %p {site = ":0", temperature = 0.0, shared = true} : prompt, text

    Which requests are the same is known when their tokens are. What is drawn at random is never shared.
    """

    name: ClassVar[str] = "share-rows"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the plan with its greedy requests marked."""
        marked: list[Op] = []

        def mark(op: Op) -> Op:
            if op.name != "decode" or not _greedy(op) or op.attributes.get("shared"):
                return op
            marked.append(op)
            return replace(op, attributes={**op.attributes, "shared": True})

        block = map_ops(graph.block, mark)
        for op in marked:
            remarks.done("greedy: equal requests of the batch run once", op.location)
        return Graph(graph.name, graph.arguments, block, graph.level) if marked else graph


def _greedy(op: Op) -> bool:
    """Whether a request draws nothing: its own temperature says so, and it wants one sample."""
    temperature = op.attributes.get("temperature")
    return (
        temperature is not None
        and SamplingParams(temperature=temperature).greedy
        and op.attributes.get("n") in (None, 1)
    )
