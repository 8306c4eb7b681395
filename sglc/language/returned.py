"""The state of a captured program that has returned: put together when somebody looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sglc.backend.execution import Answer, Outcome
from sglc.backend.left_states import LeftGroup, LeftState
from sglc.backend.plan import End
from sglc.language.future import Future, settled
from sglc.language.group import ProgramStateGroup
from sglc.language.state import ProgramState

if TYPE_CHECKING:
    from sglc.language.row import Row


class ReturnedState(ProgramState):
    """A state as its program has left it. Most states of a batch are looked at once, and only in part."""

    def __init__(self, row: Row, outcome: Outcome) -> None:
        self.row = row
        self.ret_value = _revived(row, outcome.returned, {}) if outcome.end.with_states else outcome.returned
        self._outcome = outcome

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of `ProgramState` that nobody has looked at yet."""
        attributes = vars(self)
        if not name.startswith("__") and "_outcome" in attributes and "_vars" not in attributes:
            attributes.update(self._filled(self._outcome) | attributes)  # at once: other threads may look, too
        if name in attributes:
            return attributes[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _filled(self, outcome: Outcome) -> dict[str, Any]:
        """Return the attributes of the state that an eager run leaves."""
        state = ProgramState(self.row, "", self.row.params)
        transcript, _, end, values, answers = outcome
        state.prompt = transcript.prompt(self.row.engine.tokenizer)
        state.pieces = [transcript.text]
        state.dialogue.state = self
        state.dialogue.roles = transcript.roles
        state.dialogue.messages = transcript.messages
        for name, value, at in zip(end.names, values, end.answers, strict=True):
            state._set(name, _future(value, None if at is None else answers[at]))
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


def _revived(row: Row, thing: Any, known: dict[int, Any]) -> Any:
    """Return what a function returned, with the states in it put together, each once: `known` are those by id."""
    if isinstance(thing, LeftState | LeftGroup):
        if id(thing) not in known:
            known[id(thing)] = _left(row, thing, known)
        return known[id(thing)]
    if type(thing) in (list, tuple):
        return type(thing)(_revived(row, each, known) for each in thing)
    if type(thing) is dict:
        return {key: _revived(row, value, known) for key, value in thing.items()}
    return thing


def _left(row: Row, thing: LeftState | LeftGroup, known: dict[int, Any]) -> ReturnedState | ProgramStateGroup:
    if isinstance(thing, LeftGroup):
        return ProgramStateGroup([_revived(row, state, known) for state in thing.states], None)
    places = [None if answer is None else i for i, answer in enumerate(thing.answers)]
    end = End(names=thing.names, answers=places)
    return ReturnedState(row, Outcome(thing.transcript, None, end, thing.values, thing.answers))
