"""A `select` of a running program: a statement that waits for the engine, or is served what is known already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sglc.backend.prompt import Prompt
from sglc.backend.scoring import Scored, Scoring, split_before_choices
from sglc.errors import SglcError
from sglc.language.future import Future
from sglc.language.primitives import Select

if TYPE_CHECKING:
    from sglc.language.line import PromptLine


class Choice:
    """A `select` on its way; the prompt continues with the chosen text. `site` says which choice of its row it is."""

    __slots__ = ("_asking", "_future", "_select", "_site", "_state")

    _state: PromptLine

    def __init__(self, select: Select, site: str, future: Future) -> None:
        self._select = select
        self._site = site
        self._future = future
        self._asking: Scoring | None = None

    def start(self, state: PromptLine) -> bool:
        """Join the questions that the loop hands to the engine in one go; return whether the answer is known."""
        self._state = state
        row, select = state.row, self._select
        served = row.served.choices.get(self._site)
        if served is not None:
            before, _ = split_before_choices(state.prompt)
            self._take(served, before.settled(row.engine.tokenizer))
            return True
        asking = self._asking = Scoring(
            select.choices, select.method, state.prompt, row.origin, self._done, self._failed, select.location
        )
        row.loop.exchange.pending.append(asking)
        return False

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be answered."""
        self._future.fail(error)

    def _done(self, scored: Scored, asked: Prompt) -> None:
        self._state.row.account(scored.completions)
        self._take(scored, asked)
        self._state.advance()

    def _take(self, scored: Scored, asked: Prompt) -> None:
        self._state.prompt = scored.behind(asked)
        self._state.pieces.append(scored.text)
        self._future.set_answer(scored)

    def _failed(self, error: SglcError) -> None:
        if self._asking is not None:
            self._state.row.account(self._asking.completions)
        self.fail(error)
        self._state.poison(error)
