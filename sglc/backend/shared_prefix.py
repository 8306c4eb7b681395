"""Finds the runs of KV slots that several rows of a step begin with, so that each run is read once a group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sglc.backend.step import Ints

MIN_POSITIONS = 64
"""A shorter run is not worth a matrix product of its own."""

_FIRST_PROBE = 256  # positions compared at once; doubled while all rows agree


@dataclass(frozen=True, slots=True)
class SharedRun:
    """Positions start .. stop - 1, at the same slots in every one of `rows`."""

    rows: tuple[int, ...]
    start: int
    stop: int


def shared_runs(tables: Sequence[Ints], limits: Sequence[int], saved: int) -> list[SharedRun]:
    """Return disjoint runs worth sharing: the levels of the rows' prefix tree, short levels joined to those below.

    A run must spare `saved` reads of a position, over all rows of its group but the first. Row r takes part with the
    first limits[r] positions of tables[r], those that all of its queries see. Rows are compared by their slots. No
    position of a row is in two runs, nor does it have a gap before one.
    """
    runs: list[SharedRun] = []
    # A task: rows equal up to `known`, of which positions up to `start` are covered by runs already.
    tasks: list[tuple[list[int], int, int]] = [(list(range(len(tables))), 0, 0)]
    while tasks:
        rows, known, start = tasks.pop()
        for group in _groups(rows, known, tables, limits):
            stop = _common_length(group, known, tables, limits)
            worth = stop - start >= MIN_POSITIONS and (len(group) - 1) * (stop - start) >= saved
            if worth:
                runs.append(SharedRun(tuple(group), start, stop))
            tasks.append((group, stop, stop if worth else start))
    return runs


def _groups(rows: list[int], known: int, tables: Sequence[Ints], limits: Sequence[int]) -> Iterator[list[int]]:
    """Yield the groups of two and more rows that have the same slot at position `known`."""
    groups: dict[int, list[int]] = {}
    for row in rows:
        if limits[row] > known:
            groups.setdefault(int(tables[row][known]), []).append(row)
    return (group for group in groups.values() if len(group) > 1)


def _common_length(group: list[int], known: int, tables: Sequence[Ints], limits: Sequence[int]) -> int:
    """Return how many positions the group's rows have in common, given that they agree on the first `known`."""
    limit = min(limits[row] for row in group)
    probe = _FIRST_PROBE
    while known < limit:
        stop = min(limit, known + probe)
        slots = np.stack([tables[row][known:stop] for row in group])
        differs = (slots[1:] != slots[0]).any(axis=0)
        if differs.any():
            return known + int(differs.argmax())
        known, probe = stop, probe * 2
    return limit
