"""A value that a program may read before it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sglc.errors import UnknownVariable

if TYPE_CHECKING:
    from sglc.backend.decoding import Decoded
    from sglc.backend.scoring import Scored


class Future:
    """Set once, to a value or an error. Belongs to one program loop; not for use across threads."""

    __slots__ = ("_callbacks", "_meta", "_value", "answer", "done", "error", "live", "seen")

    def __init__(self) -> None:
        self.done = False
        self.error: BaseException | None = None
        self.seen = False  # whether the error was raised to somebody
        self.answer: Decoded | Scored | None = None  # what the value is the text of
        self.live = ""  # text so far, where it is streamed
        self._meta: dict[str, Any] | None = None
        self._value: Any = None
        self._callbacks: list[Callable[[], None]] | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of a generation or choice so far; {} for other values."""
        if self.answer is not None:
            return self.answer.meta
        if self._meta is None:
            self._meta = {}
        return self._meta

    @meta.setter
    def meta(self, meta: dict[str, Any]) -> None:
        self._meta = meta

    @property
    def finish(self) -> str | None:
        """Why a generation has ended: stop or length; None for other values."""
        return self.answer.finish if self.answer is not None else None

    def set_answer(self, answer: Decoded | Scored) -> None:
        """Fulfil with what came of a generation or choice."""
        self.answer = answer
        self.live = answer.text
        self.set(answer.value)

    def set(self, value: Any) -> None:
        """Fulfil with a value."""
        self._value = value
        self._settle()

    def fail(self, error: BaseException) -> None:
        """Fulfil with an error, unless fulfilled already."""
        if not self.done:
            self.error = error
            self._settle()

    def result(self) -> Any:
        """Return the value or raise the error; only once `done`."""
        if self.error is not None:
            self.seen = True
            raise self.error
        return self._value

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back once fulfilled; at once if it is."""
        if self.done:
            callback()
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def _settle(self) -> None:
        self.done = True
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()


def settled(value: Any) -> Future:
    """Return a future that has its value."""
    future = Future()
    future.set(value)
    return future


def gathered(futures: list[Future]) -> Future:
    """Return a future of the list of the values, or of the first error."""
    whole = Future()
    missing = len(futures)

    def one_done() -> None:
        nonlocal missing
        missing -= 1
        if missing == 0:
            failed = next((f for f in futures if f.error is not None), None)
            if failed is not None and failed.error is not None:
                failed.seen = True
                whole.fail(failed.error)
            else:
                whole.set([f.result() for f in futures])

    for future in futures:
        future.when_done(one_done)
    return whole


def unknown_variable(name: str, known: list[str]) -> UnknownVariable:
    """Return the error for a name that nothing has set."""
    listed = ", ".join(repr(k) for k in known) if known else "none"
    return UnknownVariable(f"found no variable {name!r}; variables set so far: {listed}")
