"""How far a run is: a bar on a terminal, a plain line every few seconds elsewhere. Always on stderr."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

BAR_SECONDS = 0.25
LINE_SECONDS = 5.0


class Display(Protocol):
    """Something that shows how far a run is."""

    def show(self, rows: int, rate: str) -> None:
        """Show the rows finished so far, and the rates."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class RunProgress:
    """A context that shows the rows and tokens of a run while they come.

    `total` is the number of rows, None where it is not known; `tokens` returns the tokens generated so far. The
    display is refreshed by a thread of its own, so that a slow row shows too.
    """

    def __init__(self, total: int | None, tokens: Callable[[], int]) -> None:
        self._tokens = tokens
        self._rows = 0
        self._begun = time.perf_counter()
        self._done = threading.Event()
        console = Console(stderr=True)
        self._display: Display = _Bar(console, total) if console.is_terminal else _Lines(console, total)
        self._seconds = BAR_SECONDS if console.is_terminal else LINE_SECONDS
        self._ticker = threading.Thread(target=self._tick, name="sglc-progress", daemon=True)

    def row_finished(self) -> None:
        """Count one row."""
        self._rows += 1

    def __enter__(self) -> RunProgress:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._ticker.join()
        self._display.close()

    def _tick(self) -> None:
        """Refresh until the run is over."""
        while not self._done.wait(self._seconds):
            self._display.show(self._rows, self._rate())

    def _rate(self) -> str:
        """Return the rates since the start."""
        seconds = max(time.perf_counter() - self._begun, 1e-9)
        return f"{self._rows / seconds:,.1f} rows/s, {self._tokens() / seconds:,.0f} tokens/s"


class _Bar:
    """A bar that is redrawn in place and leaves no trace."""

    def __init__(self, console: Console, total: int | None) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._task = self._progress.add_task("rows", total=total, rate="")
        self._progress.start()

    def show(self, rows: int, rate: str) -> None:
        self._progress.update(self._task, completed=rows, rate=rate, refresh=True)

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """One line each time."""

    def __init__(self, console: Console, total: int | None) -> None:
        self._console = console
        self._of = "" if total is None else f" of {total}"

    def show(self, rows: int, rate: str) -> None:
        self._console.print(f"sglc: {rows}{self._of} rows, {rate}", highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        pass
