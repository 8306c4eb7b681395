"""eliminate-dead: what no output needs is not done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from sglc.ir.effects import may_raise
from sglc.ir.graph import Attribute, Block, Case, Graph, Op, Value, canonical, op_key
from sglc.ir.ops import Effect, rows_of
from sglc.ir.types import Type
from sglc.passes.base import Pass, Remarks, Target, counted, plural

_REQUESTS = ("gen", "select")


@dataclass(frozen=True, slots=True)
class EliminateDead(Pass):
    """Leaves out what nothing needs that the run is asked for, and branches that change nothing of it.

    In a run that wants `verdict` only:

        %1, %verdict = select %p, %yes, %no {site = ":0?0"} : prompt, text
        %2, %why = gen %1 {site = ":0"} : prompt, text
        return %2, verdict = %verdict, why = %why
      =>
        %1, %verdict = select %p, %yes, %no {site = ":0?0"} : prompt, text
        %2 = empty : prompt
        return %2, verdict = %verdict

    Where outputs are named, the final prompt and what the function returned are not among them: the prompt is then
    `empty`. What may raise stays, and so do the host's functions, which may do anything, and all requests on a way
    that goes on in Python. A request leaves no trace in others when it goes: each has a random stream of its own.
    """

    name: ClassVar[str] = "eliminate-dead"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph with what its ends need."""
        elimination = _Elimination(graph, target.outputs)
        block = elimination.run()
        for op in elimination.kept:
            remarks.missed(f"nothing needs what {_what(op)}: it stays", op.location)
        gone = elimination.gone
        if gone:
            requests = sum(gone[name] for name in _REQUESTS)
            branches = gone["branch"]
            others = gone.total() - requests - branches
            counts = ((requests, "request"), (branches, "branch"), (others, "operation"))
            for count, noun in counts:
                if count:
                    remarks.done(f"left out {counted(count, noun)}", count=count, unit=plural(noun))
        return canonical(Graph(graph.name, graph.arguments, block, graph.level)) if elimination.changed else graph


class _Elimination:
    """A walk over a graph from its ends to its beginning; it knows which values are needed."""

    def __init__(self, graph: Graph, outputs: Collection[str] | None) -> None:
        self.changed = False
        self.gone: Counter[str] = Counter()
        self.kept: list[Op] = []  # what nothing needs and stays all the same
        self._graph = graph
        self._outputs = outputs
        self._rows = rows_of(graph.level)
        self._made = {result: op for op in graph.ops() for result in op.results}
        self._needed: set[Value] = set()
        self._eager: set[int] = set()  # the blocks that lead on to Python, by identity
        known = next((op.result for op in graph.block if op.name == "empty"), None)
        self._empty = known or Value("", Type.PROMPT)

    def run(self) -> Block:
        """Return the block without what is not needed."""
        blocks = [self._graph.block]
        for block in blocks:
            blocks.extend(case.block for case in block[-1].cases)
        anew: dict[int, Block] = {}
        for block in reversed(blocks):  # cases before what is around them
            anew[id(block)] = self._block(block, anew)
        block = anew[id(self._graph.block)]
        if self._empty in self._needed and self._empty not in self._made:
            block = (Op("empty", (), (self._empty,)), *block)
        self.kept.reverse()
        return block

    def _block(self, block: Block, anew: Mapping[int, Block]) -> Block:
        *body, last = block
        if last.name == "eager" or any(id(case.block) in self._eager for case in last.cases):
            self._eager.add(id(block))
        end = self._end(replace(last, cases=tuple(Case(case.label, anew[id(case.block)]) for case in last.cases)))
        self._needed.update(end.operands)
        ops = [end]
        for op in reversed(body):
            if self._stays(op, id(block) in self._eager):
                self._needed.update(op.operands)
                ops.append(op)
            else:
                self.changed = True
                self.gone[op.name] += 1
        return tuple(reversed(ops))

    def _stays(self, op: Op, leads_to_eager: bool) -> bool:
        if not self._needed.isdisjoint(op.results) or (leads_to_eager and op.name in _REQUESTS):
            return True
        if self._rows[op.name].effect is Effect.HOST or may_raise(op, self._constant):
            self.kept.append(op)
            return True
        return False

    def _end(self, end: Op) -> Op:
        """Return what a block ends with: less than before where less is wanted, or where all cases end alike."""
        if end.name == "return" and self._outputs is not None:
            return self._projected(end, self._outputs)
        if end.name != "branch":
            return end
        ends = [case.block[0] for case in end.cases if len(case.block) == 1 and case.block[0].name == "return"]
        alike = {op_key(each.name, each.operands, (), each.attributes) for each in ends}
        if len(ends) < len(end.cases) or len(alike) != 1 or not self._is_exhaustive(end):
            return end
        self.changed = True
        self.gone["branch"] += 1
        return ends[0]

    def _projected(self, end: Op, outputs: Collection[str]) -> Op:
        """Return a `return` of the outputs alone."""
        prompt, *values = end.operands
        names: Sequence[str] = end.attributes.get("names", ())
        variables = zip(names, values[len(values) - len(names) :], strict=True)
        wanted = {name: value for name, value in variables if name in outputs}
        attributes: dict[str, Attribute] = {"names": tuple(wanted)} if wanted else {}
        made = self._made.get(prompt)
        if made is not None and made.name == "empty" and len(wanted) == len(values):
            return end
        self.changed = True
        return replace(end, operands=(self._empty, *wanted.values()), attributes=attributes)

    def _is_exhaustive(self, branch: Op) -> bool:
        """Whether there is a case for every value that can come."""
        labels = {case.label for case in branch.cases}
        (value,) = branch.operands
        if value.type is Type.BOOL:
            return labels == {True, False}
        made = self._made.get(value)
        return made is not None and made.name == "select" and {*map(self._constant, made.operands[1:])} <= labels

    def _constant(self, value: Value) -> Attribute:
        made = self._made.get(value)
        return made.attributes["value"] if made is not None and made.name == "const" else None


def _what(op: Op) -> str:
    """Return what an operation that stays does, for a remark."""
    if op.name == "call":
        return f"{op.attributes['fn']} returns, but it may do more"
    return f"{op.attributes.get('fn', op.name)} gives, but it may raise"
