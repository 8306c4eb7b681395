"""Running programs on a model while what it says, and what host code returns, is noted on a tape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from sglc.backend.context_hashes import ContextHashes, Hashes
from sglc.backend.host_call import QUICK_SECONDS, CallOutcome
from sglc.backend.step import Draws, Ints, Logits, Model, Step, TopLogprobs
from sglc.backend.tape import Tape, draw_keys

if TYPE_CHECKING:
    from sglc.backend.engine import Engine


@contextmanager
def recorded(engine: Engine, tape: Tape) -> Iterator[Engine]:
    """Give an engine like this one, with an empty cache, whose runs are noted on a tape. This one rests meanwhile."""
    tape.memo = engine.tokenizer.memo.copy()
    engine.flush_cache()
    with closing(engine.twin(_RecordedModel(engine.model, tape), engine.tokenizer)) as recorder:
        recorder.calls = RecordedCalls(tape)
        yield recorder


class RecordedCalls:
    """Notes what host code returns."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def known(self, row: int, number: int) -> CallOutcome | None:
        """Return nothing: every call is made."""
        return None

    def note(self, row: int, number: int, outcome: CallOutcome, seconds: float) -> None:
        """Take the outcome of a row's call, counted from 0, and how long it took."""
        self._tape.calls[row, number] = outcome
        self._tape.slow += seconds > QUICK_SECONDS


class _RecordedModel:
    """A model whose answers are noted."""

    def __init__(self, model: Model, tape: Tape) -> None:
        self.vocab_size = model.vocab_size
        self.max_length = model.max_length
        self.eos_ids = model.eos_ids
        self.fingerprint = model.fingerprint
        self._model = model
        self._tape = tape
        self._contexts = ContextHashes()

    def allocate(self, slots: int) -> None:
        """Make room for KV in the model, and here for the contexts that it belongs to."""
        self._model.allocate(slots)
        self._contexts.allocate(slots)

    def forward(self, step: Step) -> Logits:
        """Return the model's logits, which are noted as they are used."""
        logits = self._model.forward(step)
        contexts = self._contexts.of(step)
        for row, reason in logits.refused.items():
            self._tape.refused[int(contexts[row])] = str(reason)
        return _RecordedLogits(logits, contexts, self._tape)


class _RecordedLogits:
    def __init__(self, logits: Logits, contexts: Hashes, tape: Tape) -> None:
        self._logits = logits
        self._contexts = contexts
        self._tape = tape
        self.refused = logits.refused

    def draw(self, draws: Draws) -> Ints:
        tokens = self._logits.draw(draws)
        tape = self._tape
        for place, key, greedy in draw_keys(draws, self._contexts, tokens):
            token = tape.draws[key] = tokens.item(place)
            if greedy is not None:
                tape.greedy.setdefault(greedy, token)
        return tokens

    def logprobs(self, rows: Ints, token_ids: Ints, top: int) -> TopLogprobs:
        found = self._logits.logprobs(rows, token_ids, top)
        tape, contexts = self._tape, self._contexts[rows].tolist()
        tape.logprobs.update(zip(zip(contexts, token_ids.tolist(), strict=True), found.chosen.tolist(), strict=True))
        if top:
            for context, ids, logprobs in zip(contexts, found.top_ids, found.top_logprobs, strict=True):
                known = tape.tops.get(context)
                if known is None or len(known[0]) < top:
                    tape.tops[context] = ids, logprobs
        return found
