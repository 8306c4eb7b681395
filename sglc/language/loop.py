"""The loop that programs run in: a coroutine a program, all on the caller's thread, the engine on its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from time import perf_counter
from typing import TYPE_CHECKING

from greenlet import GreenletExit, getcurrent, greenlet

from sglc.backend.collector import PATIENT_COLLECTOR
from sglc.backend.exchange import Exchange
from sglc.errors import Cancelled, ProgramError, caller_location
from sglc.language.future import Future

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.language.row import Row


_TURN_SECONDS = 0.05
"""How long bodies run before the driver is asked whether it has enough."""


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
        self.exchange = Exchange(engine)
        self._on_done = on_done
        self._ready: deque[greenlet | Callable[[], None]] = deque()
        self._suspended: set[greenlet] = set()
        self._watching: dict[greenlet, Callable[[], bool]] = {}
        self._thread = threading.get_ident()
        self._closed = False
        self._has_bodies = False  # which may take any time

    # For rows

    def spawn(self, row: Row, context: Context | None = None) -> None:
        """Start a row's body at the next turn, in `context`: by default a copy of the caller's."""
        body = _Body(row.run)
        body.loop = self
        body.gr_context = context if context is not None else copy_context()
        self._ready.append(body)
        self._has_bodies = True

    def start(self, run: Callable[[], None]) -> None:
        """Call `run`, which needs no body, at the next turn."""
        self._ready.append(run)

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

    @property
    def closed(self) -> bool:
        """Whether what is unfinished was withdrawn."""
        return self._closed

    # Driving

    def run_until(self, finished: Callable[[], bool]) -> None:
        """Run bodies and deliver events on this thread until `finished()`."""
        self._check_thread()
        exchange = self.exchange
        inbox = exchange.inbox
        try:
            with PATIENT_COLLECTOR:
                while True:
                    self._turn()
                    if finished():
                        return
                    self._check_open()
                    if not self._ready and not exchange.pending:
                        inbox.prompt = not self._has_bodies
                        exchange.deliver(inbox.get())
        finally:
            inbox.leave()

    async def arun_until(self, finished: Callable[[], bool]) -> None:
        """Run bodies and deliver events under asyncio until `finished()`."""
        self._check_thread()
        aio = asyncio.get_running_loop()
        arrived = asyncio.Event()
        inbox = self.exchange.inbox
        before = inbox.notify

        def notify() -> None:
            aio.call_soon_threadsafe(arrived.set)

        inbox.notify = notify
        try:
            with PATIENT_COLLECTOR:
                while True:
                    arrived.clear()
                    self._turn()
                    if finished():
                        return
                    self._check_open()
                    if self._ready:
                        await asyncio.sleep(0)
                    elif not len(inbox):
                        await arrived.wait()
        finally:
            inbox.notify = before

    def close(self) -> None:
        """Withdraw what is unfinished and end the bodies that wait for it; reading it raises Cancelled from now on."""
        if self._closed:
            return
        self._closed = True
        self.exchange.withdraw()
        for body in list(self._suspended):
            if not body.dead and threading.get_ident() == self._thread:
                body.parent = getcurrent()
                body.throw(GreenletExit)
        self._ready.clear()
        self.exchange.inbox.put([])  # whoever drives the loop may be waiting

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
        if self._ready or self.exchange.waiting or self.exchange.pending:
            return
        if self._closed:
            raise Cancelled("found a program that was closed before this was there; wanted it read to its end")
        raise ProgramError("found a program that waits for a value which nothing computes; wanted it computed first")

    def _turn(self) -> None:
        """Run every row that can go on, and send what they asked for, until nothing is left to do at once.

        Where host code takes long, stop after a while: the driver hands out what is finished, and comes back.
        """
        began = perf_counter()
        exchange, ready = self.exchange, self._ready
        exchange.drain()
        for body in [body for body, finished in self._watching.items() if finished()]:
            del self._watching[body]
            ready.append(body)
        while ready or exchange.pending:
            while ready:
                self._run(ready.popleft())
                if self._has_bodies and perf_counter() - began > _TURN_SECONDS:
                    break
            if exchange.pending:
                exchange.submit()
            if ready and self._has_bodies and perf_counter() - began > _TURN_SECONDS:
                return
        if exchange.dropped:
            exchange.drop_claims()

    def _run(self, runnable: greenlet | Callable[[], None]) -> None:
        if not isinstance(runnable, greenlet):
            runnable()
            return
        self._suspended.discard(runnable)
        if not runnable.dead:
            runnable.parent = getcurrent()
            runnable.switch()
