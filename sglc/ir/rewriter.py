"""Local rewrites: rules with names, applied to a graph until none of them fires any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sglc.errors import SglcError
from sglc.ir.graph import NO_ATTRIBUTES, Attribute, Block, BlockBuilder, Graph, Op, Value, canonical
from sglc.ir.ops import Effect, rows_of
from sglc.ir.types import Type
from sglc.ir.verifier import verify

FIRINGS: Counter[str] = Counter()
"""How often each rule has fired in this process, by its name."""


class RewriteError(SglcError):
    """Rules that do not come to an end, or one that breaks its contract: a mistake of who wrote them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewrite of operations called `op`. Its function's docstring is the rewrite itself, as `before => after`.

    The function returns the values that stand for the operation's results from now on, or None if the rule does not
    apply; then it must not have emitted anything. It is not asked about operations that end a block.
    """

    name: str
    op: str
    function: Callable[[Match], Sequence[Value] | None]

    def __post_init__(self) -> None:
        if "=>" not in (self.function.__doc__ or ""):
            raise ValueError(f"{self.name}: found no rewrite in the docstring; wanted `before => after`")


def rule(name: str, op: str) -> Callable[[Callable[[Match], Sequence[Value] | None]], Rule]:
    """Return a decorator that makes a function a rule."""
    return lambda function: Rule(name, op, function)


class Match:
    """What a rule sees: an operation whose operands are rewritten already, and what is around it."""

    def __init__(self, op: Op, builder: BlockBuilder, sweep: _Sweep) -> None:
        self.op = op
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


def rewrite(graph: Graph, *rules: Rule, limit: int = 100) -> Graph:
    """Return the graph with rules applied until none fires: canonical and verified, or the same object if none did.

    Operations are visited in order, each with the first rule for it that applies, and what rules emitted is visited in
    the next sweep. Operations that became equal are one; those that became useless stay. Raises RewriteError if rules
    still fire in sweep `limit`, or one returns what can't stand for the results.
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
        self.definitions: dict[Value, Op | None] = dict.fromkeys(graph.arguments)
        self.uses = Counter(value for op in graph.ops() for value in op.operands)
        self._graph = graph
        self._rules = rules
        self._replaced: dict[Value, Value] = {}

    def run(self) -> Block:
        """Return the block of the new graph."""
        rows = rows_of(self._graph.level)
        root = BlockBuilder()
        todo = [(self._graph.block, root)]
        while todo:
            block, builder = todo.pop()
            for op in block:
                now = replace(op, operands=tuple(self._replaced.get(value, value) for value in op.operands))
                if rows[op.name].effect is Effect.END:
                    builder.end(now.name, now.operands, now.attributes, now.location)
                    builder.cases = {case.label: BlockBuilder(builder) for case in op.cases}
                    todo.extend((case.block, builder.cases[case.label]) for case in reversed(op.cases))
                else:
                    self._replace(op.results, self._visit(now, builder))
        return root.finish()

    def note(self, ops: Sequence[Op]) -> None:
        """Take notice of operations that were added."""
        for op in ops:
            self.definitions.update(dict.fromkeys(op.results, op))
            self.uses.update(op.operands)

    def _visit(self, op: Op, builder: BlockBuilder) -> Sequence[Value]:
        """Return the values that stand for an operation's results from now on."""
        self.uses.subtract(op.operands)
        before = len(builder.ops)
        for each in self._rules.get(op.name, ()):
            self.uses.update(op.operands)
            results = each.function(Match(op, builder, self))
            self.uses.subtract(op.operands)
            if results is not None:
                self._check(each, op, results)
                self.fired[each.name] += 1
                return results
            if len(builder.ops) > before:
                raise RewriteError(
                    f"{each.name}: found operations emitted, but nothing returned; wanted results for {op}"
                )
        results = builder.keep(op)
        self.note(builder.ops[before:])
        return results

    def _check(self, each: Rule, op: Op, results: Sequence[Value]) -> None:
        fits = len(results) == len(op.results) and all(
            new in self.definitions and old.type.accepts(new.type) for old, new in zip(op.results, results, strict=True)
        )
        if not fits:
            raise RewriteError(f"{each.name}: found {[*results]}; wanted values of the graph that can stand for {op}")

    def _replace(self, old: Sequence[Value], new: Sequence[Value]) -> None:
        for before, now in zip(old, new, strict=True):
            if before is not now:
                self._replaced[before] = now
                self.uses[now] += self.uses.pop(before, 0)
