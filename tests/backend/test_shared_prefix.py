"""Runs that rows have in common are found at every level of their prefix tree, and each is worth its while."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from sglc.backend.shared_prefix import MIN_POSITIONS, SharedRun, shared_runs
from sglc.backend.step import Ints


def random_tables(rng: np.random.Generator) -> list[Ints]:
    """Return tables that branch off earlier ones at random places."""
    free = iter(np.split(rng.permutation(20 * 400), 20))
    tables: list[Ints] = []
    for _ in range(int(rng.integers(2, 15))):
        parent = tables[rng.integers(len(tables))] if tables and rng.random() < 0.85 else np.zeros(0, dtype=np.int64)
        shared = len(parent) if rng.random() < 0.3 else int(rng.integers(len(parent) + 1))
        tables.append(np.concatenate([parent[:shared], next(free)[: rng.integers(1, 400)]]))
    return tables


def runs_by_row(runs: Sequence[SharedRun], rows: int) -> list[set[int]]:
    """Return the positions of each row that are in a run, having seen to it that none is in two."""
    covered: list[set[int]] = [set() for _ in range(rows)]
    for run in runs:
        for row in run.rows:
            assert covered[row].isdisjoint(range(run.start, run.stop))
            covered[row].update(range(run.start, run.stop))
    return covered


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("saved", [MIN_POSITIONS, 400])
def test_runs_are_what_they_claim_to_be(seed: int, saved: int) -> None:
    rng = np.random.default_rng(seed)
    tables = random_tables(rng)
    stops = [len(table) - int(rng.integers(2)) for table in tables]
    runs = shared_runs(tables, stops, saved)
    for run in runs:
        assert run.stop - run.start >= MIN_POSITIONS
        assert (len(run.rows) - 1) * (run.stop - run.start) >= saved
        first = tables[run.rows[0]][: run.stop]
        for row in run.rows:
            assert run.stop <= stops[row]
            assert np.array_equal(tables[row][: run.stop], first)
    for covered in runs_by_row(runs, len(tables)):
        assert covered == set(range(len(covered)))  # from the beginning on, without a gap


@pytest.mark.parametrize("seed", range(30))
def test_little_that_two_rows_share_is_read_twice(seed: int) -> None:
    tables = random_tables(np.random.default_rng(seed))
    runs = shared_runs(tables, [len(table) for table in tables], MIN_POSITIONS)
    covered = runs_by_row(runs, len(tables))
    for one, other in combinations(range(len(tables)), 2):
        length = min(len(tables[one]), len(tables[other]))
        differs = np.flatnonzero(tables[one][:length] != tables[other][:length])
        common = int(differs[0]) if len(differs) else length
        assert len(set(range(common)) - covered[one]) < MIN_POSITIONS


def test_a_short_common_start_joins_the_longer_runs_below_it() -> None:
    tables = [np.concatenate([[1], np.arange(b, b + 400), [5000 + i]]) for i, b in enumerate([10, 10, 1000, 1000])]
    runs = shared_runs(tables, [401] * 4, 256)
    assert sorted(runs, key=lambda run: run.rows) == [SharedRun((0, 1), 0, 401), SharedRun((2, 3), 0, 401)]


def test_rows_that_share_nothing_have_no_runs() -> None:
    assert shared_runs([np.arange(100), np.arange(100, 200)], [100, 100], 1) == []
    assert shared_runs([np.arange(100)], [100], 1) == []
