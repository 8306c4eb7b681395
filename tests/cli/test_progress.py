"""How far a run is: a bar that leaves no trace on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import sys
import threading
import time

import pytest

from sglc.language import progress
from sglc.language.progress import RunProgress

RATE = re.compile(r"[\d,.]+ rows/s, [\d,]+ tokens/s")


def run_a_little(total: int | None) -> None:
    """Finish three rows, slowly enough to be seen."""
    with RunProgress(total, lambda: 30) as shown:
        for _ in range(3):
            shown.row_finished()
        time.sleep(0.1)


def run_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a little with a terminal as stderr and return what was written there."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.01)
    ours, theirs = pty.openpty()
    written = bytearray()

    def drain() -> None:
        # A terminal holds little: someone has to read it, or the writer waits. Its end is an error on Linux.
        with contextlib.suppress(OSError):
            while data := os.read(ours, 4096):
                written.extend(data)

    reader = threading.Thread(target=drain)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        run_a_little(10)
        monkeypatch.undo()
    reader.join(timeout=10)
    os.close(ours)
    return written.decode("utf-8")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written = run_on_a_terminal(monkeypatch)
    assert "3/10" in written
    assert RATE.search(written)
    assert "\x1b[3" in written
    assert "\x1b[2K" in written  # the line is wiped at the end


def test_no_colours_when_none_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    written = run_on_a_terminal(monkeypatch)
    assert "3/10" in written
    assert "\x1b[3" not in written


@pytest.mark.parametrize(("total", "of"), [(10, " of 10"), (None, "")])
def test_plain_lines_elsewhere(monkeypatch: pytest.MonkeyPatch, total: int | None, of: str) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.03)
    run_a_little(total)
    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    for line in lines:
        assert re.fullmatch(rf"sglc: 3{of} rows, {RATE.pattern}", line)
