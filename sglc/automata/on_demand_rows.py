"""An automaton met with a vocabulary row by row, where a whole table would be too large."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from threading import RLock

import numpy as np

from sglc.automata.byte_steps import ByteSteps, reached_below
from sglc.automata.forced_tokens import ForcedTokens
from sglc.automata.mask_rows import MaskRows, packed
from sglc.automata.token_states import PackedRow
from sglc.automata.vocabulary import Vocabulary
from sglc.automata.vocabulary_trie import ROOT


class OnDemandRows:
    """`TokenStates` by walking bytes: those of a token for the next state, those of all for a row.

    Threads may share it.
    """

    def __init__(self, steps: ByteSteps, vocabulary: Vocabulary) -> None:
        self.start = steps.start
        self._steps = steps
        self._vocabulary = vocabulary
        self._masks = MaskRows(vocabulary.width)
        self._forced = ForcedTokens(steps, vocabulary)
        self._lock = RLock()

    def allowed(self, state: Hashable) -> PackedRow:
        return self._masks.get(state, partial(self._row, state))

    def is_final(self, state: Hashable) -> bool:
        return self._steps.accepts(state)

    def next(self, state: Hashable, token: int) -> Hashable | None:
        text = self._vocabulary.tokens[token] if 0 <= token < len(self._vocabulary) else b""
        if not text:
            return None
        with self._lock:
            return self._steps.walk(state, text) or None

    def forced(self, state: Hashable) -> bytes:
        with self._lock:
            return self._forced.forced(state)

    def draft(self, state: Hashable) -> tuple[int, ...]:
        with self._lock:
            return self._forced.draft(state)

    def _row(self, state: Hashable) -> PackedRow:
        trie = self._vocabulary.trie
        reached = np.zeros(len(trie.children), dtype=np.bool_)
        with self._lock:
            self._steps.refresh()
            for nodes in reached_below(self._steps, state, trie, ROOT):
                reached[nodes] = True
        return packed(reached[self._vocabulary.node_of_token], self._vocabulary.width)
