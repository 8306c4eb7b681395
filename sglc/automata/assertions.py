"""The live places of a language: anchors and lookarounds are resolved and dead ends removed, exactly.

What lies left of a place is known: each lookbehind has an automaton that reads the whole text along. What lies right is
promised: a lookahead starts an automaton that reads along from there and has to be in a final state where the text
ends. So an assertion may stand anywhere, in a loop too, and whoever makes the places deterministic needs not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from sglc.automata.budget import Budget, OverBudget
from sglc.automata.byte_dfa import ByteDfa
from sglc.automata.determinize import determinize
from sglc.automata.dfa_algebra import difference, intersection
from sglc.automata.lookaround import Lookarounds
from sglc.automata.nfa import Nfa, build_nfa
from sglc.automata.positions import Place, Positions
from sglc.automata.regular import Ahead, Behind, Both, Except, Look, Range, Regular, looks_in, without_outer_anchors
from sglc.errors import Unsupported

_NEWLINE = 10

_Where = TypeVar("_Where", Place, int)
_Reading = dict[_Where, list[tuple[int, int, _Where]]]
_Jumps = dict[_Where, list[_Where]]


def live_positions(tree: Regular, name: str, budget: Budget | None = None) -> Positions:
    """Return the live positions of a language, which errors call `name`; none for the empty language.

    Raises Unsupported where they, or the parts that have to be made deterministic, are beyond the budget.
    """
    budget = budget or Budget()
    try:
        return _positions(tree, name, budget)
    except OverBudget:
        raise Unsupported(
            f"{name}: found assertions or intersections beyond {budget.states:,} automaton states or "
            f"{budget.seconds:g} s; wanted smaller ones"
        ) from None


def _positions(tree: Regular, name: str, budget: Budget) -> Positions:
    def compiled(tree: Regular) -> ByteDfa:
        return determinize(_positions(tree, name, budget), budget)

    def combined(tree: Both | Except) -> ByteDfa:
        operation = intersection if isinstance(tree, Both) else difference
        return operation(compiled(tree.left), compiled(tree.right), budget)

    def rest(tree: Regular, start: Place) -> ByteDfa:
        nfa = built(tree)
        return determinize(_explored(nfa, start._replace(state=nfa.start), lookarounds, budget), budget)

    def built(tree: Regular) -> Nfa:
        return build_nfa(tree, name, combined)

    nfa = built(without_outer_anchors(tree))
    if not nfa.guards:
        return _unguarded(nfa)
    looks = [look for guard in nfa.guards.values() if isinstance(guard, Look) for look in looks_in(guard)]
    lookarounds = Lookarounds(looks, compiled, rest, budget)
    start = Place(nfa.start, Behind.TEXT_START, Ahead.ANYTHING, lookarounds.start)
    return _explored(nfa, start, lookarounds, budget)


def _unguarded(nfa: Nfa) -> Positions:
    """Return the live positions where nothing has to be known or promised: the states themselves."""
    reading, jumps = dict(enumerate(nfa.bytes)), dict(enumerate(nfa.jumps))
    return Positions(nfa.start, reading, jumps, _can_finish(reading, jumps, [nfa.accept]), [nfa.accept])


def _explored(nfa: Nfa, start: Place, lookarounds: Lookarounds, budget: Budget) -> Positions:
    reading, jumps = _explore(nfa, start, lookarounds, budget)
    ends = {place for place in reading if place.state == nfa.accept and lookarounds.kept(place.promises)}
    return Positions(start, reading, jumps, _can_finish(reading, jumps, ends), ends)


def _explore(nfa: Nfa, start: Place, lookarounds: Lookarounds, budget: Budget) -> tuple[_Reading[Place], _Jumps[Place]]:
    """Return the edges of all places that can be reached, those with a byte and those without."""
    reading: _Reading[Place] = {}
    jumps: _Jumps[Place] = {}
    minds_lines = nfa.minds_lines
    pending = [start]
    while pending:
        place = pending.pop()
        if place in reading:
            continue
        if place.promises:  # without them there are hardly more places than states of the NFA
            budget.check(len(reading))
        jumps[place] = list(_jumps_from(nfa, place, lookarounds))
        reading[place] = list(_reads_from(nfa, place, minds_lines, lookarounds))
        pending.extend(jumps[place])
        pending.extend(target for _, _, target in reading[place])
    return reading, jumps


def _jumps_from(nfa: Nfa, place: Place, lookarounds: Lookarounds) -> Iterator[Place]:
    _, behind, ahead, left, promises = place
    guard = nfa.guards.get(place.state)
    if isinstance(guard, Look):
        passed = lookarounds.passed(guard, place)
        if passed is None:
            return
        promises = passed
    elif guard is not None:
        if behind < guard.behind:
            return
        ahead = max(ahead, guard.ahead)
    for target in nfa.jumps[place.state]:
        yield Place(target, behind, ahead, left, promises)


def _reads_from(
    nfa: Nfa, place: Place, minds_lines: bool, lookarounds: Lookarounds
) -> Iterator[tuple[int, int, Place]]:
    """Yield the byte edges of a place that its promises allow."""
    for low, high, target, behind, ahead in _anchored_reads(nfa, place, minds_lines):
        if not place.left and not place.promises:
            yield low, high, Place(target, behind, ahead)
            continue
        for first, last, left, promises in lookarounds.steps(place.left, place.promises):
            if first <= high and low <= last:
                yield max(first, low), min(last, high), Place(target, behind, ahead, left, promises)


def _anchored_reads(nfa: Nfa, place: Place, minds_lines: bool) -> Iterator[tuple[int, int, int, Behind, Ahead]]:
    """Yield the byte edges that the anchors passed so far allow, apart for a newline where lines matter."""
    ahead = place.ahead
    for low, high, target in nfa.bytes[place.state]:
        newline = low <= _NEWLINE <= high
        if ahead is Ahead.ANYTHING and not (newline and minds_lines):
            yield low, high, target, Behind.ANYTHING, Ahead.ANYTHING
            continue
        if ahead is Ahead.ANYTHING:
            for first, last in _around_newline(low, high):
                yield first, last, target, Behind.ANYTHING, Ahead.ANYTHING
        if newline and ahead is not Ahead.NOTHING:
            behind = Behind.LINE_START if minds_lines else Behind.ANYTHING
            promise = Ahead.NOTHING if ahead is Ahead.LAST_LINE_END else Ahead.ANYTHING
            yield _NEWLINE, _NEWLINE, target, behind, promise


def _around_newline(low: int, high: int) -> Iterator[Range]:
    if low < _NEWLINE:
        yield low, _NEWLINE - 1
    if high > _NEWLINE:
        yield _NEWLINE + 1, high


def _can_finish(reading: _Reading[_Where], jumps: _Jumps[_Where], ends: Iterable[_Where]) -> set[_Where]:
    """Return the places from which an end can be reached, found backwards from the ends."""
    before: dict[_Where, list[_Where]] = {}
    for place, targets in jumps.items():
        for target in targets:
            before.setdefault(target, []).append(place)
    for place, edges in reading.items():
        for _, _, target in edges:
            before.setdefault(target, []).append(place)
    live: set[_Where] = set()
    pending = list(ends)
    while pending:
        place = pending.pop()
        if place not in live:
            live.add(place)
            pending.extend(before.get(place, ()))
    return live
