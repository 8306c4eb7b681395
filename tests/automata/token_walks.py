"""The plain way to what token tables say: every byte of every token, one automaton state at a time."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import numpy.typing as npt

from sglc.automata.automaton import Automaton
from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.token_table import TokenTable


class EveryToken:
    """All tokens of a vocabulary, to be walked side by side; empty ones lead nowhere."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        lengths = np.array([len(token) for token in tokens])
        self._order = np.argsort(-lengths, kind="stable")
        self._empty = lengths == 0
        text = np.frombuffer(b"".join(tokens[token] for token in self._order), dtype=np.uint8)
        lengths = lengths[self._order]
        starts = np.cumsum(lengths) - lengths
        longer = [int((lengths > place).sum()) for place in range(int(lengths.max(initial=0)))]
        self._bytes = [text[starts[:count] + place] for place, count in enumerate(longer)]

    def after(self, dfa: ByteDfa, state: int) -> npt.NDArray[np.int64]:
        """Return the state after each token."""
        table = dfa.byte_table()
        states = np.full(len(self._order), state)
        for column in self._bytes:
            states[: len(column)] = table[states[: len(column)], column]
        result = np.empty_like(states)
        result[self._order] = states
        result[self._empty] = DEAD
        return result


def unpacked(table: TokenTable, state: object) -> npt.NDArray[np.bool_]:
    """Return a row as booleans [width]."""
    row = table.allowed(state)
    width = table.vocabulary.width
    assert row.dtype == np.uint8 and len(row) == -(-width // 8) and not row.flags.writeable
    bits = np.unpackbits(row, bitorder="little").astype(np.bool_)
    assert not bits[width:].any()
    return bits[:width]


def reachable_states(table: TokenTable, random: Random, count: int) -> list[object]:
    """Return up to `count` states that random walks of the table come by, the start first."""
    found: dict[object, None] = {table.start: None}
    for _ in range(10):
        state: object = table.start
        for _ in range(count):
            tokens = np.flatnonzero(unpacked(table, state))
            if len(found) >= count or not len(tokens):
                break
            state = table.next(state, int(random.choice(tokens)))
            assert state is not None
            found[state] = None
    return list(found)[:count]


def differences(automaton: Automaton, table: TokenTable, every: EveryToken, state: int, random: Random) -> int:
    """Return for how many tokens the table's row, or the state it leads to, is not that of a plain walk."""
    dfa = automaton.dfa
    assert dfa is not None
    wanted = every.after(dfa, state)
    allowed = unpacked(table, state)
    wrong = int((allowed[: len(wanted)] != (wanted != DEAD)).sum()) + int(allowed[len(wanted) :].sum())
    alive = np.flatnonzero(wanted != DEAD).tolist()
    if table.whole is not None:
        rows, classes = table.whole.rows, table.whole.class_of_token
        wrong += int((rows[table.whole.row_of_state[state]][classes] != wanted).sum())
    for token in [*random.choices(range(len(wanted)), k=20), *random.sample(alive, min(20, len(alive)))]:
        wrong += table.next(state, token) != (int(wanted[token]) or None)
    return wrong + (table.is_final(state) != dfa.final[state])
