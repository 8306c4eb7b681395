"""A whole automaton met with a vocabulary, worked out ahead: which state each class of tokens leads to."""

from __future__ import annotations

from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from sglc.automata.byte_dfa import ByteDfa
from sglc.automata.byte_steps import DfaSteps
from sglc.automata.forced_tokens import ForcedTokens
from sglc.automata.mask_rows import MaskRows, packed
from sglc.automata.token_classes import NO_CLASS, TokenClasses, TooLarge, token_classes
from sglc.automata.token_distance import NEVER, token_distances
from sglc.automata.token_states import PackedRow
from sglc.automata.vocabulary import Vocabulary

MAX_ENTRIES = 16_000_000
"""States × classes of one table."""

Numbers = npt.NDArray[np.unsignedinteger]


class WholeTable:
    """`TokenStates` by look-up. Immutable but for caches; threads may share it.

    States with equal rows share one. The arrays are plain and read-only, so they may be mapped from a file.
    """

    class_of_token: Numbers  # [tokens]
    rows: Numbers  # [R, classes] → state, 0 for none
    row_of_state: Numbers  # [states]
    final: npt.NDArray[np.bool_]  # [states]

    def __init__(self, dfa: ByteDfa, vocabulary: Vocabulary) -> None:
        """Compile the table. Raises TooLarge beyond MAX_ENTRIES, or where it takes too many steps."""
        classes = token_classes(dfa, vocabulary)
        if len(dfa) * classes.count > MAX_ENTRIES:
            raise TooLarge
        self.start = dfa.start
        self.final = dfa.final
        self.class_of_token = _narrow(classes.of_token, classes.count)
        self.rows, self.row_of_state = _shared(_rows(classes, len(dfa)))
        self._mask_of_state = self._equal_masks()
        self._masks = MaskRows(vocabulary.width)
        self._width = vocabulary.width
        self._forced = ForcedTokens(DfaSteps(dfa), vocabulary)
        self._class_view = self.class_of_token.data
        views = [row.data for row in self.rows]
        self._view_of_state = [views[row] for row in self.row_of_state.tolist()]
        self._is_final: list[bool] = self.final.tolist()

    @property
    def nbytes(self) -> int:
        """The bytes of the tables of transitions and classes."""
        return self.class_of_token.nbytes + self.rows.nbytes + self.row_of_state.nbytes + self.final.nbytes

    def allowed(self, state: int) -> PackedRow:
        return self._masks.get(self._mask_of_state[state], partial(self._row, state, None))

    def is_final(self, state: int) -> bool:
        return self._is_final[state]

    def next(self, state: int, token: int) -> int | None:
        if not 0 <= token < len(self._class_view):
            return None
        return self._view_of_state[state][self._class_view[token]] or None

    def forced(self, state: int) -> bytes:
        return self._forced.forced(state)

    def draft(self, state: int) -> tuple[int, ...]:
        return self._forced.draft(state)

    def distance(self, state: int) -> int | None:
        """Return the fewest tokens that lead to a final state; None where no tokens do."""
        distance = int(self._distances[state])
        return None if distance == NEVER else distance

    def allowed_within(self, state: int, tokens: int) -> PackedRow:
        """Return the tokens after which the text can end with at most `tokens` tokens, this one included."""
        if self._farthest[state] < tokens:
            return self.allowed(state)
        return self._masks.get((state, tokens), partial(self._row, state, tokens))

    def _row(self, state: int, tokens: int | None) -> PackedRow:
        after = self.rows[self.row_of_state[state]]
        allowed = after != 0
        if tokens is not None:
            allowed &= self._distances[after] < tokens
        return packed(allowed[self.class_of_token], self._width)

    def _equal_masks(self) -> list[int]:
        """Return a number of each state that is the same for states that allow the same tokens."""
        numbers: dict[bytes, int] = {}
        bits = np.packbits(self.rows != 0, axis=1)
        of_row = [numbers.setdefault(row.tobytes(), len(numbers)) for row in bits]
        return [of_row[row] for row in self.row_of_state.tolist()]

    @cached_property
    def _distances(self) -> npt.NDArray[np.int32]:
        return token_distances(self.rows, self.row_of_state, self.final)

    @cached_property
    def _farthest(self) -> list[int]:
        """Of each state, the greatest distance of the states that its tokens lead to."""
        known = self._distances.copy()
        known[0] = 0
        of_row = [int(known[row].max(initial=0)) for row in self.rows]
        return [of_row[row] for row in self.row_of_state.tolist()]


def _rows(classes: TokenClasses, states: int) -> Numbers:
    """Return the state that each class leads to from each state [states, classes]."""
    rows: Numbers = np.zeros((states, classes.count + 1), dtype=np.min_scalar_type(states))
    rows[classes.step_from, classes.step_class] = classes.step_to
    assert not rows[:, NO_CLASS].any()
    return rows


def _shared(rows: Numbers) -> tuple[Numbers, Numbers]:
    """Return the distinct rows, in the order they are met, and the number of each row among them."""
    numbers: dict[bytes, int] = {}
    number_of_row = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], dtype=np.int64)
    _, first = np.unique(number_of_row, return_index=True)
    distinct = rows[first]
    distinct.flags.writeable = False
    return distinct, _narrow(number_of_row, len(first))


def _narrow(numbers: npt.NDArray[np.int64], most: int) -> Numbers:
    """Return numbers up to `most` in as few bytes as hold them."""
    narrow: Numbers = numbers.astype(np.min_scalar_type(most))
    narrow.flags.writeable = False
    return narrow
