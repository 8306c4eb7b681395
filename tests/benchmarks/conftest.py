"""Tests of benchmarks run without any peer, even where one is installed: it takes a minute to load."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the folder of peers be an empty one; return it."""
    monkeypatch.setenv("SGLC_BENCHMARK_PEERS", str(tmp_path / "peers"))
    monkeypatch.delenv("SGLC_BENCHMARK_INSTALL", raising=False)
    return tmp_path / "peers"
