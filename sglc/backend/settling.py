"""Tokenizing what several requests of a row have in common, in one call with the texts of other rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sglc.backend.asking import Asking, Origin
from sglc.backend.prompt import Prompt
from sglc.errors import SglcError

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.request import Request, Sink
    from sglc.backend.tokenizer import Tokenizer


class Settling(Asking):
    """A prompt on its way through the tokenizer: it asks nothing of the engine. `done` gets it in tokens."""

    __slots__ = ("_done", "_prompt")

    def __init__(
        self,
        prompt: Prompt,
        origin: Origin,
        done: Callable[[Prompt], None],
        failed: Callable[[SglcError], None],
    ) -> None:
        super().__init__(origin, failed, None)
        self._prompt = prompt
        self._done = done

    def texts(self, tokenizer: Tokenizer) -> list[tuple[str, bool]]:
        """Return the texts to be tokenized, each with whether it counts as the beginning of one."""
        return self._prompt.texts(tokenizer.restarts_after_special)

    def requests(self, encoded: Sequence[Sequence[int]], engine: Engine, sink: Sink) -> Sequence[Request]:
        """Hand over the prompt in tokens. There is nothing to be sent."""
        self.answered = True
        self._done(self._prompt.anchored(encoded, engine.tokenizer.prefix))
        return ()
