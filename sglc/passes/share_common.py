"""share-common: what is equal is one, generations included where nothing is drawn for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sglc.ir.graph import Block, Graph, Op, Value, canonical, map_blocks, op_key
from sglc.ir.ops import Effect, rows_of
from sglc.ir.uniformity import is_determined
from sglc.passes.base import Pass, Remarks, Target, counted, plural

_REQUESTS = ("gen", "select")


@dataclass(frozen=True, slots=True)
class ShareCommon(Pass):
    """Lets equal operations be one: the first, in the same block or one around it.

        %1, %a = gen %p {site = "/0.0.0:0", temperature = 0} : prompt, text
        %2, %b = gen %p {site = "/0.0.1:0", temperature = 0} : prompt, text
        return %p, a = %a, b = %b
      =>
        %1, %a = gen %p {site = "/0.0.0:0", temperature = 0} : prompt, text
        return %p, a = %a, b = %a

    Choices and greedy generations draw nothing, so their site does not tell them apart; what is reported of the one
    is what was reported of the first. Two generations that draw are never one, nor are two calls of host code.
    """

    name: ClassVar[str] = "share-common"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph with every operation once."""
        sharing = _Sharing(graph)
        block = map_blocks(graph.block, sharing.block)
        shared = sharing.shared
        requests = sum(shared[name] for name in _REQUESTS)
        for count, noun in ((requests, "request"), (shared.total() - requests, "operation")):
            if count:
                remarks.done(f"{counted(count, noun)} served by equal ones before", count=count, unit=plural(noun))
        for op, first in sharing.repeated_calls:
            line = f"as in line {first.location.line}" if first.location is not None else "as before"
            remarks.missed(f"{op.attributes['fn']} is called with the same {line}: it may do more", op.location)
        return canonical(Graph(graph.name, graph.arguments, block, graph.level)) if shared else graph


class _Sharing:
    """What is known on the way to each block, which is visited before those of its cases, a case with all in it."""

    def __init__(self, graph: Graph) -> None:
        self.shared: Counter[str] = Counter()
        self.repeated_calls: list[tuple[Op, Op]] = []
        self._rows = rows_of(graph.level)
        self._first: dict[tuple[Any, ...], Op] = {}  # in the order in which they came
        self._known: dict[int, int] = {id(graph.block): 0}  # block → how many of these are around it
        self._instead: dict[Value, Value] = {}

    def block(self, block: Block) -> list[Op]:
        """Return the operations of a block that are new in it."""
        while len(self._first) > self._known[id(block)]:
            self._first.popitem()
        ops = []
        for each in block:
            op = self._with_operands(each)
            key = self._key(op)
            first = op if key is None else self._first.setdefault(key, op)
            if first is op:
                ops.append(op)
            elif op.name == "call":
                self.repeated_calls.append((op, first))
                ops.append(op)
            else:
                self.shared[op.name] += 1
                self._instead.update(zip(op.results, first.results, strict=True))
        self._known.update((id(case.block), len(self._first)) for case in block[-1].cases)
        return ops

    def _key(self, op: Op) -> tuple[Any, ...] | None:
        """Return what equal operations share, None for one that is like no other."""
        effect = self._rows[op.name].effect
        if effect is Effect.END or (effect is Effect.SAMPLE and not is_determined(op)):
            return None
        own = {"site", "number"}
        attributes = {name: value for name, value in op.attributes.items() if name not in own}
        return op_key(op.name, op.operands, [result.type for result in op.results], attributes)

    def _with_operands(self, op: Op) -> Op:
        operands = tuple([self._instead.get(value, value) for value in op.operands])
        return op if operands == op.operands else replace(op, operands=operands)
