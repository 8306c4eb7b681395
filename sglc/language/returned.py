"""The state of a captured program that has returned: put together when somebody looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sglc.backend.execution import Answer
from sglc.language.future import Future, settled
from sglc.language.state import ProgramState

if TYPE_CHECKING:
    from sglc.backend.plan import End
    from sglc.backend.transcript import Transcript
    from sglc.language.row import Row


class ReturnedState(ProgramState):
    """A state as its program has left it. Most states of a batch are looked at once, and only in part."""

    def __init__(
        self, row: Row, transcript: Transcript, end: End, values: Sequence[Any], answers: Sequence[Answer]
    ) -> None:
        self.row = row
        self._transcript = transcript
        self._end = end
        self._values = values
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of `ProgramState` that nobody has looked at yet."""
        attributes = vars(self)
        if name.startswith("__") or "_transcript" not in attributes:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        attributes.update(self._filled() | attributes)  # at once: other threads may look, too
        del attributes["_transcript"]
        return getattr(self, name)

    def _filled(self) -> dict[str, Any]:
        """Return the attributes of the state that an eager run leaves."""
        state = ProgramState(self.row, "", self.row.params)
        transcript, end = self._transcript, self._end
        state.prompt = transcript.prompt(self.row.engine.tokenizer)
        state.pieces = [transcript.text]
        state.dialogue.state = self
        state.dialogue.roles = transcript.roles
        state.dialogue.messages = transcript.messages
        for name, value, at in zip(end.names, self._values, end.answers, strict=True):
            state._set(name, _future(value, None if at is None else self._answers[at]))
        return vars(state)


def _future(value: Any, answer: Answer | None) -> Future:
    """Return a variable's value as a future that has it."""
    if answer is None:
        return settled(value)
    future = Future()
    future.answer = answer
    future.live = answer.text
    future.set(value)
    return future
