"""The attention benchmark runs small, and says what it compares."""

from __future__ import annotations

from benchmarks.registry import Options, find


def test_attention_is_timed_on_both_sides() -> None:
    figures = find("attention")(Options(quick=True, runs=1)).figures
    assert {"shared_speedup", "unshared_time", "ms_shared", "ms_unshared", "ms_grouped"} <= figures.keys()
    assert all(value > 0 for value in figures.values())
