"""batch-forks: text that several requests of a row have in common is tokenized once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sglc.ir.graph import Block, Graph, Op, Value, canonical, map_blocks
from sglc.ir.releases import with_releases, without_releases
from sglc.ir.types import Type
from sglc.passes.base import Pass, Remarks, Target, counted
from sglc.passes.continuations import ANSWERED, Continuations


@dataclass(frozen=True, slots=True)
class BatchForks(Pass):
    """Settles a prompt that several requests go on from, where a token ends for certain in each of them.

        %p = extend %0, %essay, %newline : prompt
        %p_1 = tokens %p {ids = [44, 86], text = "Is it clear?"} : prompt
        %p_2 = tokens %p {ids = [44, 97], text = "Is it true?"} : prompt
      =>
        %p = extend %0, %essay, %newline : prompt
        %p_1 = settle %p : prompt
        %p_2 = tokens %p_1 {ids = [44, 86], text = "Is it clear?"} : prompt
        %p_3 = tokens %p_1 {ids = [44, 97], text = "Is it true?"} : prompt

    The requests are then one prompt in tokens with little behind it, and go to the engine together.
    """

    name: ClassVar[str] = "batch-forks"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the plan with its forks settled."""
        forks = _Forks(graph)
        if not forks.settled:
            return graph
        for op, requests in forks.settled.items():
            remarks.done(f"text of {counted(requests, 'request')} tokenized once", op.location, requests, "requests")
        block = map_blocks(without_releases(graph.block), forks.block)
        return canonical(Graph(graph.name, graph.arguments, with_releases(block), graph.level))


class _Forks:
    """Where a plan is to be settled: `settled` are the operations behind which it is, with how many requests follow."""

    def __init__(self, graph: Graph) -> None:
        self.settled: dict[Op, int] = {}
        self._continuations = Continuations(graph)
        self._made: dict[Value, Op] = {result: op for op in graph.ops() for result in op.results}
        self._blocks = _blocks(graph)
        self._requests: dict[Op, int] = {}  # how many requests of its block follow an operation before another answer
        self._instead: dict[Op, Value] = {}  # an operation → the settled prompt that it goes on from
        for op in reversed(self._made.values()):
            self._requests[op] = sum(map(self._asked_by, self._following(op)))
        for op in self._made.values():
            if op.name in ("extend", "tokens", "arrange") and self._is_shared(op):
                self.settled[op] = self._certain_requests(op)
                prompt = Value(op.result.name, Type.PROMPT)
                self._instead.update(dict.fromkeys(self._certain(op), prompt))

    def block(self, block: Block) -> Iterator[Op]:
        """Yield the operations of a block with those that settle prompts."""
        for op in block:
            if op.name == "rank":
                yield from self._ranked(op)
                continue
            source = self._instead.get(op)
            yield op if source is None else replace(op, operands=(source, *op.operands[1:]))
            if op in self.settled:
                prompt = self._instead[self._certain(op)[0]]
                yield Op("settle", op.results[:1], (prompt,), location=op.location)

    def _ranked(self, op: Op) -> Iterator[Op]:
        """Yield what rows are ordered by: a prompt that is there before anything is tokenized."""
        line = [self._made[op.operands[0]]]
        while line[-1].operands:
            line.append(self._made[line[-1].operands[0]])
        settled = [place for place, each in enumerate(line) if each in self._instead]
        prompt = op.operands[0]
        for each in reversed(line[: settled[-1] + 1] if settled else []):
            source = each.operands[0] if each is line[settled[-1]] else prompt
            prompt = Value(each.result.name, Type.PROMPT)
            yield replace(each, operands=(source, *each.operands[1:]), results=(prompt,))
        yield replace(op, operands=(prompt,))

    def _is_shared(self, op: Op) -> bool:
        """Whether several requests go on from where an operation ends, and no later place would do for all of them."""
        requests = self._certain_requests(op)
        if requests < 2 or not self._has_text(op):
            return False
        following = self._continuations.of(op.result)
        if any(each.name == "settle" for each in following):
            return False
        while len(following) == 1 and following[0].name not in ANSWERED:
            if self._certain_requests(following[0]) == requests:
                return False
            following = self._continuations.of(following[0].result)
        return True

    def _has_text(self, op: Op) -> bool:
        """Whether there is text in a prompt that is known at run time only, and nothing has it in tokens before."""
        while op.operands:
            if any(self._made.get(text) is None or self._made[text].name != "const" for text in op.operands[1:]):
                return True
            before = self._made[op.operands[0]]
            if op in self._instead or before.name in ("settle", "score", "choose"):
                return False
            if before.name == "decode":
                return "reasoning" in before.attributes
            op = before
        return False

    def _certain(self, op: Op) -> list[Op]:
        """Return what goes on from where an operation ends in a way that leaves the tokens before it alone."""
        following = self._continuations.of(op.result)
        if op.name == "tokens":
            return following
        return [
            each
            for each in following
            if each.name == "tokens" or (each.name == "decode" and "reasoning" not in each.attributes)
        ]

    def _certain_requests(self, op: Op) -> int:
        return sum(self._asked_by(each) for each in self._certain(op) if self._blocks[each] == self._blocks[op])

    def _following(self, op: Op) -> list[Op]:
        """Return what goes on from an operation's prompt in its own block."""
        if not op.results or op.results[0].type is not Type.PROMPT:
            return []
        return [each for each in self._continuations.of(op.results[0]) if self._blocks[each] == self._blocks[op]]

    def _asked_by(self, op: Op) -> int:
        return 1 if op.name in ANSWERED else self._requests[op]


def _blocks(graph: Graph) -> dict[Op, int]:
    """Return for every operation a number that those of its block share."""
    blocks = [graph.block]
    for block in blocks:
        blocks.extend(case.block for case in block[-1].cases)
    return {op: number for number, block in enumerate(blocks) for op in block}
