"""The subset construction: the live positions of a language as a deterministic automaton."""

from __future__ import annotations

from collections.abc import Iterable

from sglc.automata.budget import Budget
from sglc.automata.byte_dfa import ByteDfa
from sglc.automata.minimize import canonical
from sglc.automata.positions import START, Positions

_ClassEdge = tuple[int, int]  # a set of byte classes as bits, the entry that they lead to
_State = frozenset[int]

_MAX_HELD = 4_000_000  # positions in all states together: about 300 MB


def determinize(positions: Positions, budget: Budget) -> ByteDfa:
    """Return the minimal automaton of a language. Raises OverBudget."""
    classes, edges = _over_classes(positions)
    classes_of = _ClassesOf(max(classes) + 1)
    states = [positions.entered_by([START])]
    numbers: dict[_State, int] = {states[0]: 0}
    after: dict[_State, int] = {}  # entries → the state behind them
    dead = _number(frozenset(), states, numbers)
    rows: list[list[int]] = []
    held = 0
    for state in states:
        held += len(state)
        budget.check(len(states) if held <= _MAX_HELD else budget.states + 1)
        row = [dead] * classes_of.width
        for bits, entries in _pieces(edge for position in state for edge in edges[position]):
            target = after.get(entries)
            if target is None:
                target = after[entries] = _number(positions.entered_by(entries), states, numbers)
            for number in classes_of[bits]:
                row[number] = target
        rows.append(row)
    return canonical(classes, rows, [not positions.final.isdisjoint(state) for state in states], 0, budget)


def _number(state: _State, states: list[_State], numbers: dict[_State, int]) -> int:
    number = numbers.setdefault(state, len(states))
    if number == len(states):
        states.append(state)
    return number


def _over_classes(positions: Positions) -> tuple[list[int], list[list[_ClassEdge]]]:
    """Return the class of each byte, cut wherever some edge begins or ends, and each position's edges over classes."""
    spans = {(low, high + 1) for edges in positions.edges for low, high, _ in edges}
    cuts = sorted({0, 256}.union(*spans))
    index = {cut: number for number, cut in enumerate(cuts)}
    classes = [number for number, cut in enumerate(cuts[1:]) for _ in range(cuts[number], cut)]
    bits = {(low, end): (1 << index[end]) - (1 << index[low]) for low, end in spans}
    return classes, [[(bits[low, high + 1], entry) for low, high, entry in edges] for edges in positions.edges]


def _pieces(edges: Iterable[_ClassEdge]) -> list[tuple[int, _State]]:
    """Return disjoint sets of classes, and for each the entries that all of its classes lead to."""
    merged: dict[int, int] = {}
    for bits, entry in edges:
        merged[entry] = merged.get(entry, 0) | bits
    pieces: list[tuple[int, _State]] = []
    for entry, rest in merged.items():
        alone = frozenset((entry,))
        for place, (bits, entries) in enumerate(pieces):
            if not rest:
                break
            shared = bits & rest
            if shared:
                rest ^= shared
                if shared == bits:
                    pieces[place] = (bits, entries | alone)
                else:
                    pieces[place] = (bits ^ shared, entries)
                    pieces.append((shared, entries | alone))
        if rest:
            pieces.append((rest, alone))
    return pieces


class _ClassesOf(dict[int, list[int]]):
    """Sets of classes as bits → their numbers, remembered."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def __missing__(self, bits: int) -> list[int]:
        numbers = self[bits] = [number for number in range(self.width) if bits >> number & 1]
        return numbers
