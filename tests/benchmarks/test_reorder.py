"""A small version of the benchmark of unordered sections: its figures mean what their names say, and meet the bars."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import reorder
from benchmarks.registry import Options
from benchmarks.workloads import tables, tools


def test_reorder_meets_its_bars_beside_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGLC_TEST_DATA", raising=False)
    figures = reorder.run(Options(quick=True)).figures
    for name in tables.TABLES:
        assert figures[f"hits_vs_ggr_{name}"] >= 1
        assert figures[f"hits_{name}"] >= figures[f"hits_written_{name}"]
    assert figures["exact_mismatches"] == 0
    assert figures["bfcl_ideal_ratio"] == figures["bfcl_filled"] / figures["bfcl_filled_question_first"] < 0.8
    assert figures["bfcl_filled_after_neighbours"] >= figures["bfcl_filled"]


def test_tools_are_those_recorded(test_data: Path) -> None:
    rows = tools.rows()
    assert len(rows) == 1053
    assert sum(map(len, rows)) - len(rows) == 4178
    assert rows[1][0].startswith("You are an agent that is used for ordering food")
    assert rows[0][2].startswith('{"name": "ChaDri.change_drink", "description": "Modifies the existing drink order')


def test_tables_have_eight_columns_and_their_dependencies() -> None:
    for name in tables.TABLES:
        rows = tables.table(name, 500)
        assert {len(row) for row in rows} == {8} and len(rows) == 500
        assert rows == tables.table(name, 500) != tables.table(name, 500, seed=2)
    movies = tables.table("movies", 500)
    info_of = {row[7]: row[3] for row in movies}
    assert all(info_of[row[7]] == row[3] for row in movies)
    assert len(info_of) <= 20
