"""The statements of a state: each changes the prompt in its turn. Those here need no answer of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sglc.backend.prompt import Piece
from sglc.language.future import Future

if TYPE_CHECKING:
    from sglc.language.line import PromptLine


class Statement(Protocol):
    """A statement of a state; those that ask the engine are `Generation` and `Choice`."""

    def start(self, state: PromptLine) -> bool:
        """Do it, now that its turn has come; return whether it is done: if not, it calls `advance` when it is."""

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be done."""


class Action:
    """A statement that needs no engine: a function of the state, run in its turn."""

    __slots__ = ("_failed", "_run")

    def __init__(self, run: Callable[[], None], failed: Callable[[BaseException], None] | None = None) -> None:
        self._run = run
        self._failed = failed

    def start(self, state: PromptLine) -> bool:
        """Do it; return True: the next statement can follow at once."""
        self._run()
        return True

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be done."""
        if self._failed is not None:
            self._failed(error)


class Awaiting:
    """A statement that waits for a future, then acts on its value."""

    __slots__ = ("_act", "_future")

    def __init__(self, future: Future, act: Callable[[Any], None]) -> None:
        self._future = future
        self._act = act

    def start(self, state: PromptLine) -> bool:
        """Act at once if the future is done, else when it is; the state goes on behind that."""
        if self._future.done:
            self._arrived(state)
            return True
        self._future.when_done(lambda: self._arrived(state, resume=True))
        return False

    def _arrived(self, state: PromptLine, resume: bool = False) -> None:
        if self._future.error is not None:
            self._future.seen = True
            state.poison(self._future.error)
            return
        self._act(self._future.result())
        if resume:
            state.advance()

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be done."""


class TemplateText:
    """A piece of the chat template."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def start(self, state: PromptLine) -> bool:
        """Append it, its special tokens recognized."""
        tokenizer = state.row.engine.tokenizer
        at_start = not state.prompt.started and not state.prompt.tail
        pieces: Sequence[Piece] = tokenizer.template_pieces(self._text, at_start=at_start)
        state.pieces.append(self._text)
        state.prompt = state.prompt.append_template(pieces, tokenizer.prefix)
        return True

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be appended."""
