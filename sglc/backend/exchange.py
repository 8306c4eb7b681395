"""What programs of one loop have under way: questions for the engine and host calls, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import Context
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from sglc.backend.asking import Asking
from sglc.backend.decoding import Decoding
from sglc.backend.host_call import CallOutcome, HostCall
from sglc.backend.inbox import Arrival, Inbox
from sglc.backend.shared_answers import SharedAnswers
from sglc.backend.unconditional import Unconditional
from sglc.errors import SglcError

if TYPE_CHECKING:
    from sglc.backend.claim import Claim, Hold
    from sglc.backend.engine import Engine
    from sglc.backend.request import Request

_ENCODED_AT_ONCE = 1024
"""Prompts whose token ids are Python's own numbers at the same time: those take much more room than the arrays do."""


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
        self.dropped: list[Claim] = []  # those that nobody goes on from any more
        self.inbox = Inbox()
        engine.wait_for(self.inbox)
        self._sink = self.inbox.put
        self.unconditional = Unconditional(engine)
        self._shared = SharedAnswers()
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
        *,
        row: int,
        number: int,
    ) -> None:
        """Run a function on a thread of the pool; `done` gets its outcome on this one. It is a row's call `number`."""
        calls = self.engine.calls
        known = calls.known(row, number) if calls is not None else None
        began = perf_counter()

        def returned(outcome: CallOutcome) -> None:
            self.inbox.calls -= 1
            if calls is not None:
                calls.note(row, number, outcome, perf_counter() - began)
            if self.engine.observer is not None:
                self.engine.observer.called(row, began, perf_counter())
            done(outcome)

        host_call = HostCall(returned)
        self.inbox.calls += 1
        self._in_flight[host_call] = host_call
        if known is not None:
            self.inbox.put([(host_call, known)])
        else:
            host_call.start(self.inbox, context, fn, args, kwargs)

    def submit(self) -> None:
        """Tokenize the prompts of all pending questions, many in one call, and hand their requests to the engine."""
        tokenizer = self.engine.tokenizer
        before = tokenizer.calls
        requests: list[Request] = []
        while self.pending:  # a question may bring others with it
            some, self.pending = self.pending[:_ENCODED_AT_ONCE], self.pending[_ENCODED_AT_ONCE:]
            for asking, encoded in zip(some, self._encoded([a.texts(tokenizer) for a in some]), strict=True):
                requests += self._requests(asking, encoded)
        self.engine.counters.tokenizer_calls += tokenizer.calls - before
        dropped, self.dropped = self.dropped, []
        if requests:
            self.engine.submit(requests, dropped=dropped)
        elif dropped:
            self.engine.drop_claims(dropped)

    def _requests(self, asking: Asking, encoded: list[list[int]] | SglcError) -> Sequence[Request]:
        """Return what is to be asked for a question; nothing where it can't be, or another has asked the same."""
        try:
            if isinstance(encoded, SglcError):
                raise encoded
            requests = asking.requests(encoded, self.engine, self._sink)
            if isinstance(asking, Decoding) and not self._shared.leads(asking):
                return ()
        except SglcError as unplaced:
            asking.refuse(unplaced)
            return ()
        for request in requests:
            self._in_flight[request] = asking
        if self.engine.observer is not None:
            self.engine.observer.asked(asking, requests)
        if asking.hold is not None and requests:
            _hold(requests, asking.hold)
        return requests

    def drop_claims(self) -> None:
        """Tell the engine which KV is not gone on from, where nothing else has told it."""
        dropped, self.dropped = self.dropped, []
        if dropped:
            self.engine.drop_claims(dropped)

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
                    if isinstance(target, Decoding):
                        self.pending += self._shared.settle(target)

    def withdraw(self) -> None:
        """Withdraw everything; whoever waits for an answer of the engine hears Cancelled."""
        targets = dict.fromkeys([*self._in_flight.values(), *self.pending, *self._shared.withdraw()])
        self._in_flight.clear()
        self.pending.clear()
        for target in targets:
            target.cancel()
        self.drop_claims()

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


def _hold(requests: Sequence[Request], hold: Hold) -> None:
    """Tell the scheduler what it should know of a question; its first request is the one that is gone on from."""
    for request in requests:
        request.priority = (*request.priority, hold.turn)
    first = requests[0]
    first.claim, first.behind, first.ahead = hold.claim, hold.behind, hold.ahead
