"""What programs of one loop have under way: questions for the engine and host calls, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from sglc.backend.asking import Asking
from sglc.backend.host_call import CallOutcome, HostCall
from sglc.backend.inbox import Arrival, Inbox
from sglc.errors import SglcError

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.backend.request import Request


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


class Exchange:
    """Gathers questions, hands them to the engine in one go, and brings back what comes of them.

    Belongs to one thread; only the inbox is written by others. Dropping it withdraws what is under way.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.pending: list[Asking] = []
        self.inbox = Inbox()
        self._sink = self.inbox.put
        self._in_flight: dict[Any, Target] = {}  # by what was asked for: a request or a host call

    @property
    def waiting(self) -> bool:
        """Whether something is to arrive."""
        return bool(self._in_flight)

    def call(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        context: Context,
        done: Callable[[CallOutcome], None],
    ) -> None:
        """Run a function on a thread of the pool; `done` gets its outcome on this one."""
        host_call = HostCall(done)
        self._in_flight[host_call] = host_call
        host_call.start(self.inbox, context, fn, args, kwargs)

    def submit(self) -> None:
        """Tokenize the prompts of all pending questions in one call, and hand their requests to the engine."""
        pending, self.pending = self.pending, []
        engine, sink, in_flight = self.engine, self._sink, self._in_flight
        tokenizer = engine.tokenizer
        before = tokenizer.calls
        requests: list[Request] = []
        for asking, encoded in zip(pending, self._encoded([a.texts(tokenizer) for a in pending]), strict=True):
            try:
                if isinstance(encoded, SglcError):
                    raise encoded
                sent = asking.requests(encoded, engine, sink)
            except SglcError as unplaced:
                asking.refuse(unplaced)
                continue
            requests += sent
            for request in sent:
                in_flight[request] = asking
        engine.counters.tokenizer_calls += tokenizer.calls - before
        if requests:
            engine.submit(requests)

    def drain(self) -> None:
        """Act on all that has arrived, but not on what comes of that."""
        for _ in range(len(self.inbox)):
            self.deliver(self.inbox.get())

    def deliver(self, arrivals: Sequence[Arrival]) -> None:
        """Act on arrivals."""
        in_flight = self._in_flight
        for asked, event in arrivals:
            target = in_flight.get(asked)
            if target is not None:
                target.deliver(asked, event)
                if target.answered:
                    for each in target.sent:
                        in_flight.pop(each, None)

    def withdraw(self) -> None:
        """Withdraw everything; whoever waits for an answer of the engine hears Cancelled."""
        targets = dict.fromkeys([*self._in_flight.values(), *self.pending])
        self._in_flight.clear()
        self.pending.clear()
        for target in targets:
            target.cancel()

    def __del__(self) -> None:
        for asked in self._in_flight:
            asked.cancelled = True

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
