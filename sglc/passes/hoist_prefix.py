"""hoist-prefix: what all rows begin with is made once, and its KV stays while the batch runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sglc.ir.graph import Graph, Op, Value, canonical, map_blocks
from sglc.ir.releases import with_releases, without_releases
from sglc.ir.types import Type
from sglc.passes.base import Pass, Remarks, Target, counted
from sglc.passes.continuations import ANSWERED, Continuations

WORTH_MENTIONING = 16
"""Tokens behind a value that might be before it, from which on the user is told."""

_BUILDS = ("extend", "tokens", "open", "close", "rest", "settle", "pin")
_COMPUTES = ("const", "start", "concat", "apply", "text", "since", *_BUILDS)


@dataclass(frozen=True, slots=True)
class HoistPrefix(Pass):
    """Pins the prompts that are the same in every row, as far as rows go on from them.

        %p = tokens %0 {ids = [1423, 319, 25], text = "Translate:"} : prompt
        %p_1 = extend %p, %space, %word : prompt
      =>
        %p = tokens %0 {ids = [1423, 319, 25], text = "Translate:"} : prompt
        %p_1 = pin %p : prompt
        %p_2 = extend %p_1, %space, %word : prompt

    What such a prompt is made of is computed once, when the plan meets its engine. Where only generations follow it,
    it is settled to its end; and an `extend` without texts writes the chat template's text that is due, for all rows.
    """

    name: ClassVar[str] = "hoist-prefix"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the plan with its uniform prompts pinned."""
        hoisting = _Hoisting(graph)
        hoisting.tell_missed(remarks)
        pins = {op: found for op in graph.block if (found := hoisting.pins(op))}
        if not pins:
            return graph
        for op in pins:
            hoisting.tell_done(op, remarks)
        block = without_releases(graph.block)
        block = tuple(each for op in block for each in (op, *pins.get(op, ())))
        block = map_blocks(block, lambda ops: [hoisting.redirected(op) for op in ops])
        return canonical(Graph(graph.name, graph.arguments, with_releases(block), graph.level))


class _Hoisting:
    """A plan, what is the same in every row of it, and what rows go on from."""

    def __init__(self, graph: Graph) -> None:
        self._continuations = Continuations(graph)
        self._made: dict[Value, Op] = {result: op for op in graph.ops() for result in op.results}
        self._arguments = graph.arguments
        self._uniform: set[Value] = set()
        self._instead: dict[Op, Value] = {}  # an operation → the prompt that it goes on from now
        self._pinned: set[Value] = set()
        for op in graph.ops():
            if op.name in _COMPUTES and self._uniform.issuperset(op.operands):
                self._uniform.update(op.results)

    def pins(self, op: Op) -> list[Op]:
        """Return what has to stand behind an operation, none if rows do not part where it ends."""
        if op.name not in _BUILDS or op.result not in self._uniform or self._is_pinned(op):
            return []
        following = [each for each in self._continuations.of(op.result) if each.results[0] not in self._uniform]
        if self._continuations.is_due(op.result):  # a request writes it in another way than text does
            following = [each for each in following if each.name in ("extend", "tokens", "arrange")]
        answered = [each for each in following if each.name == "decode" and "reasoning" not in each.attributes]
        if not following or not self._continuations.is_asked(op.result):
            return []
        ops: list[Op] = []
        whole = op.name == "tokens"

        def add(name: str) -> Value:
            prompt = ops[-1].result if ops else op.result
            made = Value(op.result.name, Type.PROMPT)
            ops.append(Op(name, (prompt,), (made,), location=op.location))
            return made

        if self._continuations.is_due(op.result):
            add("extend")
        if len(answered) == len(following) and not whole:
            add("settle")
        self._instead.update(dict.fromkeys(following, add("pin")))
        if 0 < len(answered) < len(following) and not whole:
            self._instead.update(dict.fromkeys(answered, add("settle")))
        self._pinned.add(op.result)
        return ops

    def redirected(self, op: Op) -> Op:
        """Return an operation as it goes on from a pinned prompt, if it does."""
        prompt = self._instead.get(op)
        return op if prompt is None else replace(op, operands=(prompt, *op.operands[1:]))

    def tell_done(self, op: Op, remarks: Remarks) -> None:
        """Say what all rows have in common at a prompt, beyond what they have at one before it."""
        count = sum(len(each.attributes["ids"]) for each in self._line(op) if each.name == "tokens")
        if count:
            remarks.done(f"hoisted {counted(count, 'token')}", op.location, count, "tokens")
        else:
            remarks.done("hoisted a prompt that is the same in every row", op.location)

    def tell_missed(self, remarks: Remarks) -> None:
        """Say which constants would be hoisted if a value before them did not differ from row to row."""
        for op in self._made.values():
            if op.name != "extend" or op.operands[0] not in self._uniform or op.result in self._uniform:
                continue
            argument = next(filter(None, map(self._argument, op.operands[1:])), None)
            behind = max(self._constants_behind(op.result), key=lambda found: found[0], default=None)
            if argument is None or behind is None or behind[0] < WORTH_MENTIONING:
                continue
            count, first = behind
            constant = f"the constant in line {first.location.line}" if first.location else "constant text"
            remarks.missed(
                f"%{argument.name} comes before {constant} ({counted(count, 'token')}): "
                "put it last, or wrap both in sglc.unordered",
                op.location,
                count,
                "tokens",
            )

    def _is_pinned(self, op: Op) -> bool:
        return op.name == "pin" or (op.name == "settle" and self._made[op.operands[0]].name == "pin")

    def _line(self, op: Op) -> Iterator[Op]:
        """Yield the operations that make a prompt, back to one that is pinned."""
        yield op
        while op.operands and op.operands[0] not in self._pinned:
            op = self._made[op.operands[0]]
            yield op

    def _argument(self, value: Value) -> Value | None:
        """Return an argument that a value is computed from; None where it is something else that differs."""
        todo, found = [value], None
        while todo:
            each = todo.pop()
            op = self._made.get(each)
            if op is None:
                found = found or each
            elif op.name in ("concat", "apply"):
                todo += op.operands
            elif op.name != "const":
                return None
        return found

    def _constants_behind(self, prompt: Value) -> Iterator[tuple[int, Op]]:
        """Yield for each way from a prompt to a request how many tokens of constants are on it, and the first."""
        todo: list[tuple[Value, int, Op | None]] = [(prompt, 0, None)]
        while todo:
            each, count, first = todo.pop()
            for op in self._continuations.of(each):
                if op.name in ANSWERED:
                    if first is not None:
                        yield count, first
                elif op.name == "tokens":
                    todo.append((op.result, count + len(op.attributes["ids"]), first or op))
                else:
                    todo.append((op.result, count, first))
