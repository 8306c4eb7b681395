"""The automata that lookarounds need: those that read along from the start, and those that a lookahead starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from sglc.automata.budget import Budget
from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.dfa_algebra import any_text, complement
from sglc.automata.positions import Left, Place, Promises
from sglc.automata.regular import Ahead, Behind, Look, Regular, minds_left

_Step = tuple[int, int, Left, Promises]  # first byte, last byte, what is known and what is promised after one of them
_Arrays = tuple[bytes, bytes, bytes]  # equal for equal languages


class Lookarounds:
    """The lookarounds of one language."""

    start: Left
    """The states of the lookbehinds' automata before the first byte."""

    def __init__(
        self,
        looks: Iterable[Look],
        compiled: Callable[[Regular], ByteDfa],
        rest: Callable[[Regular, Place], ByteDfa],
        budget: Budget,
    ) -> None:
        """Compile the lookbehinds. `rest` gives the automaton of a tree that is read from a place on."""
        self._rest = rest
        self._budget = budget
        self._before: list[ByteDfa] = []
        self._number_before: dict[int, int] = {}  # by the identity of the body
        same: dict[_Arrays, int] = {}
        for look in looks:
            if look.backward and id(look.body) not in self._number_before:
                dfa = compiled(look.body)
                self._number_before[id(look.body)] = number = same.setdefault(_arrays(dfa), len(self._before))
                self._before += [dfa] if number == len(self._before) else []
        self._ahead: list[ByteDfa] = []
        self._fulfilled: list[int] = []  # of each automaton ahead, the state that all texts may follow
        self._started: dict[tuple[int, bool, Behind, Left], tuple[int, int]] = {}
        self._same: dict[_Arrays, int] = {}
        self._steps: dict[tuple[Left, Promises], list[_Step]] = {}
        self.start = tuple(dfa.start for dfa in self._before)

    def passed(self, look: Look, place: Place) -> Promises | None:
        """Return the promises of a place once it has passed an assertion; None where that is impossible."""
        if look.backward:
            number = self._number_before[id(look.body)]
            holds = bool(self._before[number].final[place.left[number]])
            return place.promises if holds != look.negated else None
        number, state = self._start_ahead(look, place)
        if state == DEAD:
            return None
        return place.promises if state == self._fulfilled[number] else place.promises | {(number, state)}

    def kept(self, promises: Promises) -> bool:
        """Whether the text may end where it has these promises."""
        return all(self._ahead[number].final[state] for number, state in promises)

    def steps(self, left: Left, promises: Promises) -> list[_Step]:
        """Return what each byte leads to; the bytes that break a promise are left out."""
        key = left, promises
        if key not in self._steps:
            self._steps[key] = list(self._work_out(left, promises))
        return self._steps[key]

    def _work_out(self, left: Left, promises: Promises) -> Iterable[_Step]:
        ahead = sorted(promises)
        rows = [dfa.table[state, dfa.classes] for dfa, state in zip(self._before, left, strict=True)]
        rows += [self._ahead[number].table[state, self._ahead[number].classes] for number, state in ahead]
        table = np.stack(rows)  # [automata, 256]
        cuts = [0, *(np.flatnonzero((table[:, 1:] != table[:, :-1]).any(axis=0)) + 1).tolist(), 256]
        for low, end in pairwise(cuts):
            states = table[:, low].tolist()
            after = [(number, state) for (number, _), state in zip(ahead, states[len(left) :], strict=True)]
            if all(state != DEAD for _, state in after):
                kept = frozenset((number, state) for number, state in after if state != self._fulfilled[number])
                yield low, end - 1, tuple(states[: len(left)]), kept

    def _start_ahead(self, look: Look, place: Place) -> tuple[int, int]:
        """Return the number and first state of the automaton that a lookahead starts at a place."""
        behind, left = (place.behind, place.left) if minds_left(look.body) else (Behind.ANYTHING, self.start)
        key = id(look.body), look.negated, behind, left
        if key not in self._started:
            dfa = self._rest(look.body, Place(0, behind, Ahead.ANYTHING, left))
            if look.negated:
                dfa = complement(dfa, self._budget)
            self._started[key] = self._number(dfa), dfa.start
        return self._started[key]

    def _number(self, dfa: ByteDfa) -> int:
        key = _arrays(dfa)
        if key not in self._same:
            self._same[key] = len(self._ahead)
            self._ahead.append(dfa)
            self._fulfilled.append(next((state for state in range(len(dfa)) if _allows_all(dfa, state)), DEAD))
        return self._same[key]


def _arrays(dfa: ByteDfa) -> _Arrays:
    return dfa.classes.tobytes(), dfa.table.tobytes(), dfa.final.tobytes()


def _allows_all(dfa: ByteDfa, state: int) -> bool:
    """Whether every text may follow a state."""
    text = any_text()
    pairs = {(state, text.start)}
    pending = list(pairs)
    for one, other in pending:
        if text.final[other] and not dfa.final[one]:
            return False
        after = set(zip(dfa.table[one, dfa.classes].tolist(), text.table[other, text.classes].tolist(), strict=True))
        new = {pair for pair in after if pair[1] != DEAD} - pairs
        pairs |= new
        pending += new
    return True
