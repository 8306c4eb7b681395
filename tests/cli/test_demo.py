"""`sglc demo` shows results and costs, and says that its model knows nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sglc.commands.demo import demo, make_random_checkpoint
from sglc.commands.demo_programs import DEMOS

MOST_SECONDS = 60


def test_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    assert demo() == 0
    seconds = time.perf_counter() - began
    shown = capsys.readouterr().out
    assert "random weights" in shown
    assert "\x1b" not in shown  # no terminal, no colours
    for program, rows in DEMOS:
        assert f"{program.name}: {len(rows)} rows in" in shown
    assert shown.count("forward_passes") == len(DEMOS)
    assert seconds < MOST_SECONDS


def test_the_checkpoint_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make_random_checkpoint(tmp_path / name)
    names = {file.name for file in (tmp_path / "one").iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json"}
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
