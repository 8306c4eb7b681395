"""Running programs again by a tape: no model, no host code, the same scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from sglc.backend.context_hashes import ContextHashes, Hashes
from sglc.backend.host_call import CallOutcome
from sglc.backend.step import Draws, Ints, Logits, Model, Step, TopLogprobs
from sglc.backend.tape import Tape, draw_keys
from sglc.errors import EngineError

if TYPE_CHECKING:
    from sglc.backend.engine import Engine


class OffTape(EngineError):
    """Something that was not asked when a tape was recorded."""


@contextmanager
def played(engine: Engine, tape: Tape) -> Iterator[Engine]:
    """Give an engine like this one, with an empty cache, that says what is on a tape.

    Raises OffTape once the run is over, if it has asked for anything else.
    """
    model, calls = TapeModel(engine.model, tape), PlayedCalls(tape)
    with closing(engine.twin(model, engine.tokenizer.with_memo(tape.memo.copy()))) as player:
        player.calls = calls
        yield player
    missing = model.missing or calls.missing
    if missing is not None:
        raise missing


class PlayedCalls:
    """Returns what host code has returned, and never runs it. `missing` is set once that is not on the tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.missing: OffTape | None = None

    def known(self, row: int, number: int) -> CallOutcome:
        """Return what came of a row's call."""
        found = self._tape.calls.get((row, number))
        if found is None:
            self.missing = OffTape(f"found call {number} of row {row}, which the recorded run did not make")
            return CallOutcome(None, self.missing)
        return found

    def note(self, row: int, number: int, outcome: CallOutcome, seconds: float) -> None:
        """Nothing is noted: it is known."""


class TapeModel:
    """A model without weights that says what is on a tape. `missing` is set once that does not say it."""

    def __init__(self, like: Model, tape: Tape) -> None:
        """`like` is the model that was recorded."""
        self.vocab_size = like.vocab_size
        self.max_length = like.max_length
        self.eos_ids = like.eos_ids
        self.fingerprint = f"tape:{like.fingerprint}"
        self.missing: OffTape | None = None
        self._tape = tape
        self._contexts = ContextHashes()

    def allocate(self, slots: int) -> None:
        """Make room for the contexts of `slots` slots."""
        self._contexts.allocate(slots)

    def forward(self, step: Step) -> Logits:
        """Return logits that the tape knows in part."""
        lengths = step.positions[step.logit_rows] + 1
        return _PlayedLogits(self, self._tape, self._contexts.of(step), lengths)


class _PlayedLogits:
    def __init__(self, model: TapeModel, tape: Tape, contexts: Hashes, lengths: Ints) -> None:
        self._model = model
        self._tape = tape
        self._contexts = contexts
        self._lengths = lengths
        refused = tape.refused
        self.refused: dict[int, Exception] = {}
        if refused:
            for row, context in enumerate(contexts.tolist()):
                if context in refused:
                    self.refused[row] = EngineError(refused[context])

    def draw(self, draws: Draws) -> Ints:
        tape = self._tape
        tokens = np.zeros(len(draws.rows), np.int64)
        for place, key, greedy in draw_keys(draws, self._contexts, tokens):
            token = tape.draws.get(key)
            if token is None and greedy is not None:
                token = tape.greedy.get(greedy)
            if token is None:
                raise self._unknown(int(draws.rows[place]), "draw")
            tokens[place] = token
        return tokens

    def logprobs(self, rows: Ints, token_ids: Ints, top: int) -> TopLogprobs:
        tape, contexts = self._tape, self._contexts[rows].tolist()
        chosen = np.empty(len(rows))
        top_ids = np.zeros((len(rows), top), np.int64)
        top_logprobs = np.full((len(rows), top), np.nan)  # who asks for fewer than others of its step, has fewer
        for place, (context, token) in enumerate(zip(contexts, token_ids.tolist(), strict=True)):
            logprob = tape.logprobs.get((context, token))
            if logprob is None:
                raise self._unknown(int(rows[place]), "log-probability")
            chosen[place] = logprob
            if top and context in tape.tops:
                ids, logprobs = tape.tops[context]
                count = min(top, len(ids))
                top_ids[place, :count], top_logprobs[place, :count] = ids[:count], logprobs[:count]
        return TopLogprobs(chosen, top_ids, top_logprobs)

    def _unknown(self, row: int, what: str) -> OffTape:
        found = f"found a {what} behind {self._lengths[row]} tokens that the recorded run did not ask for"
        self._model.missing = OffTape(f"{found}; wanted the same program, rows and sampling parameters")
        return self._model.missing
