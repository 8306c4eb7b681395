"""Statements that ask the engine: sent with those of other programs in one go, answered one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sglc.backend.request import Completion, Delta, Event, Request
from sglc.errors import Cancelled, EngineError, Location
from sglc.language.future import Future

if TYPE_CHECKING:
    from sglc.language.line import PromptLine


class Asking:
    """A statement on its way through the engine: one request or several, whose answers fulfil `future`.

    What is common to `Generation` and `Choice`, which say what is asked and what the answers mean.
    """

    __slots__ = ("_answers", "_missing", "future", "location", "sent", "state")

    state: PromptLine

    def __init__(self, future: Future, location: Location | None) -> None:
        self.future = future
        self.location = location
        self.sent: list[Request] = []
        self._answers: list[Completion | None] = []
        self._missing = 0

    def start(self, state: PromptLine) -> bool:
        """Join the requests that the loop hands to the engine in one go."""
        self.state = state
        state.row.loop.pending.append(self)
        return False

    def texts(self) -> list[tuple[str, bool]]:
        """Return the texts to be tokenized, each with whether it counts as the beginning of one."""
        raise NotImplementedError

    def requests(self, encoded: Sequence[Sequence[int]]) -> list[Request]:
        """Return what to ask, given the encodings of `texts()`. Raises ProgramError."""
        raise NotImplementedError

    def _send(self, requests: list[Request]) -> list[Request]:
        self.sent = requests
        self._missing = len(requests)
        self._answers = [None] * len(requests)
        return requests

    @property
    def answered(self) -> bool:
        """Whether no event is to come."""
        return self.future.done

    def deliver(self, request: Request, event: Event) -> None:
        """Take an event of one of the requests."""
        if isinstance(event, Completion):
            self.state.row.account(event)
            self._answers[self.sent.index(request)] = event
            self._missing -= 1
            if self._missing == 0:
                self._finish([answer for answer in self._answers if answer is not None])
                self.state.advance()
        elif isinstance(event, Delta):
            self._show(event)
        else:
            error = EngineError(str(event), self.location)
            error.__cause__ = event.__cause__
            self._withdraw(error)

    def _finish(self, answers: list[Completion]) -> None:
        """Act on the answers, in the order of the requests."""
        raise NotImplementedError

    def _show(self, delta: Delta) -> None:
        """Take a piece of text that is streamed."""

    def cancel(self) -> None:
        """Withdraw what was asked, and give up the state."""
        self._withdraw(Cancelled("found the program closed before this was finished; wanted it read to its end"))

    def _withdraw(self, error: EngineError) -> None:
        for request in self.sent:
            request.cancelled = True
        self.fail(error)
        self.state.poison(error)

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be answered."""
        self.future.fail(error)
