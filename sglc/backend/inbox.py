"""Where a program loop hears from other threads. It knows nothing of the loop, so it keeps none alive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

Arrival = tuple[Any, Any]
"""(what was asked for, what came of it): a request and an event, or a host call and its outcome."""


class Inbox:
    """A queue of arrivals; `notify`, where set, is called after each."""

    __slots__ = ("_queue", "notify")

    def __init__(self) -> None:
        self._queue: SimpleQueue[Sequence[Arrival]] = SimpleQueue()
        self.notify: Callable[[], None] | None = None

    def put(self, arrivals: Sequence[Arrival]) -> None:
        """Take arrivals, from any thread."""
        self._queue.put(arrivals)
        notify = self.notify
        if notify is not None:
            with suppress(RuntimeError):  # asyncio's loop was closed meanwhile: nobody is left to tell
                notify()

    def get(self) -> Sequence[Arrival]:
        """Return the next arrivals, waiting for them."""
        return self._queue.get()

    def __len__(self) -> int:
        """Return how many calls of `get` would not wait."""
        return self._queue.qsize()
