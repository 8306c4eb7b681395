"""order-rows: the rows of a batch begin in the order in which neighbours have most in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from sglc.ir.graph import Block, Graph, Op, Value
from sglc.passes.base import Pass, Remarks, Target

_ANSWERED = ("decode", "score", "choose")


@dataclass(frozen=True, slots=True)
class OrderRows(Pass):
    """Says by which prompt rows are ordered: that of the first request, where it is known before anything is asked.

    Depth-first order of the tree that these prompts make: each prefix is computed once, and nobody comes back to it
    after it had to make room.

        %p = extend %0, %question : prompt                     %p = extend %0, %question : prompt
        %p_1, %a = decode %p {site = ":0"} : prompt, text  =>  rank %p
                                                               %p_1, %a = decode %p {site = ":0"} : prompt, text
    """

    name: ClassVar[str] = "order-rows"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the plan with a `rank` in front of its first request."""
        if any(op.name == "rank" for op in graph.block):
            return graph
        place = next((i for i, op in enumerate(graph.block) if op.name in _ANSWERED), None)
        if place is None:
            return graph
        first = graph.block[place]
        early = next(_calls_before_answers(graph.block), None)
        if early is not None:
            remarks.missed("rows in the order given: they call host code before anything is generated", early.location)
            return graph
        if first.operands[0] in _unknown(graph.block):
            remarks.missed("rows in the order given: their first prompt has what a call returned", first.location)
            return graph
        remarks.done("rows begin in the order of their first prompts", first.location)
        rank = Op("rank", first.operands[:1], location=first.location)
        return Graph(graph.name, graph.arguments, (*graph.block[:place], rank, *graph.block[place:]), graph.level)


def _unknown(block: Block) -> set[Value]:
    """Return the values of a block that are not known before something is asked or called."""
    unknown: set[Value] = set()
    for op in block:
        if op.name in (*_ANSWERED, "call") or not unknown.isdisjoint(op.operands):
            unknown.update(op.results)
    return unknown


def _calls_before_answers(block: Block) -> Iterator[Op]:
    """Yield the calls that are made before anything is generated."""
    unknown: set[Value] = set()
    for op in block:
        if op.name in _ANSWERED or not unknown.isdisjoint(op.operands):
            unknown.update(op.results)
        elif op.name == "call":
            yield op
