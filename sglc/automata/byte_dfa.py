"""A language as a minimal deterministic automaton over bytes, in the one form that equal languages share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

DEAD = 0
"""The state from which no member can be completed."""


@dataclass(frozen=True, slots=True, eq=False)
class ByteDfa:
    """States are numbers, breadth first from the start in the order of bytes; DEAD is not final and never left.

    Every other state can be reached and can reach a final one. Minimal, and byte classes are numbered by their first
    byte, so equal languages have equal arrays (`dfa_algebra.equivalent`). The empty language starts at DEAD.
    Arrays are read-only. `minimize.canonical` makes them.
    """

    classes: npt.NDArray[np.uint8]  # [256] byte → class
    table: npt.NDArray[np.int32]  # [states, classes] → state
    final: npt.NDArray[np.bool_]  # [states]
    start: int

    def __post_init__(self) -> None:
        for array in (self.classes, self.table, self.final):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.final)

    def walk(self, state: int, text: bytes) -> int:
        """Return the state after some bytes more."""
        for byte in text:
            state = int(self.table[state, self.classes[byte]])
        return state

    def accepts(self, text: bytes) -> bool:
        """Whether a text is a member."""
        return bool(self.final[self.walk(self.start, text)])

    def byte_table(self) -> npt.NDArray[np.int32]:
        """Return the states [states, 256] after each byte: four to fifty times the memory of `table`."""
        return self.table[:, self.classes]

    def edges(self, state: int) -> Iterator[tuple[int, int, int]]:
        """Yield the bytes that may follow a state: first byte, last byte, the live state that they lead to."""
        row = self.table[state, self.classes]
        cuts = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), 256]
        for low, end in pairwise(cuts):
            if row[low] != DEAD:
                yield low, end - 1, int(row[low])
