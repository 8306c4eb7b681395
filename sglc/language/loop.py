"""The loop that programs run in: a coroutine a program, all on the caller's thread, the engine on its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

from sglc.errors import ProgramError, SglcError, caller_location
from sglc.language.future import Future
from sglc.language.statements import Pending, cancel

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.request import Event, Request
    from sglc.language.row import Row


class Target(Protocol):
    """What events from other threads are for."""

    @property
    def answered(self) -> bool:
        """Whether no event is to come."""

    def deliver(self, request: Any, event: Any) -> None:
        """Act on an event, on the loop's thread."""


Arrivals = Sequence[tuple[Target, tuple[Any, Any]]]


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
        self.pending: list[Pending] = []
        self._on_done = on_done
        self._inbox: SimpleQueue[Arrivals] = SimpleQueue()
        self._ready: deque[greenlet] = deque()
        self._suspended: set[greenlet] = set()
        self._in_flight: set[Pending] = set()
        self._notify: Callable[[], None] | None = None
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
        body = getcurrent()
        if not isinstance(body, _Body) or body.loop is not self:
            self.run_until(lambda: future.done)
            return
        future.when_done(lambda: self._ready.append(body))
        self._suspended.add(body)
        while not future.done:
            assert body.parent is not None
            body.parent.switch()
            if self._closed:
                raise GreenletExit

    def row_done(self, row: Row) -> None:
        """Tell whoever asked that a row is done."""
        if self._on_done is not None:
            self._on_done(row)

    @property
    def in_body(self) -> bool:
        """Whether the current greenlet is the body of one of this loop's rows."""
        body = getcurrent()
        return isinstance(body, _Body) and body.loop is self

    # For other threads

    def sink(self, events: Sequence[tuple[Request, Event]]) -> None:
        """Take events from the engine's thread."""
        self.post([(request.tag, (request, event)) for request, event in events])

    def post(self, arrivals: Arrivals) -> None:
        """Take (target, (request, event)) pairs to be delivered on the loop's thread."""
        self._inbox.put(arrivals)
        notify = self._notify
        if notify is not None:
            with suppress(RuntimeError):  # asyncio's loop was closed meanwhile: nobody is left to tell
                notify()

    # Driving

    def run_until(self, finished: Callable[[], bool]) -> None:
        """Run bodies and deliver events on this thread until `finished()`."""
        self._check_thread()
        while True:
            self._turn()
            if finished():
                return
            if not self._ready:
                self._deliver(self._inbox.get())

    async def arun_until(self, finished: Callable[[], bool]) -> None:
        """Run bodies and deliver events under asyncio until `finished()`."""
        self._check_thread()
        aio = asyncio.get_running_loop()
        arrived = asyncio.Event()
        before = self._notify

        def notify() -> None:
            aio.call_soon_threadsafe(arrived.set)

        self._notify = notify
        try:
            while True:
                arrived.clear()
                self._drain()
                self._turn()
                if finished():
                    return
                if not self._ready and self._inbox.empty():
                    await arrived.wait()
        finally:
            self._notify = before

    def close(self) -> None:
        """Withdraw what is unfinished and end the bodies that wait for it."""
        if self._closed:
            return
        self._closed = True
        for pending in [*self._in_flight, *self.pending]:
            cancel(pending)
        self._in_flight.clear()
        self.pending.clear()
        for body in list(self._suspended):
            if not body.dead and threading.get_ident() == self._thread:
                body.parent = getcurrent()
                body.throw(GreenletExit)

    def __del__(self) -> None:
        for pending in self._in_flight:
            for request in pending.sent:
                request.cancelled = True

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise ProgramError(
                "found a program read on another thread; wanted the thread that started it", caller_location()
            )

    def _turn(self) -> None:
        """Run every body that can go on, and send what they asked for, until nothing is left to do at once."""
        self._drain()
        while self._ready or self.pending:
            while self._ready:
                body = self._ready.popleft()
                self._suspended.discard(body)
                if not body.dead:
                    body.parent = getcurrent()
                    body.switch()
            if self.pending:
                self._submit()

    def _drain(self) -> None:
        with suppress(Empty):
            while True:
                self._deliver(self._inbox.get_nowait())

    def _deliver(self, arrivals: Arrivals) -> None:
        for target, (request, event) in arrivals:
            target.deliver(request, event)
            if target.answered:
                self._in_flight.discard(target)

    def _submit(self) -> None:
        """Tokenize the prompts of all pending statements in one call, and hand their requests to the engine."""
        pending, self.pending = self.pending, []
        tokenizer = self.engine.tokenizer
        before = tokenizer.calls
        texts = [statement.texts() for statement in pending]
        flat = [text for group in texts for text in group]
        encoded = tokenizer.encode_batch([t for t, _ in flat], [s for _, s in flat]) if flat else []
        requests: list[Request] = []
        at = 0
        for statement, group in zip(pending, texts, strict=True):
            mine = encoded[at : at + len(group)]
            at += len(group)
            try:
                requests += statement.requests(mine)
                self._in_flight.add(statement)
            except SglcError as error:
                statement.fail(error)
                statement.state.poison(error)
        self.engine.counters.tokenizer_calls += tokenizer.calls - before
        if requests:
            self.engine.submit(requests)
