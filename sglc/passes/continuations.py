"""What goes on from the prompts of a plan."""

from __future__ import annotations

from sglc.ir.graph import Graph, Op, Value
from sglc.ir.types import Type

ANSWERED = ("decode", "score", "choose")
"""Operations that ask the engine."""

_SAME = ("rest", "settle", "pin")
"""Operations that leave a prompt's text as it is, where no template text is due."""


class Continuations:
    """For each prompt of a plan the operations that make others of it, in whatever block they are."""

    def __init__(self, graph: Graph) -> None:
        self._made: dict[Value, Op] = {}
        self._following: dict[Value, list[Op]] = {}
        for op in graph.ops():
            if op.results and op.results[0].type is Type.PROMPT:
                self._made[op.results[0]] = op
                if op.operands:
                    self._following.setdefault(op.operands[0], []).append(op)
        self._asked: set[Value] = set()
        for op in reversed(self._made.values()):
            if op.operands and (op.name in ANSWERED or op.results[0] in self._asked):
                self._asked.add(op.operands[0])

    def of(self, prompt: Value) -> list[Op]:
        """Return the operations that go on from a prompt."""
        return self._following.get(prompt, [])

    def is_due(self, prompt: Value) -> bool:
        """Whether template text waits behind a prompt to see what follows."""
        made = self._made[prompt]
        return made.name in ("open", "close") or (made.name in ("settle", "pin") and self.is_due(made.operands[0]))

    def is_asked(self, prompt: Value) -> bool:
        """Whether a request has the prompt, or one that goes on from it."""
        return prompt in self._asked

    def only_generated(self, prompt: Value) -> bool:
        """Whether generated text follows a prompt, and never text of another kind.

        Choices are text, and so is a generation without its thoughts.
        """
        if self.is_due(prompt):
            return False
        following = self.of(prompt)
        return bool(following) and all(
            (op.name == "decode" and "reasoning" not in op.attributes)
            or (op.name in _SAME and self.only_generated(op.results[0]))
            for op in following
        )
