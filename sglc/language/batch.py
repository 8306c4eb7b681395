"""Running a program over rows: one, or many at a time in input order or as they finish."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any

from sglc.backend.collector import PATIENT_COLLECTOR
from sglc.ir.sampling import SamplingParams
from sglc.language.feed import Feed, prepare
from sglc.language.loop import ProgramLoop
from sglc.language.row import Row
from sglc.language.state import ProgramState

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.language.function import SglFunction
    from sglc.language.options import RunOptions
    from sglc.language.progress import RunProgress


def start_one(
    program: SglFunction,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    params: SamplingParams,
    engine: Engine,
    options: RunOptions,
    streamed: bool = False,
) -> Row:
    """Return a row whose body runs as soon as its loop is driven. Raises ProgramError for wrong arguments."""
    loop = ProgramLoop(engine)
    arguments = program.arguments(args, kwargs)
    row = Row(loop, program.func, arguments, params, 0, streamed, options)
    prepare(program, [row], options)
    row.begin()
    return row


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


def run_rows(
    program: SglFunction,
    rows: Iterable[Any],
    params: SamplingParams,
    engine: Engine,
    options: RunOptions,
    concurrency: int | None,
    *,
    ordered: bool,
    at_once: bool,
    progress_bar: bool,
    indices: Iterable[int] | None,
    rows_ready: Callable[[], bool] | None,
) -> Iterator[ProgramState]:
    """Yield the states of all rows, in input order if asked. What is unfinished when dropped is withdrawn.

    With `at_once` nothing is yielded before all rows have finished: nobody comes between.
    """
    bar = _progress(rows, engine) if progress_bar else None
    finished = bar.row_finished if bar is not None else None
    feed = Feed(program, rows, params, engine, options, concurrency, indices, rows_ready, finished)
    held: dict[int, Row] = {}
    try:
        with PATIENT_COLLECTOR:
            sent = 0
            while not feed.over:
                feed.fill()
                feed.loop.run_until(feed.all_done if at_once else feed.progress)
                for row in feed.take():
                    if not ordered:
                        yield row.state
                    else:
                        held[row.index] = row
                while ordered and sent < len(feed.order) and feed.order[sent] in held:
                    yield held.pop(feed.order[sent]).state
                    sent += 1
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)
        feed.close()


async def arun_rows(
    program: SglFunction,
    rows: Iterable[Any],
    params: SamplingParams,
    engine: Engine,
    options: RunOptions,
    concurrency: int | None,
    *,
    progress_bar: bool,
) -> AsyncIterator[ProgramState]:
    """Yield the states of all rows as they finish, under asyncio."""
    bar = _progress(rows, engine) if progress_bar else None
    finished = bar.row_finished if bar is not None else None
    feed = Feed(program, rows, params, engine, options, concurrency, row_finished=finished)
    try:
        with PATIENT_COLLECTOR:
            while not feed.over:
                feed.fill()
                await feed.loop.arun_until(feed.progress)
                for row in feed.take():
                    yield row.state
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)
        feed.close()


def _progress(rows: Iterable[Any], engine: Engine) -> RunProgress:
    """Return a running display of rows and tokens."""
    from sglc.language.progress import RunProgress

    total = len(rows) if isinstance(rows, Sized) else None
    return RunProgress(total, lambda: engine.counters.decoded).__enter__()
