"""One run of a program on one row of input."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sglc.backend.counters import Counters
from sglc.ir.sampling import SamplingParams
from sglc.language.state import ProgramState

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.request import Completion
    from sglc.language.loop import ProgramLoop

_ages = itertools.count()

current_state: ContextVar[ProgramState | None] = ContextVar("sglc_current_state", default=None)
"""The state of the innermost program whose body runs here."""


class Row:
    """A program's body with its arguments, its states, and its error if it has one.

    Done when the body has returned and every statement of every state has run. An error that the body met and
    handled is not the row's; one that nobody read is.
    """

    def __init__(
        self,
        loop: ProgramLoop,
        body: Callable[..., Any],
        arguments: Mapping[str, Any],
        params: SamplingParams,
        index: int,
        streamed: bool,
    ) -> None:
        self.loop = loop
        self.engine: Engine = loop.engine
        self.index = index
        self.streamed = streamed
        self.priority = (next(_ages),)
        self.counters = Counters()
        self.error: BaseException | None = None
        self.done = False
        self.states: list[ProgramState] = []
        self._body = body
        self._arguments = arguments
        self._returned = False
        self._failures: dict[int, BaseException] = {}
        self._seen: set[int] = set()
        self.state = ProgramState(self, "", params)
        self.states.append(self.state)

    def run(self) -> None:
        """Run the body, on the greenlet of this row."""
        current_state.set(self.state)
        try:
            self.state.ret_value = self._body(self.state, **self._arguments)
            for state in self.states:
                state.close_text()
        except Exception as error:
            self.error = error
        self._returned = True
        self.settle()

    def settle(self) -> None:
        """Finish the row if nothing is left to do."""
        if self._returned and not self.done and all(state.idle for state in self.states):
            self.done = True
            if self.error is None:
                self.error = next((e for key, e in self._failures.items() if key not in self._seen), None)
            self.loop.row_done(self)

    def failed(self, error: BaseException) -> None:
        """Note that a statement failed."""
        self._failures[id(error)] = error

    def seen(self, error: BaseException) -> None:
        """Note that an error was raised to the body, which may handle it."""
        if not self._returned:
            self._seen.add(id(error))

    def account(self, completion: Completion) -> None:
        """Add a completion to the row's counters."""
        counters = self.counters
        counters.requests += 1
        counters.prompt += completion.prompt_tokens
        counters.cached += completion.cached_tokens
        counters.decoded += completion.completion_tokens
        counters.filled += completion.filled
        counters.relogit += completion.relogit
        counters.refilled += completion.refilled

    def raise_for_error(self) -> None:
        """Raise the row's error, if it has one."""
        if self.error is not None:
            raise self.error
