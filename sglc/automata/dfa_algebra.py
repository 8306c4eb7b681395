"""Set operations and questions on minimal byte automata."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from sglc.automata.budget import Budget
from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.minimize import canonical
from sglc.automata.regular import MAX_CODE_POINT
from sglc.automata.utf8 import byte_sequences

_Bools = npt.NDArray[np.bool_]


def intersection(left: ByteDfa, right: ByteDfa, budget: Budget | None = None) -> ByteDfa:
    """Return the texts of both languages. Raises OverBudget, as all operations here."""
    return _product(left, right, np.logical_and, lambda one, other: one & other, budget)


def difference(left: ByteDfa, right: ByteDfa, budget: Budget | None = None) -> ByteDfa:
    """Return the texts of the left language that the right one lacks."""
    return _product(left, right, lambda one, other: one & ~other, lambda one, _: one, budget)


def union(left: ByteDfa, right: ByteDfa, budget: Budget | None = None) -> ByteDfa:
    """Return the texts of either language."""
    return _product(left, right, np.logical_or, lambda one, other: one | other, budget)


def complement(dfa: ByteDfa, budget: Budget | None = None) -> ByteDfa:
    """Return the texts (valid UTF-8) that a language lacks."""
    return difference(any_text(), dfa, budget)


@cache
def any_text() -> ByteDfa:
    """Return the language of all texts: whatever is valid UTF-8."""
    rows = [[0] * 256]
    numbers: dict[tuple[tuple[int, int], ...], int] = {(): 0}
    for sequence in byte_sequences(0, MAX_CODE_POINT):
        for cut in range(len(sequence)):
            rest = sequence[cut + 1 :]
            if rest not in numbers:
                numbers[rest] = len(rows)
                rows.append([0] * 256)
    dead = len(rows)
    rows = [[dead] * 256 for _ in range(dead + 1)]
    for sequence in byte_sequences(0, MAX_CODE_POINT):
        for cut, (low, high) in enumerate(sequence):
            source = numbers[sequence[cut:]] if cut else 0
            rows[source][low : high + 1] = [numbers[sequence[cut + 1 :]]] * (high + 1 - low)
    return canonical(range(256), rows, [True] + [False] * dead, 0, Budget())


def is_empty(dfa: ByteDfa) -> bool:
    """Whether a language has no member."""
    return dfa.start == DEAD


def equivalent(left: ByteDfa, right: ByteDfa) -> bool:
    """Whether two languages are the same: their canonical automata are."""
    return (
        left.start == right.start
        and np.array_equal(left.classes, right.classes)
        and np.array_equal(left.table, right.table)
        and np.array_equal(left.final, right.final)
    )


def contains(whole: ByteDfa, part: ByteDfa) -> bool:
    """Whether every member of `part` is a member of `whole`."""
    return is_empty(difference(part, whole))


def _product(
    left: ByteDfa,
    right: ByteDfa,
    is_final: Callable[[_Bools, _Bools], _Bools],
    is_live: Callable[[_Bools, _Bools], _Bools],
    budget: Budget | None,
) -> ByteDfa:
    """Return the automaton over the pairs that can be reached; those that are not live are one dead pair."""
    budget = budget or Budget()
    both, classes = np.unique(left.classes.astype(np.int64) * 256 + right.classes, return_inverse=True)
    left_table, right_table = left.table[:, both // 256].astype(np.int64), right.table[:, both % 256]
    width = len(right)
    pairs = [left.start * width + right.start]
    numbers = {pairs[0]: 0}
    rows: list[list[int]] = []
    while len(rows) < len(pairs):
        budget.check(len(pairs))
        one, other = np.divmod(np.array(pairs[len(rows) :]), width)
        ends_one, ends_other = left_table[one], right_table[other]
        targets = np.where(is_live(ends_one != DEAD, ends_other != DEAD), ends_one * width + ends_other, 0)
        for row in targets.tolist():
            for pair in row:
                if pair not in numbers:
                    numbers[pair] = len(pairs)
                    pairs.append(pair)
            rows.append([numbers[pair] for pair in row])
    one, other = np.divmod(np.array(pairs), width)
    return canonical(classes.tolist(), rows, is_final(left.final[one], right.final[other]).tolist(), 0, budget)
