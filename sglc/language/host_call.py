"""Host code in a program: `sglc.call` runs a Python function while other programs go on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import Any, ParamSpec, TypeVar

from sglc.language.future import Future
from sglc.language.row import current_state

P = ParamSpec("P")
R = TypeVar("R")

POOL_THREADS = 32
"""Host functions that run at the same time, over all programs."""


class HostCall:
    """A call on its way through the thread pool."""

    __slots__ = ("cancelled", "future")
    answered = True

    def __init__(self) -> None:
        self.future = Future()
        self.cancelled = False

    @property
    def sent(self) -> tuple[HostCall]:
        """What was asked for: the call itself."""
        return (self,)

    def deliver(self, asked: HostCall, outcome: tuple[Any, BaseException | None]) -> None:
        """Take what the function returned or raised."""
        result, error = outcome
        if error is not None:
            self.future.fail(error)
        else:
            self.future.set(result)

    def cancel(self) -> None:
        """Forget the outcome; the function itself can't be stopped."""
        self.cancelled = True


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="sglc-call")


def call(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return `fn(*args, **kwargs)`, computed in a thread while this program waits and the others go on.

    The function sees a copy of the program's context variables. What it raises is raised here. Outside a program
    this is a plain call.
    """
    state = current_state.get()
    if state is None or not state.row.loop.in_body:
        return fn(*args, **kwargs)
    loop = state.row.loop
    waiting = HostCall()
    inbox = loop.inbox
    loop.expect(waiting, waiting)
    context = copy_context()

    def work() -> None:
        try:
            outcome: tuple[Any, BaseException | None] = (context.run(fn, *args, **kwargs), None)
        except BaseException as error:
            outcome = (None, error)
        inbox.put([(waiting, outcome)])

    _pool().submit(work)
    loop.wait(waiting.future)
    result: R = waiting.future.result()
    return result
