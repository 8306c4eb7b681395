"""The loop that programs run in: a coroutine a program, all on the caller's thread, the engine on its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from queue import Empty
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

from sglc.errors import Cancelled, ProgramError, SglcError, caller_location
from sglc.language.asking import Asking
from sglc.language.future import Future
from sglc.language.inbox import Arrival, Inbox

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.request import Request
    from sglc.language.row import Row


_TURN_SECONDS = 0.05
"""How long bodies run before the driver is asked whether it has enough."""


class Target(Protocol):
    """What events from other threads are for."""

    @property
    def sent(self) -> Sequence[Any]:
        """What was asked for."""

    @property
    def answered(self) -> bool:
        """Whether no event is to come."""

    def deliver(self, asked: Any, event: Any) -> None:
        """Act on an event, on the loop's thread."""

    def cancel(self) -> None:
        """Withdraw what was asked for."""


class _Body(greenlet):  # type: ignore[misc]  # greenlet has no types
    """The coroutine of one row."""

    loop: ProgramLoop


class ProgramLoop:
    """Runs the bodies of rows until each waits for a value, sends what they asked for to the engine, and goes on.

    Bodies run wherever the loop is driven: inside `run_until` on a plain thread, inside `arun_until` under
    asyncio. A body that reads a value which is not there switches back to the driver; no thread waits.
    """

    def __init__(self, engine: Engine, on_done: Callable[[Row], None] | None = None) -> None:
        self.engine = engine
        self.pending: list[Asking] = []
        self._on_done = on_done
        self.inbox = Inbox()
        self._ready: deque[greenlet] = deque()
        self._suspended: set[greenlet] = set()
        self._watching: dict[greenlet, Callable[[], bool]] = {}
        self._in_flight: dict[Any, Target] = {}  # by what was asked for: a request or a host call
        self._thread = threading.get_ident()
        self._closed = False

    # For rows

    def spawn(self, row: Row) -> None:
        """Start a row's body at the next turn, in a copy of the caller's context."""
        body = _Body(row.run)
        body.loop = self
        body.gr_context = copy_context()
        self._ready.append(body)

    def wait(self, future: Future) -> None:
        """Return when `future` is done: suspend the body that asks, or run the loop if none does."""
        if not self.in_body:
            self.run_until(lambda: future.done)
            return
        body = getcurrent()
        future.when_done(lambda: self._ready.append(body))
        while not future.done:
            self._suspend(body)

    def wait_until(self, finished: Callable[[], bool]) -> None:
        """Return when `finished()`, which is asked after each delivery: suspend the body, or run the loop."""
        if not self.in_body:
            self.run_until(finished)
            return
        body = getcurrent()
        while not finished():
            self._watching[body] = finished
            self._suspend(body)

    def row_done(self, row: Row) -> None:
        """Tell whoever asked that a row is done."""
        if self._on_done is not None:
            self._on_done(row)

    @property
    def in_body(self) -> bool:
        """Whether the current greenlet is the body of one of this loop's rows."""
        body = getcurrent()
        return isinstance(body, _Body) and body.loop is self

    def expect(self, asked: Any, target: Target) -> None:
        """Deliver to `target` what will arrive for `asked`."""
        self._in_flight[asked] = target

    # Driving

    def run_until(self, finished: Callable[[], bool]) -> None:
        """Run bodies and deliver events on this thread until `finished()`."""
        self._check_thread()
        while True:
            self._turn()
            if finished():
                return
            self._check_open()
            if not self._ready:
                self._deliver(self.inbox.get())

    async def arun_until(self, finished: Callable[[], bool]) -> None:
        """Run bodies and deliver events under asyncio until `finished()`."""
        self._check_thread()
        aio = asyncio.get_running_loop()
        arrived = asyncio.Event()
        before = self.inbox.notify

        def notify() -> None:
            aio.call_soon_threadsafe(arrived.set)

        self.inbox.notify = notify
        try:
            while True:
                arrived.clear()
                self._drain()
                self._turn()
                if finished():
                    return
                self._check_open()
                if self._ready:
                    await asyncio.sleep(0)
                elif self.inbox.empty:
                    await arrived.wait()
        finally:
            self.inbox.notify = before

    def close(self) -> None:
        """Withdraw what is unfinished and end the bodies that wait for it; reading it raises Cancelled from now on."""
        if self._closed:
            return
        self._closed = True
        for target in [*self._in_flight.values(), *self.pending]:
            target.cancel()
        self._in_flight.clear()
        self.pending.clear()
        for body in list(self._suspended):
            if not body.dead and threading.get_ident() == self._thread:
                body.parent = getcurrent()
                body.throw(GreenletExit)
        self._ready.clear()
        self.inbox.put([])  # whoever drives the loop may be waiting

    def __del__(self) -> None:
        for asked in self._in_flight:
            asked.cancelled = True

    def _suspend(self, body: greenlet) -> None:
        """Switch to the driver until it switches back; never return once the loop is closed."""
        assert body.parent is not None
        self._suspended.add(body)
        body.parent.switch()
        if self._closed:
            raise GreenletExit

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise ProgramError(
                "found a program read on another thread; wanted the thread that started it", caller_location()
            )

    def _check_open(self) -> None:
        """Raise where waiting would never end: nothing is under way, or the loop is closed."""
        if self._ready or self._in_flight:
            return
        if self._closed:
            raise Cancelled("found a program that was closed before this was there; wanted it read to its end")
        raise ProgramError("found a program that waits for a value which nothing computes; wanted it computed first")

    def _turn(self) -> None:
        """Run every body that can go on, and send what they asked for, until nothing is left to do at once.

        Where host code takes long, stop after a while: the driver hands out what is finished, and comes back.
        """
        began = perf_counter()
        self._drain()
        for body in [body for body, finished in self._watching.items() if finished()]:
            del self._watching[body]
            self._ready.append(body)
        while self._ready or self.pending:
            while self._ready:
                body = self._ready.popleft()
                self._suspended.discard(body)
                if not body.dead:
                    body.parent = getcurrent()
                    body.switch()
                if perf_counter() - began > _TURN_SECONDS:
                    break
            if self.pending:
                self._submit()
            if self._ready and perf_counter() - began > _TURN_SECONDS:
                return

    def _drain(self) -> None:
        with suppress(Empty):
            while True:
                self._deliver(self.inbox.get_nowait())

    def _deliver(self, arrivals: Sequence[Arrival]) -> None:
        for asked, event in arrivals:
            target = self._in_flight.get(asked)
            if target is not None:
                target.deliver(asked, event)
                if target.answered:
                    for each in target.sent:
                        self._in_flight.pop(each, None)

    def _submit(self) -> None:
        """Tokenize the prompts of all pending statements in one call, and hand their requests to the engine."""
        pending, self.pending = self.pending, []
        tokenizer = self.engine.tokenizer
        before = tokenizer.calls
        requests: list[Request] = []
        for statement, encoded in zip(pending, self._encoded([s.texts() for s in pending]), strict=True):
            try:
                if isinstance(encoded, SglcError):
                    raise encoded
                sent = statement.requests(encoded)
                requests += sent
                self._in_flight.update(dict.fromkeys(sent, statement))
            except SglcError as unplaced:
                error = type(unplaced)(unplaced.message, unplaced.location or statement.location)
                statement.fail(error)
                statement.state.poison(error)
        self.engine.counters.tokenizer_calls += tokenizer.calls - before
        if requests:
            self.engine.submit(requests)

    def _encoded(self, groups: Sequence[Sequence[tuple[str, bool]]]) -> Iterator[list[list[int]] | SglcError]:
        """Yield the encodings of each group's texts, all made in one call; the error of a group that has one."""
        tokenizer = self.engine.tokenizer
        flat = [text for group in groups for text in group]
        try:
            encoded = iter(tokenizer.encode_batch([t for t, _ in flat], [s for _, s in flat]) if flat else [])
        except SglcError as error:
            if len(groups) == 1:
                yield error
            else:
                for group in groups:
                    yield from self._encoded([group])
            return
        for group in groups:
            yield [next(encoded) for _ in group]
