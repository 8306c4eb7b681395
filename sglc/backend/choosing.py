"""What a choice asks of the engine as a tree of tokens: what inner nodes say of the next token decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sglc.backend.asking import Asking, Origin
from sglc.backend.choice_tree import ChoiceTree
from sglc.backend.choices import ChoicesSamplingMethod
from sglc.backend.prompt import Prompt
from sglc.backend.request import Completion, Request, Sink
from sglc.backend.scoring import Scored, Scores, begins_text, decide, first_scored, split_before_choices
from sglc.errors import Location, SglcError

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.exchange import Exchange
    from sglc.backend.tokenizer import Tokenizer


class Choosing(Asking):
    """A choice on its way: what `Scoring` says of it, with nothing computed twice and no leaf computed.

    What the choices are worth without the prompt is asked once for all rows. `done` gets what came of it, and the
    prompt up to the text just before the choices, in tokens.
    """

    __slots__ = (
        "_base",
        "_choices",
        "_done",
        "_exchange",
        "_failure",
        "_method",
        "_over",
        "_own_answers",
        "_prompt",
        "_tokens",
        "_tree",
        "_unconditional",
    )

    _base: Prompt
    _tokens: Sequence[list[int]]
    _tree: ChoiceTree

    def __init__(
        self,
        exchange: Exchange,
        choices: Sequence[str],
        method: ChoicesSamplingMethod,
        prompt: Prompt,
        origin: Origin,
        done: Callable[[Scored, Prompt], None],
        failed: Callable[[SglcError], None],
        location: Location | None = None,
    ) -> None:
        super().__init__(origin, failed, location)
        self._exchange = exchange
        self._choices = choices
        self._method = method
        self._prompt = prompt
        self._done = done
        self._own_answers: list[Completion] | None = None
        self._unconditional: Sequence[Scores] | None = None
        self._failure: SglcError | None = None
        self._over = False

    def texts(self, tokenizer: Tokenizer) -> list[tuple[str, bool]]:
        """Return the texts before the choices that they are not tokenized together with, and those with the choices."""
        before, text = split_before_choices(self._prompt)
        at_start = begins_text(before, tokenizer)
        joined = [(text + choice, at_start) for choice in self._choices]
        return before.texts(tokenizer.restarts_after_special) + joined

    def requests(self, encoded: Sequence[Sequence[int]], engine: Engine, sink: Sink) -> Sequence[Request]:
        """Return the scorings of the tree's ways. Raises ProgramError for a choice without tokens."""
        tokenizer = engine.tokenizer
        before, text = split_before_choices(self._prompt)
        at_start = begins_text(before, tokenizer)
        own = len(encoded) - len(self._choices)
        self._base = before.settle(encoded[:own], tokenizer.prefix)
        self._tokens = [[*ids] for ids in encoded[own:]]
        firsts: list[int] = []
        for choice, ids in zip(self._choices, self._tokens, strict=True):
            ends = tokenizer.token_ends(text + choice, ids, at_start=at_start)
            firsts.append(first_scored(choice, text, ends))
        self._tree = ChoiceTree(self._base, self._tokens, firsts)
        self.sent = self._tree.requests(sink, self.origin)
        if self._method.needs_unconditional:
            sequences = [tuple(ids[first:]) for ids, first in zip(self._tokens, firsts, strict=True)]
            exchange = self._exchange
            found = exchange.unconditional.find(sequences, self.origin, self._take_unconditional, self._lose)
            if found is not None:
                exchange.pending.append(found)
        return self.sent

    def _finish(self, answers: list[Completion]) -> None:
        self._own_answers = answers
        self._conclude()

    def _take_unconditional(self, scores: Sequence[Scores]) -> None:
        self._unconditional = scores
        self._conclude()

    def _lose(self, error: SglcError) -> None:
        """Learn that there will be no scores without the prompt; its own requests are waited for all the same."""
        self._failure = self._failure or error
        self._conclude()

    def _conclude(self) -> None:
        """Decide, or fail, once everything has come."""
        answers = self._own_answers
        if answers is None or self._over:
            return
        if self._failure is not None:
            self._over = True
            self._failed(type(self._failure)(self._failure.message, self.location))
        elif self._unconditional is not None or not self._method.needs_unconditional:
            self._over = True
            scores = self._tree.scores(answers)
            scored = decide(self._choices, self._method, self._base, self._tokens, scores, self._unconditional, answers)
            self._done(scored, self._base)
