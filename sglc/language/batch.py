"""Running a program over rows: one, or many at a time in input order or as they finish."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any

from sglc.backend.collector import PATIENT_COLLECTOR
from sglc.errors import ProgramError
from sglc.ir.sampling import SamplingParams
from sglc.language.loop import ProgramLoop
from sglc.language.row import Row
from sglc.language.state import ProgramState

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.language.function import SglFunction
    from sglc.language.progress import RunProgress

DEFAULT_CONCURRENCY = 1024
"""Rows of a batch that are open at a time unless the caller says otherwise."""


def start_one(
    program: SglFunction,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    params: SamplingParams,
    engine: Engine,
    streamed: bool,
    eager: bool,
) -> Row:
    """Return a row whose body runs as soon as its loop is driven. Raises ProgramError for wrong arguments."""
    loop = ProgramLoop(engine)
    arguments = program.arguments(args, kwargs)
    row = Row(loop, program.func, arguments, params, 0, streamed)
    _start(program, row, arguments, eager or streamed)
    return row


def _start(program: SglFunction, row: Row, arguments: Mapping[str, Any], eager: bool) -> None:
    """Start a row: by a captured graph, or as Python."""
    variant = None if eager else program.variant(arguments, row.params)
    plan = variant.plan if variant is not None else None
    if variant is None or plan is None:
        row.loop.spawn(row)
    else:
        row.start_plan(plan, arguments, variant.watch(row.refuse) if plan.calls else variant.still_holds)


def finish_one(row: Row) -> None:
    """Drive a row to its end; raise its error if it has one."""
    try:
        row.loop.run_until(lambda: row.done)
    finally:
        row.loop.close()
    row.raise_for_error()


async def afinish_one(row: Row) -> ProgramState:
    """Drive a row to its end under asyncio; raise its error if it has one."""
    try:
        await row.loop.arun_until(lambda: row.done)
    finally:
        row.loop.close()
    row.raise_for_error()
    return row.state


class _Feed:
    """Opens rows of a batch as room comes free, and collects them as they finish."""

    def __init__(
        self,
        program: SglFunction,
        rows: Iterable[Any],
        params: SamplingParams,
        engine: Engine,
        concurrency: int,
        indices: Iterable[int] | None,
        rows_ready: Callable[[], bool] | None,
        eager: bool,
    ) -> None:
        self.loop = ProgramLoop(engine, self._collect)
        self.finished: list[ProgramState] = []
        self.failed = 0
        self._program = program
        self._numbers = iter(indices) if indices is not None else itertools.count()
        self._rows = iter(rows)
        self._params = params
        self._concurrency = max(1, concurrency)
        self._rows_ready = rows_ready
        self._eager = eager
        self._open = 0
        self._exhausted = False

    @property
    def over(self) -> bool:
        """Whether every row has finished."""
        return self._exhausted and self._open == 0

    def fill(self) -> None:
        """Open rows up to the bound, without waiting for a slow source while there is something to do."""
        while self._open < self._concurrency and not self._exhausted:
            if self._rows_ready is not None and (self._open or self.finished) and not self._rows_ready():
                return
            try:
                given = next(self._rows)
                index = next(self._numbers)
            except StopIteration:
                self._exhausted = True
                return
            self._open_row(given, index)

    def _open_row(self, given: Any, index: int) -> None:
        program = self._program
        error: Exception | None = None
        arguments: dict[str, Any] = {}
        try:
            if isinstance(given, Mapping):
                arguments = program.arguments((), given)
            elif isinstance(given, tuple | list):
                arguments = program.arguments(tuple(given), {})
            else:
                found = f"found a row of type {type(given).__name__}"
                error = ProgramError(f"{found}; wanted a dict or a tuple of arguments", program.location)
        except ProgramError as mismatch:
            error = ProgramError(f"row {index}: {mismatch.message}", mismatch.location or program.location)
        row = Row(self.loop, program.func, arguments, self._params, index, streamed=False)
        self._open += 1
        if error is not None:
            row.error, row.done = error, True
            self._collect(row)
        else:
            _start(program, row, arguments, self._eager)

    def _collect(self, row: Row) -> None:
        self._open -= 1
        self.failed += row.error is not None
        self.finished.append(row.state)

    def progress(self) -> bool:
        """Open new rows where others ended; return whether there is something to hand out, or nothing left."""
        self.fill()
        return bool(self.finished) or self.over

    def take(self) -> list[ProgramState]:
        """Return the states that finished since the last call."""
        taken, self.finished = self.finished, []
        return taken


def run_rows(
    program: SglFunction,
    rows: Iterable[Any],
    params: SamplingParams,
    engine: Engine,
    concurrency: int,
    *,
    ordered: bool,
    progress_bar: bool,
    indices: Iterable[int] | None,
    rows_ready: Callable[[], bool] | None,
    eager: bool,
) -> Iterator[ProgramState]:
    """Yield the states of all rows, in input order if asked. What is unfinished when dropped is withdrawn."""
    feed = _Feed(program, rows, params, engine, concurrency, indices, rows_ready, eager)
    bar = _progress(rows, engine) if progress_bar else None
    held: dict[int, ProgramState] = {}
    order: list[int] = []
    try:
        with PATIENT_COLLECTOR:
            if ordered:
                feed._numbers = _noted(feed._numbers, order)
            sent = 0
            while not feed.over:
                feed.fill()
                feed.loop.run_until(feed.progress)
                for state in feed.take():
                    if bar is not None:
                        bar.row_finished()
                    if not ordered:
                        yield state
                    else:
                        held[state.index] = state
                while ordered and sent < len(order) and order[sent] in held:
                    yield held.pop(order[sent])
                    sent += 1
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)
        feed.loop.close()


async def arun_rows(
    program: SglFunction,
    rows: Iterable[Any],
    params: SamplingParams,
    engine: Engine,
    concurrency: int,
    *,
    progress_bar: bool,
    eager: bool,
) -> AsyncIterator[ProgramState]:
    """Yield the states of all rows as they finish, under asyncio."""
    feed = _Feed(program, rows, params, engine, concurrency, None, None, eager)
    bar = _progress(rows, engine) if progress_bar else None
    try:
        with PATIENT_COLLECTOR:
            while not feed.over:
                feed.fill()
                await feed.loop.arun_until(feed.progress)
                for state in feed.take():
                    if bar is not None:
                        bar.row_finished()
                    yield state
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)
        feed.loop.close()


def _progress(rows: Iterable[Any], engine: Engine) -> RunProgress:
    """Return a running display of rows and tokens."""
    from sglc.language.progress import RunProgress

    total = len(rows) if isinstance(rows, Sized) else None
    return RunProgress(total, lambda: engine.counters.decoded).__enter__()


def _noted(numbers: Iterator[int], order: list[int]) -> Iterator[int]:
    """Yield row numbers, noting the order in which they were handed out."""
    for number in numbers:
        order.append(number)
        yield number
