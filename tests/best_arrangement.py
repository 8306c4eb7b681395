"""The most that neighbouring rows can have in common at their beginnings, found by looking at every order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, permutations

import numpy as np


def shared_sections(rows: Iterable[Sequence[int]], lengths: Sequence[float]) -> float:
    """Return the length of the sections that each row begins with like the one before it."""
    return sum(lengths[section] for one, two in pairwise(rows) for section in one[: common_length(one, two)])


def common_length(one: Sequence[object], two: Sequence[object]) -> int:
    """Return how many items two sequences begin with are the same."""
    pairs = enumerate(zip(one, two, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(two)))


def best_of_all(rows: Sequence[Sequence[int]], lengths: Sequence[float]) -> float:
    """Return the most that rows can share, by every order of the rows and of each row's sections.

    The orders of a row are the states of a walk that visits each row once; for each set of rows that were visited, and
    each state to be in then, what was shared on the best way there is kept.
    """
    states = [(number, order) for number, row in enumerate(rows) for order in sorted(set(permutations(row)))]
    row_of = np.array([number for number, _ in states])
    share = np.array([[shared_sections((one, two), lengths) for _, two in states] for _, one in states])
    best = np.full((1 << len(rows), len(states)), -np.inf)
    for state, row in enumerate(row_of):
        best[1 << row, state] = 0
    for visited in range(1 << len(rows)):
        for row in range(len(rows)):
            if not visited >> row & 1:
                to = row_of == row
                arrived = (best[visited][:, None] + share[:, to]).max(0)
                best[visited | 1 << row, to] = np.maximum(best[visited | 1 << row, to], arrived)
    return float(best[-1].max(initial=0))
