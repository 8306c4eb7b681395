"""Where a program loop hears from other threads. It knows nothing of the loop, so it keeps none alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Condition, Lock
from typing import Any

from sglc.backend.host_call import QUICK_SECONDS

Arrival = tuple[Any, Any]
"""(what was asked for, what came of it): a request and an event, or a host call and its outcome."""

_MOST_SECONDS = 1.0


class Inbox:
    """A queue of arrivals; `notify`, where set, is called after each.

    `prompt` says that whoever reads it acts on arrivals at once, and then comes back for more: the engine may wait for
    what comes of them (`wait_until_read`). `calls` is how many host calls are under way, of which a quick one returns
    before the engine goes on.
    """

    __slots__ = ("__weakref__", "_arrivals", "_changed", "_patient", "_waiting", "calls", "notify", "prompt")

    def __init__(self) -> None:
        self._arrivals: deque[Sequence[Arrival]] = deque()
        self._changed = Condition(Lock())
        self._waiting = False
        self._patient = True
        self.notify: Callable[[], None] | None = None
        self.prompt = False
        self.calls = 0

    def put(self, arrivals: Sequence[Arrival]) -> None:
        """Take arrivals, from any thread."""
        with self._changed:
            self._arrivals.append(arrivals)
            self._changed.notify_all()
        notify = self.notify
        if notify is not None:
            with suppress(RuntimeError):  # asyncio's loop was closed meanwhile: nobody is left to tell
                notify()

    def get(self) -> Sequence[Arrival]:
        """Return the next arrivals, waiting for them."""
        with self._changed:
            if not self._arrivals:
                self._waiting = True
                self._changed.notify_all()
                while not self._arrivals:
                    self._changed.wait()
                self._waiting = False
            return self._arrivals.popleft()

    def leave(self) -> None:
        """Say that nobody reads it for the time being."""
        with self._changed:
            self.prompt = False
            self._changed.notify_all()

    def wait_until_read(self) -> None:
        """Return when the reader waits for more; at once where there is no prompt one, and after a second anyway.

        Where it waits for host calls, so does this, but not for long, and no more once that was too short.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self.prompt or (self._waiting and not self._arrivals), _MOST_SECONDS)
            if self._patient and self.prompt and self.calls:
                self._patient = self._changed.wait_for(
                    lambda: not self.prompt or (self._waiting and not self._arrivals and not self.calls), QUICK_SECONDS
                )

    def __len__(self) -> int:
        """Return how many calls of `get` would not wait."""
        return len(self._arrivals)
