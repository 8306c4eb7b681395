"""A model without weights that goes on as long as it may: what a run costs if every output has its full length."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from sglc.backend.context_hashes import ContextHashes, Hashes
from sglc.backend.host_call import CallOutcome
from sglc.backend.replay_logits import mix
from sglc.backend.step import Draws, Ints, Logits, Step, TopLogprobs
from sglc.errors import EngineError

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.tokenizer import Tokenizer

_MOST_PLAIN = 4096


class LongestModel:
    """Says words, by a hash of the context and the draw: never the end of text, nor one of the characters to `avoid`.

    Where a constraint leaves only some tokens, it says one of these, the end only if there is nothing else.
    """

    kv_bytes_per_token = 8

    def __init__(self, tokenizer: Tokenizer, avoid: Collection[str] = (), max_length: int = 1 << 20) -> None:
        """`avoid` are texts that outputs should not have in them, such as stops."""
        self.vocab_size = tokenizer.vocab_size
        self.max_length = max_length
        self.eos_ids = tokenizer.eos_ids
        self.fingerprint = f"longest:{tokenizer.fingerprint}"
        self.words = _words(tokenizer, frozenset("".join(avoid)))
        self._contexts = ContextHashes()

    def allocate(self, slots: int) -> None:
        """Make room for the contexts of `slots` slots."""
        self._contexts.allocate(slots)

    def forward(self, step: Step) -> Logits:
        """Return logits that hardly exist."""
        return _LongestLogits(self, self._contexts.of(step))


class _LongestLogits:
    def __init__(self, model: LongestModel, contexts: Hashes) -> None:
        self._model = model
        self._contexts = contexts
        self.refused: dict[int, Exception] = {}

    def draw(self, draws: Draws) -> Ints:
        model, words = self._model, self._model.words
        spread = np.where(draws.temperatures == 0, 0.0, draws.uniforms) * 2.0**53
        seeds = mix(self._contexts[draws.rows] ^ spread.astype(np.uint64))
        tokens = words[(seeds % np.uint64(len(words))).astype(np.int64)]
        for place, edits in draws.edits.items():
            if edits.allowed is not None:
                allowed = np.flatnonzero(edits.allowed)
                going_on = allowed[~np.isin(allowed, [*model.eos_ids, *edits.forbidden])]
                among = going_on if len(going_on) else allowed
                tokens[place] = among[int(seeds[place]) % len(among)]
        return tokens

    def logprobs(self, rows: Ints, token_ids: Ints, top: int) -> TopLogprobs:
        seeds = mix(self._contexts[rows] ^ token_ids.astype(np.uint64))
        chosen = -1.0 - (seeds >> np.uint64(11)).astype(np.float64) * 2.0**-53
        ids = np.tile(np.arange(top, dtype=np.int64), (len(rows), 1))
        return TopLogprobs(chosen, ids, np.full((len(rows), top), -1.0))


class _NoCalls:
    """Host code that is not run: whoever calls it hears so."""

    def known(self, row: int, number: int) -> CallOutcome:
        """Return an error."""
        return CallOutcome(None, EngineError("found a call of host code; wanted none where a run is only foretold"))

    def note(self, row: int, number: int, outcome: CallOutcome, seconds: float) -> None:
        """Nothing is noted."""


@contextmanager
def at_full_length(engine: Engine, avoid: Collection[str] = ()) -> Iterator[Engine]:
    """Give an engine like this one, with an empty cache, whose outputs are as long as they may be."""
    model = LongestModel(engine.tokenizer, avoid, engine.model.max_length)
    tokenizer = engine.tokenizer
    with closing(engine.twin(model, tokenizer.with_memo(tokenizer.memo.copy()))) as longest:
        longest.calls = _NoCalls()
        yield longest


def _words(tokenizer: Tokenizer, avoided: frozenset[str]) -> Ints:
    """Return tokens that are words; without the avoided characters, if there are any such."""
    texts = [(i, data.decode()) for i, data in enumerate(tokenizer.token_bytes) if data and data.isascii()]
    words = [(i, text) for i, text in texts if text.strip().isalpha() and i not in tokenizer.eos_ids]
    chosen = [i for i, text in words if not avoided.intersection(text)] or [i for i, _ in words or texts]
    return np.array(chosen[:_MOST_PLAIN], np.int64)
