"""A language as a deterministic automaton over bytes, worked out state by state as texts reach them."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from sglc.automata.positions import START, Positions

State = frozenset[int]
"""The live positions a text is at; empty where no member begins with the text."""

DEAD = 0
"""Index of the empty state, which every byte keeps."""


class ByteAutomaton:
    """The subset construction, done lazily: states get an index when met and a row of 256 when first left.

    Indices last until `forget`; states (sets of positions) last for ever. Not safe for several threads at once.
    """

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self.start: State = positions.entered_by([START])
        self.forget()

    def forget(self) -> None:
        """Drop all rows and indices, to give back their memory."""
        self._states: list[State] = [frozenset()]
        self._index: dict[State, int] = {frozenset(): DEAD}
        self._known = np.zeros(64, dtype=np.bool_)  # [capacity], rows that are worked out
        self._table = np.zeros((64, 256), dtype=np.int32)  # [capacity, byte] → index
        self._known[DEAD] = True

    def __len__(self) -> int:
        return len(self._states)

    def accepts(self, state: State) -> bool:
        """Whether a text that leads to this state is a member."""
        return not self._positions.final.isdisjoint(state)

    def index(self, state: State) -> int:
        """Return the number of a state in the rows of `step_all`."""
        number = self._index.get(state)
        if number is None:
            number = self._index[state] = len(self._states)
            self._states.append(state)
            if number == len(self._known):
                self._known = np.concatenate([self._known, np.zeros_like(self._known)])
                self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        return number

    def walk(self, state: State, text: bytes) -> State:
        """Return the state after some bytes more."""
        number = self.index(state)
        for byte in text:
            if not self._known[number]:
                self._work_out(number)
            number = int(self._table[number, byte])
        return self._states[number]

    def step_all(self, numbers: npt.NDArray[np.int32], text: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Return the indices [N] of the states after states `numbers` [N] and one byte more each, `text` [N]."""
        for number in np.unique(numbers[~self._known[numbers]]):
            self._work_out(int(number))
        return self._table[numbers, text]

    def _work_out(self, number: int) -> None:
        """Fill the row of a state: cut the bytes where an edge begins or ends, and unite the edges over each piece."""
        edges = {edge for position in self._states[number] for edge in self._positions.edges[position]}
        cuts = sorted({low for low, _, _ in edges} | {high + 1 for _, high, _ in edges})
        targets: list[set[int]] = [set() for _ in cuts]
        for low, high, entry in edges:
            for piece in range(bisect_left(cuts, low), bisect_left(cuts, high + 1)):
                targets[piece].add(entry)
        for piece, entries in enumerate(targets[:-1]):
            if entries:
                after = self.index(self._positions.entered_by(entries))
                self._table[number, cuts[piece] : cuts[piece + 1]] = after
        self._known[number] = True
