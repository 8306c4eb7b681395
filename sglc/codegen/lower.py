"""Lowering: from a program's graph to a plan, which says when things are done."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sglc.ir.graph import Block, Case, Graph, Op, Value, canonical
from sglc.ir.releases import with_releases
from sglc.ir.verifier import verify

_RENAMED = {
    "empty": "start",
    "append": "extend",
    "sections": "extend",
    "begin": "open",
    "end": "close",
    "gen": "decode",
    "select": "score",
}
"""Operations of programs → those of plans that do the same; operations of both levels keep their names."""


def lower(graph: Graph) -> Graph:
    """Return the plan of a program.

    Texts appended one behind the other become one `extend`, unless a prompt between them is used otherwise or before
    another branch. `sections` that are to be arranged become an `arrange`, numbered in the order of the program; others
    are texts like any. Behind the last use of a prompt on each path, a `release` says so. Raises ValueError for a plan.
    """
    if graph.level != "program":
        raise ValueError(f"found a {graph.level}; wanted a program")
    block = with_releases(_Lowering(graph).block(graph.block))
    plan = canonical(Graph(graph.name, graph.arguments, block, "plan"))
    verify(plan)
    return plan


class _Lowering:
    """The blocks of one graph on their way to a plan."""

    def __init__(self, graph: Graph) -> None:
        self._uses = Counter(value for op in graph.ops() for value in op.operands)
        self._same: dict[Value, Value] = {}  # prompts that an operation left as they were
        self._arranged = 0  # how many sections there have been that are arranged

    def block(self, block: Block) -> Block:
        """Return a block of a plan for one of a program."""
        ops: list[Op] = []
        waiting: dict[Value, tuple[Value, ...]] = {}  # a prompt that only texts follow → a prompt, and texts behind it
        followed = {op.operands[0] for op in block if _name(op) == "extend"}
        for op in block:
            operands = tuple(self._same.get(value, value) for value in op.operands)
            if op.name == "pin":
                self._same[op.result] = operands[0]
                continue
            name = _name(op)
            attributes = op.attributes
            if name == "arrange":
                attributes = {"number": self._arranged}
                self._arranged += 1
            elif name == "extend":
                operands = (*waiting.pop(operands[0], operands[:1]), *operands[1:])
                if op.result in followed and self._uses[op.result] == 1:
                    waiting[op.result] = operands
                    continue
            cases = tuple(Case(case.label, self.block(case.block)) for case in op.cases)
            ops.append(replace(op, name=name, operands=operands, attributes=attributes, cases=cases))
        return tuple(ops)


def _name(op: Op) -> str:
    """Return what an operation is called in a plan."""
    return "arrange" if op.attributes.get("arrange", False) else _RENAMED.get(op.name, op.name)
