"""Asking the engine: requests sent with those of other programs in one go, answered one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sglc.backend.request import Completion, Delta, Event, Priority, Request, Sink
from sglc.errors import Cancelled, EngineError, Location, SglcError

if TYPE_CHECKING:
    from sglc.backend.claim import Hold
    from sglc.backend.engine import Engine
    from sglc.backend.tokenizer import Tokenizer


class Origin(NamedTuple):
    """Where a question comes from: the number of its input row, the row's age, whether somebody watches.

    `planned`: the row runs by a plan, so what it asks is known as soon as it can be.
    """

    row: int
    priority: Priority
    streamed: bool = False
    planned: bool = False


class Asking:
    """A question on its way through the engine: one request or several, whose answers make one result.

    What is common to `Decoding` and `Scoring`. `failed` is called at most once, and no result follows; an error of
    the engine names `location`. `hold` may be set before it is asked.
    """

    __slots__ = ("_answers", "_failed", "answered", "hold", "location", "origin", "sent")

    def __init__(self, origin: Origin, failed: Callable[[SglcError], None], location: Location | None) -> None:
        self.origin = origin
        self._failed = failed
        self.location = location
        self.hold: Hold | None = None
        self.sent: Sequence[Request] = ()
        self.answered = False
        self._answers: dict[Request, Completion] | None = None  # those of several requests that are there

    def texts(self, tokenizer: Tokenizer) -> list[tuple[str, bool]]:
        """Return the texts to be tokenized, each with whether it counts as the beginning of one."""
        raise NotImplementedError

    def requests(self, encoded: Sequence[Sequence[int]], engine: Engine, sink: Sink) -> Sequence[Request]:
        """Return what to ask, given the encodings of `texts()`. Raises an SglcError for what can't be asked."""
        raise NotImplementedError

    def deliver(self, request: Request, event: Event) -> None:
        """Take an event of one of the requests."""
        if isinstance(event, Completion):
            if len(self.sent) == 1:
                self.answered = True
                self._finish([event])
                return
            if self._answers is None:
                self._answers = {}
            self._answers[request] = event
            if len(self._answers) == len(self.sent):
                self.answered = True
                self._finish(self.completions)
        elif isinstance(event, Delta):
            self._show(event)
        else:
            error = EngineError(str(event), self.location)
            error.__cause__ = event.__cause__
            self._withdraw(error)

    @property
    def completions(self) -> list[Completion]:
        """The answers so far to several requests, in their order."""
        answers = self._answers or {}
        return [answers[request] for request in self.sent if request in answers]

    def _finish(self, answers: list[Completion]) -> None:
        """Make the result of the answers, and hand it over."""
        raise NotImplementedError

    def _show(self, delta: Delta) -> None:
        """Take a piece of text that is streamed."""

    def cancel(self) -> None:
        """Withdraw what was asked."""
        self._withdraw(Cancelled("found the program closed before this was finished; wanted it read to its end"))

    def refuse(self, error: SglcError) -> None:
        """Learn that it can't be asked."""
        self._withdraw(type(error)(error.message, error.location or self.location))

    def _withdraw(self, error: SglcError) -> None:
        if self.answered:
            return
        self.answered = True
        for request in self.sent:
            request.cancelled = True
        self._failed(error)
