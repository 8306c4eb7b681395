"""What choices say without the prompt before them: the same for every row, so it is asked once an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sglc.backend.asking import Asking, Origin
from sglc.backend.choice_tree import ChoiceTree
from sglc.backend.prompt import Prompt
from sglc.backend.request import Completion, Request, Sink
from sglc.backend.scoring import Scores
from sglc.errors import SglcError

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.tokenizer import Tokenizer

Tokens = tuple[int, ...]

_MOST_KNOWN = 16_384
"""Token sequences that an engine's scores are remembered of; at one more all are forgotten."""


class Unconditional:
    """The log-probabilities of token sequences that nothing comes before: known, or on their way.

    Belongs to one exchange; what is known is the engine's, for all its exchanges. Whoever asks for what is on its way
    already waits for the same answer.
    """

    def __init__(self, engine: Engine) -> None:
        self._known = engine.unconditional
        self._under_way: dict[Tokens, _Alone] = {}

    def find(
        self,
        sequences: Sequence[Tokens],
        origin: Origin,
        found: Callable[[list[Scores]], None],
        failed: Callable[[SglcError], None],
    ) -> Asking | None:
        """Hand the scores of each sequence to `found`, at once if all are known; `failed` may hear several errors.

        Returns the question that has to be asked for it, if there is one.
        """
        waiting = _Waiting(sequences, found, failed)
        wanted = dict.fromkeys(sequences)
        new = [tokens for tokens in wanted if tokens not in self._known and tokens not in self._under_way]
        alone = _Alone(new, origin, self._answered) if new else None
        if alone is not None:
            self._under_way.update(dict.fromkeys(new, alone))
        for asked in dict.fromkeys(self._under_way[tokens] for tokens in wanted if tokens in self._under_way):
            asked.waiting.append(waiting)
        waiting.take({tokens: self._known[tokens] for tokens in wanted if tokens in self._known})
        return alone

    def _answered(self, alone: _Alone, scores: Mapping[Tokens, Scores]) -> None:
        """Remember what is known now (nothing, where it failed)."""
        for tokens in alone.sequences:
            del self._under_way[tokens]
        if len(self._known) + len(scores) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(scores)


class _Waiting:
    """Somebody who waits for the scores of some sequences."""

    __slots__ = ("_found", "_hand_over", "_sequences", "failed")

    def __init__(
        self, sequences: Sequence[Tokens], found: Callable[[list[Scores]], None], failed: Callable[[SglcError], None]
    ) -> None:
        self._sequences = sequences
        self._found: dict[Tokens, Scores] = {}
        self._hand_over = found
        self.failed = failed

    def take(self, scores: Mapping[Tokens, Scores]) -> None:
        """Take scores as they come, and hand them over with the last."""
        self._found.update(scores)
        if all(tokens in self._found for tokens in self._sequences):
            self._hand_over([self._found[tokens] for tokens in self._sequences])


class _Alone(Asking):
    """Sequences on their way to be scored without a prompt, and those who wait for that."""

    __slots__ = ("_answered", "_tree", "sequences", "waiting")

    def __init__(
        self,
        sequences: Sequence[Tokens],
        origin: Origin,
        answered: Callable[[_Alone, Mapping[Tokens, Scores]], None],
    ) -> None:
        super().__init__(origin, self._fail, None)
        self.sequences = sequences
        self.waiting: list[_Waiting] = []
        self._answered = answered
        self._tree = ChoiceTree(Prompt(started=True), sequences, [0] * len(sequences))

    def texts(self, tokenizer: Tokenizer) -> list[tuple[str, bool]]:
        """Return nothing: these are tokens already."""
        return []

    def requests(self, encoded: Sequence[Sequence[int]], engine: Engine, sink: Sink) -> Sequence[Request]:
        """Return the scorings."""
        self.sent = self._tree.requests(sink, self.origin)
        return self.sent

    def _finish(self, answers: list[Completion]) -> None:
        scores = dict(zip(self.sequences, self._tree.scores(answers), strict=True))
        self._answered(self, scores)
        for each in self.waiting:
            each.take(scores)

    def _fail(self, error: SglcError) -> None:
        self._answered(self, {})
        for each in self.waiting:
            each.failed(error)
