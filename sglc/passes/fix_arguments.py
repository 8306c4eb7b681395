"""fix-arguments: arguments that are the same in every row are constants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from sglc.ir.graph import Block, Graph, Op, Value, canonical, map_ops
from sglc.ir.types import type_of
from sglc.passes.base import Pass, Remarks, Target


@dataclass(frozen=True, slots=True)
class FixArguments(Pass):
    """Puts constants in the place of arguments that the target says are the same in every row.

    For rows that all have `language = "Latin"`:

        graph @translate(%language: text, %word: text) {
          %0 = concat %language, %word : text
      =>
        graph @translate(%language: text, %word: text) {
          %0 = const {value = "Latin"} : text
          %1 = concat %0, %word : text

    Rows still give the argument; nothing reads it.
    """

    name: ClassVar[str] = "fix-arguments"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph without uses of the fixed arguments."""
        used = {value for op in graph.ops() for value in op.operands}
        constants: dict[Value, Op] = {}
        for argument in graph.arguments:
            if argument in used and argument.name in target.fixed:
                value = target.fixed[argument.name]
                if argument.type.accepts(type_of(value)):
                    constants[argument] = Op("const", (), (Value("", type_of(value)),), {"value": value})
        if not constants:
            return graph

        def fix(op: Op) -> Op:
            if constants.keys().isdisjoint(op.operands):
                return op
            return replace(op, operands=tuple(constants[v].result if v in constants else v for v in op.operands))

        block: Block = (*constants.values(), *map_ops(graph.block, fix))
        for argument in constants:
            remarks.done(f"%{argument.name} is the same in every row: a constant")
        return canonical(Graph(graph.name, graph.arguments, block, graph.level))
