"""Local rewrites: rules with names, applied to a graph until none of them fires any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sglc.errors import SglcError
from sglc.ir.graph import NO_ATTRIBUTES, Attribute, Block, BlockBuilder, Graph, Op, Value, canonical
from sglc.ir.ops import Effect, rows_of
from sglc.ir.types import Type
from sglc.ir.verifier import verify

FIRINGS: Counter[str] = Counter()
"""How often each rule has fired in this process, by its name."""


class RewriteError(SglcError):
    """Rules that do not come to an end, or one that breaks its contract: a mistake of who wrote them."""


Result = Sequence[Value] | Block | None
"""What a rule returns."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewrite of operations called `op`. Its function's docstring is the rewrite itself, as `before => after`.

    The function returns the values that stand for the operation's results from now on, or None if the rule does not
    apply; then it must not have emitted anything. For an operation that ends a block it returns what stands in its
    place: the block of one of its cases, or a block of one operation that ends it.
    """

    name: str
    op: str
    function: Callable[[Match], Result]

    def __post_init__(self) -> None:
        if "=>" not in (self.function.__doc__ or ""):
            raise ValueError(f"{self.name}: found no rewrite in the docstring; wanted `before => after`")


def rule(name: str, op: str) -> Callable[[Callable[[Match], Result]], Rule]:
    """Return a decorator that makes a function a rule."""
    return lambda function: Rule(name, op, function)


class Match:
    """What a rule sees: an operation whose operands are rewritten already, and what is around it.

    `notes` are for what rules have found out of values; they last as long as the values do.
    """

    def __init__(self, op: Op, builder: BlockBuilder, sweep: _Sweep) -> None:
        self.op = op
        self.notes = sweep.notes
        self._builder = builder
        self._sweep = sweep

    def definition(self, value: Value) -> Op | None:
        """Return the operation that defines a value, None for an argument."""
        return self._sweep.definitions.get(value)

    def uses(self, value: Value) -> int:
        """Return how many operands of the whole graph a value is."""
        return self._sweep.uses[value]

    def emit(
        self,
        name: str,
        operands: Sequence[Value] = (),
        types: Sequence[Type] = (),
        attributes: Mapping[str, Attribute] = NO_ATTRIBUTES,
        *,
        hint: str = "",
    ) -> tuple[Value, ...]:
        """Return the results of an operation in front of this one and of its location, unless an equal one is known."""
        before = len(self._builder.ops)
        results = self._builder.emit(name, operands, types, attributes, hint=hint, location=self.op.location)
        self._sweep.note(self._builder.ops[before:])
        return results

    def const(self, value: Attribute) -> Value:
        """Return a constant."""
        before = len(self._builder.ops)
        result = self._builder.const(value, self.op.location)
        self._sweep.note(self._builder.ops[before:])
        return result


def rewrite(graph: Graph, *rules: Rule, limit: int = 100, fired: Counter[str] | None = None) -> Graph:
    """Return the graph with rules applied until none fires: canonical and verified, or the same object if none did.

    Operations are visited in order, each with the first rule for it that applies, and what rules emitted is visited in
    the next sweep. Operations that became equal are one; those that became useless stay. Raises RewriteError if rules
    still fire in sweep `limit`, or one returns what can't stand for the results. `fired` counts what did, by name.
    """
    of_op: dict[str, list[Rule]] = {}
    for each in rules:
        of_op.setdefault(each.op, []).append(each)
    current = graph
    for _ in range(limit):
        sweep = _Sweep(current, of_op)
        block = sweep.run()
        if not sweep.fired:
            return graph if current is graph else _finished(current)
        FIRINGS.update(sweep.fired)
        if fired is not None:
            fired.update(sweep.fired)
        current = Graph(graph.name, graph.arguments, block, graph.level)
    names = ", ".join(sorted(sweep.fired))
    raise RewriteError(f"@{graph.name}: found rules that still fire in sweep {limit}: {names}; wanted them to end")


def _finished(graph: Graph) -> Graph:
    graph = canonical(graph)
    verify(graph)
    return graph


class _Sweep:
    """One visit of all operations, which builds the graph anew."""

    def __init__(self, graph: Graph, rules: Mapping[str, Sequence[Rule]]) -> None:
        self.fired: Counter[str] = Counter()
        self.notes: dict[Any, Any] = {}
        self.definitions: dict[Value, Op | None] = dict.fromkeys(graph.arguments)
        self.uses = Counter(value for op in graph.ops() for value in op.operands)
        self._graph = graph
        self._rules = rules
        self._rows = rows_of(graph.level)
        self._replaced: dict[Value, Value] = {}

    def run(self) -> Block:
        """Return the block of the new graph."""
        root = BlockBuilder()
        todo = [(self._graph.block, root)]
        while todo:
            block, builder = todo.pop()
            for op in block:
                operands = tuple([self._replaced.get(value, value) for value in op.operands])
                now = op if operands == op.operands else replace(op, operands=operands)
                if self._rows[op.name].effect is not Effect.END:
                    self._replace(op.results, self._visit(now, builder))
                    continue
                instead = self._instead(now, builder)
                if any(instead is case.block for case in op.cases):
                    todo.append((instead, builder))
                    continue
                (end,) = instead
                builder.end(end.name, end.operands, end.attributes, end.location)
                builder.cases = {case.label: BlockBuilder(builder) for case in end.cases}
                todo.extend((case.block, builder.cases[case.label]) for case in reversed(end.cases))
        return root.finish()

    def note(self, ops: Sequence[Op]) -> None:
        """Take notice of operations that were added."""
        for op in ops:
            self.definitions.update(dict.fromkeys(op.results, op))
            self.uses.update(op.operands)

    def _visit(self, op: Op, builder: BlockBuilder) -> Sequence[Value]:
        """Return the values that stand for an operation's results from now on."""
        results: Sequence[Value]
        fired, results = self._first(op, builder)
        self.uses.subtract(op.operands)
        if fired is not None:
            if not self._can_stand(results, op):
                found = [*results]
                raise RewriteError(f"{fired.name}: found {found}; wanted values of the graph that can stand for {op}")
            return results
        before = len(builder.ops)
        results = builder.keep(op)
        self.note(builder.ops[before:])
        return results

    def _instead(self, op: Op, builder: BlockBuilder) -> Block:
        """Return what stands from now on in the place of an operation that ends a block."""
        block: Block
        fired, block = self._first(op, builder)
        if fired is None:
            return (op,)
        self.uses.subtract(op.operands)
        if not any(block is case.block for case in op.cases):
            if len(block) != 1 or not isinstance(block[0], Op) or self._rows[block[0].name].effect is not Effect.END:
                raise RewriteError(f"{fired.name}: found {[*block]}; wanted the block of a case, or one end, for {op}")
            self.uses.update(block[0].operands)
        return block

    def _first(self, op: Op, builder: BlockBuilder) -> tuple[Rule | None, Any]:
        """Return the first rule that applies, and what it returned."""
        before = len(builder.ops)
        for each in self._rules.get(op.name, ()):
            result = each.function(Match(op, builder, self))
            if result is not None:
                self.fired[each.name] += 1
                return each, result
            if len(builder.ops) > before:
                raise RewriteError(
                    f"{each.name}: found operations emitted, but nothing returned; wanted results for {op}"
                )
        return None, ()

    def _can_stand(self, results: Sequence[Value], op: Op) -> bool:
        return len(results) == len(op.results) and all(
            new in self.definitions and old.type.accepts(new.type) for old, new in zip(op.results, results, strict=True)
        )

    def _replace(self, old: Sequence[Value], new: Sequence[Value]) -> None:
        for before, now in zip(old, new, strict=True):
            if before is not now:
                self._replaced[before] = now
                self.uses[now] += self.uses.pop(before, 0)
