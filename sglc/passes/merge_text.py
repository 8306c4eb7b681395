"""merge-text: every text is appended for itself, and constants that stand side by side are one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar, NamedTuple

from sglc.ir.graph import Block, Graph, Op, Value, canonical, map_blocks
from sglc.ir.types import Type
from sglc.passes.base import Pass, Remarks, Target

FEW = 8
"""Parts up to which a text that is used several times is taken apart for each."""


@dataclass(frozen=True, slots=True)
class MergeText(Pass):
    """Takes texts apart that are appended, and puts constants together that stand side by side.

        %1 = const {value = "Essay:"} : text
        %2 = const {value = "\\n"} : text
        %3 = concat %2, %essay : text
        %4 = append %0, %1 : prompt
        %p = append %4, %3 : prompt
      =>
        %1 = const {value = "Essay:\\n"} : text
        %2 = append %0, %1 : prompt
        %p = append %2, %essay : prompt

    So what is constant in a prompt can be seen. A prompt that something else goes on from stays. An empty text goes
    where it changes nothing, which is everywhere but alone behind the mark of a message.
    """

    name: ClassVar[str] = "merge-text"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph with texts as few and as constant as can be."""
        joined = 0
        merged = graph
        while True:  # where a text has gone, those before and behind it are neighbours
            merging = _Merging(merged)
            block = map_blocks(merged.block, merging.block)
            if not merging.changed:
                break
            joined += merging.joined
            merged = Graph(graph.name, graph.arguments, _without(block, merging.leftovers), graph.level)
        if joined:
            remarks.done(f"put {joined} constant texts together", count=joined, unit="texts")
        return graph if merged is graph else canonical(merged)


class _Part(NamedTuple):
    """A part of a text: its `constant`, None for one that varies, and its `value`, None for a constant put together."""

    constant: str | None
    value: Value | None


Parts = Sequence[_Part]


class _Merging:
    """A graph whose texts are merged, block by block.

    An *absorbed* concatenation is used once, by another or by an append. A *chain* are appends in one block of which
    each is used once, by the next one; it is written anew in the place of its last.
    """

    def __init__(self, graph: Graph) -> None:
        ops = list(graph.ops())
        self.changed = False
        self.joined = 0
        self.leftovers: set[Value] = set()  # what may not be needed any more
        self._uses = Counter(value for op in ops for value in op.operands)
        self._made = {result: op for op in ops for result in op.results}
        texts = {"concat": 0, "append": 1}
        parts = (value for op in ops if op.name in texts for value in op.operands[texts[op.name] :])
        self._absorbed = {value for value in parts if self._uses[value] == 1 and self._is_made_by(value, "concat")}
        self._parts: dict[Value, Parts] = {}  # of concatenations that are not absorbed, as far as the walk has come
        self._instead: dict[Value, Value] = {}

    def block(self, block: Block) -> Block:
        """Return a block written anew."""
        chains = _chains(block, self._uses)
        anew: dict[Op, Parts] = {}
        gone: set[Op] = set()
        for op in block:
            if op.name == "concat" and op.result not in self._absorbed:
                self._parts[op.result] = self._put_together(op.operands)
            elif op in chains:
                texts = [each.operands[1] for each in chains[op]]
                parts = self._put_together(texts) or self._nothing(chains[op])
                if [part.value for part in parts] != texts:
                    anew[op] = parts
                    gone.update(chains[op])
        ops: list[Op] = []
        for op in block:
            if op in anew:
                self._append(ops, op, chains[op][0].operands[0], anew[op])
            elif op.name == "concat" and op.result in self._parts:
                self._concatenate(ops, op, self._parts[op.result])
            elif op not in gone:
                ops.append(self._as_it_is(op))
        return tuple(ops)

    def _put_together(self, texts: Sequence[Value]) -> Parts:
        """Return the parts of texts one behind the other, constants put together, without empty ones."""
        parts: list[_Part] = []
        for constant, group in groupby(self._taken_apart(texts), lambda part: part.constant is not None):
            found = [part for part in group if part.constant != ""]
            if constant and len(found) > 1:
                self.joined += len(found)
                found = [_Part("".join([part.constant or "" for part in found]), None)]
            parts += found
        return parts

    def _taken_apart(self, texts: Sequence[Value]) -> Iterator[_Part]:
        todo = [*reversed(texts)]
        while todo:
            value = todo.pop()
            made = self._made.get(value)
            parts = self._parts.get(value, ())
            if made is not None and made.name == "const":
                self.leftovers.add(value)
                yield _Part(made.attributes["value"], value)
            elif made is not None and value in self._absorbed:
                self.leftovers.add(value)
                todo.extend(reversed(made.operands))
            elif value in self._parts and len(parts) <= FEW:
                self.leftovers.add(value)
                yield from parts
            else:
                yield _Part(None, value)

    def _nothing(self, chain: Sequence[Op]) -> Parts:
        """Return what is left of a chain of empty texts: one, where the template's text may wait for what follows."""
        before = self._made.get(chain[0].operands[0])
        while before is not None and (
            before.name == "pin" or (before.name == "sections" and len(before.operands) == 1)
        ):
            before = self._made.get(before.operands[0])
        if before is not None and before.name not in ("begin", "end"):
            return ()
        text = chain[0].operands[1]
        return (_Part("", text if self._is_made_by(text, "const") else None),)

    def _append(self, ops: list[Op], last: Op, prompt: Value, parts: Parts) -> None:
        """Write a chain anew."""
        self.changed = True
        prompt = self._instead.get(prompt, prompt)
        if not parts:
            self._instead[last.result] = prompt
        for place, part in enumerate(parts, 1):
            text = self._value(ops, part, last)
            after = last.result if place == len(parts) else Value(last.result.name, Type.PROMPT)
            ops.append(Op("append", (prompt, text), (after,), location=last.location))
            prompt = after

    def _concatenate(self, ops: list[Op], op: Op, parts: Parts) -> None:
        """Write a concatenation anew: as a constant, as its only part, or as what it is."""
        only = parts[0] if len(parts) == 1 else _Part(None, None) if parts else _Part("", None)
        if only.constant is not None:
            self.changed = True
            ops.append(Op("const", (), op.results, {"value": only.constant}, (), op.location))
        elif only.value is not None and not self._is_made_by(only.value, "gen", "select"):  # these have a report
            self.changed = True
            self._instead[op.result] = self._now(only.value)
        elif [part.value for part in parts] == [*op.operands]:
            ops.append(self._as_it_is(op))
        else:
            self.changed = True
            values = tuple([self._value(ops, part, op) for part in parts])
            ops.append(replace(op, operands=values))

    def _value(self, ops: list[Op], part: _Part, behind: Op) -> Value:
        """Return the value of a part, written if it is a new constant."""
        if part.value is not None:
            return self._now(part.value)
        text = Value("", Type.TEXT)
        ops.append(Op("const", (), (text,), {"value": part.constant}, (), behind.location))
        return text

    def _as_it_is(self, op: Op) -> Op:
        operands = tuple([self._now(value) for value in op.operands])
        return op if operands == op.operands else replace(op, operands=operands)

    def _now(self, value: Value) -> Value:
        return self._instead.get(value, value)

    def _is_made_by(self, value: Value, *names: str) -> bool:
        made = self._made.get(value)
        return made is not None and made.name in names


def _chains(block: Block, uses: Mapping[Value, int]) -> Mapping[Op, Sequence[Op]]:
    """Return the chains of a block, each by its last append."""
    chains: dict[Op, list[Op]] = {}
    last: dict[Value, Op] = {}
    for op in block:
        if op.name != "append":
            continue
        before = last.get(op.operands[0])
        chain = chains.pop(before) if before is not None and uses[before.result] == 1 else []
        chain.append(op)
        chains[op] = chain
        last[op.result] = op
    return chains


def _without(block: Block, leftovers: Collection[Value]) -> Block:
    """Return a block without those of some constants and concatenations that nothing uses."""
    ops = list(Graph("", (), block).ops())
    uses = Counter(value for op in ops for value in op.operands)
    unused: set[Op] = set()
    for op in reversed(ops):
        if len(op.results) == 1 and op.result in leftovers and not uses[op.result]:
            unused.add(op)
            uses.subtract(op.operands)
    return map_blocks(block, lambda ops: [op for op in ops if op not in unused])
