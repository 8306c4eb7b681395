"""Host code in a program: the user's functions, run in threads while programs go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from sglc.backend.inbox import Inbox

POOL_THREADS = 32
"""Host functions that run at the same time, over all programs."""


QUICK_SECONDS = 0.005
"""The engine waits so long for a call before its next step: what comes of a quick one rides with it."""


class CallOutcome(NamedTuple):
    """What a function returned, or the exception it raised."""

    value: Any
    error: BaseException | None = None

    def result(self) -> Any:
        """Return the value or raise the exception."""
        if self.error is not None:
            raise self.error
        return self.value


class HostCalls(Protocol):
    """Who is told of the calls that programs make on an engine, and may know what comes of them."""

    def known(self, row: int, number: int) -> CallOutcome | None:
        """Return what comes of a row's call, which are counted from 0; None for one that is to be made."""

    def note(self, row: int, number: int, outcome: CallOutcome, seconds: float) -> None:
        """Learn what came of a call, and how long it took."""


class HostCall:
    """A call on its way through the thread pool."""

    __slots__ = ("_done", "cancelled")
    answered = True

    def __init__(self, done: Callable[[CallOutcome], None]) -> None:
        self._done = done
        self.cancelled = False

    @property
    def sent(self) -> tuple[HostCall]:
        """What was asked for: the call itself."""
        return (self,)

    def start(
        self, inbox: Inbox, context: Context, fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Run `fn(*args, **kwargs)` on a thread of the pool, in `context`; its outcome arrives in `inbox`."""

        def work() -> None:
            try:
                outcome = CallOutcome(context.run(fn, *args, **kwargs))
            except BaseException as error:
                outcome = CallOutcome(None, error)
            inbox.put([(self, outcome)])

        _pool().submit(work)

    def deliver(self, asked: HostCall, outcome: CallOutcome) -> None:
        """Take what the function returned or raised."""
        self._done(outcome)

    def cancel(self) -> None:
        """Forget the outcome; the function itself can't be stopped."""
        self.cancelled = True


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="sglc-call")
