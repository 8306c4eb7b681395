"""The places an automaton can be at with hope, and how a text moves between them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sglc.automata.nfa import ByteEdge
from sglc.automata.regular import Ahead, Behind

START = 0
"""The entry that a text begins at."""

Left = tuple[int, ...]
"""Of each lookbehind, the state of the automaton that reads the text along."""

Promises = frozenset[tuple[int, int]]
"""Automata that lookaheads have started, by number, and their states: each has to be in a final one at the end."""


class Place(NamedTuple):
    """A state of the NFA, and what the assertions passed so far know of the text left of it and demand of the rest."""

    state: int
    behind: Behind
    ahead: Ahead
    left: Left = ()
    promises: Promises = frozenset()


class Positions:
    """The live positions of a language. A position is a number; from each one some member can still be completed.

    A text is at several positions at once: before its first byte at all those behind the entry START, after a byte at
    all those behind the entries that edges with this byte lead to. Immutable.
    """

    __slots__ = ("_entries", "_jumps", "_numbers", "edges", "final", "is_empty")

    edges: list[tuple[ByteEdge, ...]]
    """Of each position: first byte, last byte, the entry that they lead to."""

    final: frozenset[int]
    """The positions where the text may end."""

    is_empty: bool
    """Whether no text at all is a member."""

    def __init__(
        self,
        start: Hashable,
        reading: Mapping[Any, Sequence[tuple[int, int, Any]]],
        jumps: Mapping[Any, Sequence[Any]],
        live: Collection[Any],
        ends: Collection[Any],
    ) -> None:
        """Number the live ones of all places, which read bytes, move without one (`jumps`) or may end the text.

        A place is anything that can be a key: a `Place`, or the mere state of an NFA without assertions.
        """
        kept = [place for place in reading if place in live and (reading[place] or place in ends)]
        self.is_empty = start not in live
        entries = {start: START}
        self.edges = []
        for place in kept:
            edges = reading[place]  # an edge to a dead place leads to no position: `entered_by` leaves it out
            self.edges.append(tuple((low, high, entries.setdefault(end, len(entries))) for low, high, end in edges))
        self.final = frozenset(number for number, place in enumerate(kept) if place in ends)
        self._numbers = {place: number for number, place in enumerate(kept)}
        self._entries = list(entries)
        self._jumps = jumps

    def entered_by(self, entries: Iterable[int]) -> frozenset[int]:
        """Return all positions that one can be at after entering by some entries."""
        reached: set[Hashable] = set()
        pending = [self._entries[entry] for entry in entries]
        while pending:
            place = pending.pop()
            if place not in reached:
                reached.add(place)
                pending.extend(self._jumps[place])
        return frozenset(self._numbers[place] for place in reached if place in self._numbers)

    def after(self, state: Iterable[int], byte: int) -> frozenset[int]:
        """Return the positions that a byte leads to from some; none where no member goes on with it."""
        return self.entered_by(
            entry for position in state for low, high, entry in self.edges[position] if low <= byte <= high
        )
