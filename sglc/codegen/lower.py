"""Lowering: from a program's graph to a plan, which says when things are done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from sglc.ir.graph import Block, Case, Graph, Op, Value, canonical
from sglc.ir.types import Type
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
    another branch. Behind the last use of a prompt on each path, a `release` says so. Raises ValueError for a plan.
    """
    if graph.level != "program":
        raise ValueError(f"found a {graph.level}; wanted a program")
    block = _Lowering(graph).block(graph.block)
    used: dict[int, Collection[Value]] = {}
    _note_used(block, used)
    block = _released(block, (), used)
    plan = canonical(Graph(graph.name, graph.arguments, block, "plan"))
    verify(plan)
    return plan


class _Lowering:
    """The blocks of one graph on their way to a plan."""

    def __init__(self, graph: Graph) -> None:
        self._uses = Counter(value for op in graph.ops() for value in op.operands)
        self._same: dict[Value, Value] = {}  # prompts that an operation left as they were

    def block(self, block: Block) -> Block:
        """Return a block of a plan for one of a program."""
        ops: list[Op] = []
        waiting: dict[Value, tuple[Value, ...]] = {}  # a prompt that only texts follow → a prompt, and texts behind it
        followed = {op.operands[0] for op in block if _RENAMED.get(op.name) == "extend"}
        for op in block:
            operands = tuple(self._same.get(value, value) for value in op.operands)
            if op.name == "pin":
                self._same[op.result] = operands[0]
                continue
            name = _RENAMED.get(op.name, op.name)
            if name == "extend":
                operands = (*waiting.pop(operands[0], operands[:1]), *operands[1:])
                if op.result in followed and self._uses[op.result] == 1:
                    waiting[op.result] = operands
                    continue
            cases = tuple(Case(case.label, self.block(case.block)) for case in op.cases)
            ops.append(replace(op, name=name, operands=operands, cases=cases))
        return tuple(ops)


def _released(block: Block, alive: Iterable[Value], used: Mapping[int, Collection[Value]]) -> Block:
    """Return a block with a `release` behind the last use of each prompt: those made in it, and those `alive` before.

    What only some cases of a branch use is released at the beginning of the others. `used` are the prompts that each
    operation or its cases use, by its identity.
    """
    last = {value: place for place, op in enumerate(block) for value in used[id(op)]}
    ops = [_release(value, block[0]) for value in alive if value not in last]
    kept = {value: None for value in alive if value in last}
    *body, terminator = block
    for place, op in enumerate(body):
        ops.append(op)
        made = [value for value in op.results if value.type is Type.PROMPT]
        kept.update(dict.fromkeys(made))
        for value in (*used[id(op)], *made):
            if last.get(value, place) == place:
                del kept[value]
                ops.append(_release(value, op))
    cases = tuple(Case(case.label, _released(case.block, kept, used)) for case in terminator.cases)
    return (*ops, replace(terminator, cases=cases))


def _note_used(block: Block, used: dict[int, Collection[Value]]) -> None:
    """Note the prompts that the operations of a block use, each with its cases."""
    for op in block:
        prompts = dict.fromkeys(value for value in op.operands if value.type is Type.PROMPT)
        for case in op.cases:
            _note_used(case.block, used)
            prompts.update((value, None) for inner in case.block for value in used[id(inner)])
        used[id(op)] = prompts


def _release(value: Value, behind: Op) -> Op:
    return Op("release", (value,), location=behind.location)
