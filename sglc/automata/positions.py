"""The places an automaton can be at with hope: assertions are resolved and dead ends removed, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sglc.automata.nfa import ByteEdge, Nfa, build_nfa
from sglc.automata.regular import Ahead, Behind, Range, Regular
from sglc.errors import ProgramError

START = 0
"""The entry that a text begins at."""

_NEWLINE = 10

_Place = tuple[int, Behind, Ahead]  # a state of the NFA, what went before it, what has been promised to follow
_Reading = dict[_Place, list[tuple[int, int, _Place]]]
_Jumps = dict[_Place, list[_Place]]


class Positions:
    """The live positions of a language. A position is a number; from each one some member can still be completed.

    A text is at several positions at once: before its first byte at all those behind the entry START, after a byte at
    all those behind the entries that edges with this byte lead to. Immutable.
    """

    edges: list[tuple[ByteEdge, ...]]
    """Of each position: first byte, last byte, the entry that they lead to."""

    final: frozenset[int]
    """The positions where the text may end."""

    def __init__(self, nfa: Nfa, reading: _Reading, jumps: _Jumps, live: set[_Place]) -> None:
        kept = [place for place in reading if place in live and (reading[place] or place[0] == nfa.accept)]
        entries = {_start(nfa): START}
        self.edges = []
        for place in kept:
            edges = reading[place]  # an edge to a dead place leads to no position: `entered_by` leaves it out
            self.edges.append(tuple((low, high, entries.setdefault(end, len(entries))) for low, high, end in edges))
        self.final = frozenset(number for number, place in enumerate(kept) if place[0] == nfa.accept)
        self._numbers = {place: number for number, place in enumerate(kept)}
        self._entries = list(entries)
        self._jumps = jumps

    def entered_by(self, entries: Iterable[int]) -> frozenset[int]:
        """Return all positions that one can be at after entering by some entries."""
        reached = _closure((self._entries[entry] for entry in entries), self._jumps)
        return frozenset(self._numbers[place] for place in reached if place in self._numbers)


def live_positions(tree: Regular, name: str) -> Positions:
    """Return the live positions of a language, which errors call `name`.

    Raises ProgramError for the empty language, Unsupported for one with too many states.
    """
    nfa = build_nfa(tree, name)
    reading, jumps = _explore(nfa)
    live = _can_finish(nfa, reading, jumps)
    if _start(nfa) not in live:
        raise ProgramError(f"{name}: found a language without any text; wanted one that some text belongs to")
    return Positions(nfa, reading, jumps, live)


def _start(nfa: Nfa) -> _Place:
    return nfa.start, Behind.TEXT_START, Ahead.ANYTHING


def _explore(nfa: Nfa) -> tuple[_Reading, _Jumps]:
    """Return the edges of all places that can be reached, those with a byte and those without."""
    reading: _Reading = {}
    jumps: _Jumps = {}
    minds_lines = nfa.minds_lines
    pending = [_start(nfa)]
    while pending:
        place = pending.pop()
        if place in reading:
            continue
        jumps[place] = list(_jumps_from(nfa, place))
        reading[place] = list(_reads_from(nfa, place, minds_lines))
        pending.extend(jumps[place])
        pending.extend(target for _, _, target in reading[place])
    return reading, jumps


def _jumps_from(nfa: Nfa, place: _Place) -> Iterator[_Place]:
    state, behind, ahead = place
    guard = nfa.guards.get(state)
    if guard is not None:
        if behind < guard.behind:
            return
        ahead = max(ahead, guard.ahead)
    for target in nfa.jumps[state]:
        yield target, behind, ahead


def _reads_from(nfa: Nfa, place: _Place, minds_lines: bool) -> Iterator[tuple[int, int, _Place]]:
    """Yield the byte edges of a place that its promise allows, apart for a newline where lines matter."""
    state, _, ahead = place
    for low, high, target in nfa.bytes[state]:
        newline = low <= _NEWLINE <= high
        if ahead is Ahead.ANYTHING and not (newline and minds_lines):
            yield low, high, (target, Behind.ANYTHING, Ahead.ANYTHING)
            continue
        if ahead is Ahead.ANYTHING:
            for first, last in _around_newline(low, high):
                yield first, last, (target, Behind.ANYTHING, Ahead.ANYTHING)
        if newline and ahead is not Ahead.NOTHING:
            behind = Behind.LINE_START if minds_lines else Behind.ANYTHING
            promise = Ahead.NOTHING if ahead is Ahead.LAST_LINE_END else Ahead.ANYTHING
            yield _NEWLINE, _NEWLINE, (target, behind, promise)


def _around_newline(low: int, high: int) -> Iterator[Range]:
    if low < _NEWLINE:
        yield low, _NEWLINE - 1
    if high > _NEWLINE:
        yield _NEWLINE + 1, high


def _can_finish(nfa: Nfa, reading: _Reading, jumps: _Jumps) -> set[_Place]:
    """Return the places from which the accepting state can be reached, found backwards from it."""
    before: dict[_Place, list[_Place]] = {}
    for place, targets in jumps.items():
        for target in targets:
            before.setdefault(target, []).append(place)
    for place, edges in reading.items():
        for _, _, target in edges:
            before.setdefault(target, []).append(place)
    live: set[_Place] = set()
    pending = [place for place in reading if place[0] == nfa.accept]
    while pending:
        place = pending.pop()
        if place not in live:
            live.add(place)
            pending.extend(before.get(place, ()))
    return live


def _closure(places: Iterable[_Place], jumps: _Jumps) -> set[_Place]:
    """Return the places that can be reached from some without reading a byte, themselves included."""
    reached: set[_Place] = set()
    pending = list(places)
    while pending:
        place = pending.pop()
        if place not in reached:
            reached.add(place)
            pending.extend(jumps[place])
    return reached
