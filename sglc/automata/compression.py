"""Maximal runs of forced bytes as one edge: what a language decides without asking the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.dfa_facts import FREE, forced_bytes
from sglc.automata.regular import Range


@dataclass(frozen=True, slots=True, eq=False)
class ForcedRuns:
    """Of each state the run of bytes that has to follow. A run stops where the text may end or go on in several ways.

    Arrays are read-only.
    """

    first: npt.NDArray[np.int16]  # [states] the first byte of the run, FREE where there is none
    after: npt.NDArray[np.int32]  # [states] the state after the first byte, the state itself where there is none
    end: npt.NDArray[np.int32]  # [states] the state behind the run
    length: npt.NDArray[np.int32]  # [states] bytes of the run

    def __post_init__(self) -> None:
        for array in (self.first, self.after, self.end, self.length):
            array.flags.writeable = False

    def run(self, state: int) -> bytes:
        """Return the bytes that have to follow a state."""
        text = bytearray()
        for _ in range(int(self.length[state])):
            text.append(int(self.first[state]))
            state = int(self.after[state])
        return bytes(text)


@dataclass(frozen=True, slots=True)
class Edge:
    """One way on from a state: any byte of `first`, and then the bytes that have to follow."""

    source: int
    first: tuple[Range, ...]
    run: bytes
    target: int


def forced_runs(dfa: ByteDfa) -> ForcedRuns:
    """Return the runs of all states, found by doubling: log₂ of the longest run steps over all states."""
    first = forced_bytes(dfa)
    is_forced = first != FREE
    states = np.arange(len(dfa), dtype=np.int32)
    after = np.where(is_forced, dfa.table[states, dfa.classes[np.where(is_forced, first, 0)]], states).astype(np.int32)
    end, length = after, is_forced.astype(np.int32)
    while is_forced[end].any():  # a run never closes a circle: every state can reach an end
        length = length + length[end]
        end = end[end]
    return ForcedRuns(first, after, end, length)


def compressed_edges(dfa: ByteDfa) -> Iterator[Edge]:
    """Yield the edges between the start, the states where a run stops, and those alone; by source, then first byte."""
    if dfa.start == DEAD:
        return
    runs = forced_runs(dfa)
    seen, pending = {dfa.start}, [dfa.start]
    for source in pending:
        ways: dict[int, list[Range]] = {}
        for low, high, target in dfa.edges(source):
            ways.setdefault(target, []).append((low, high))
        for target, first in ways.items():
            edge = Edge(source, tuple(first), runs.run(target), int(runs.end[target]))
            yield edge
            if edge.target not in seen:
                seen.add(edge.target)
                pending.append(edge.target)
