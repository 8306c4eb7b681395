"""One run of a program on one row of input."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any
from weakref import ref

from sglc.backend.asking import Origin
from sglc.backend.counters import Counters
from sglc.backend.execution import Answer, Execution, Outcome
from sglc.backend.section_reader import NO_ORDERS, Orders
from sglc.backend.served import NOTHING, Served
from sglc.errors import Cancelled, ProgramError
from sglc.ir.sampling import SamplingParams
from sglc.language.returned import ReturnedState
from sglc.language.state import ProgramState

if TYPE_CHECKING:
    from sglc.backend.asking import Asking
    from sglc.backend.engine import Engine
    from sglc.backend.host_call import CallOutcome
    from sglc.backend.plan import BoundPlan
    from sglc.backend.request import Completion
    from sglc.language.loop import ProgramLoop
    from sglc.language.options import RunOptions

_ages = itertools.count()

NO_ARGUMENTS: Mapping[str, Any] = {}

_NOWHERE = Origin(row=0, priority=())
"""Where questions come from that are not asked yet."""

current_state: ContextVar[ProgramState | None] = ContextVar("sglc_current_state", default=None)
"""The state of the innermost program whose body runs here."""


def _always() -> bool:
    return True


class Row:
    """A program's body with its arguments, its states, and its error if it has one.

    Done when the body has returned and every statement of every state has run. An error that the body met and
    handled is not the row's; one that nobody read is. A row runs its body, or where there is one (`bound`) a plan that
    was captured from it, which comes to the same. `still_holds` says whether what it was captured from is as it was
    then; asked after each host call.
    """

    __slots__ = (
        "_age",
        "_body",
        "_by_plan",
        "_calls",
        "_counters",
        "_failures",
        "_left",
        "_origin",
        "_outcome",
        "_planned",
        "_returned",
        "_seen",
        "_state",
        "_states",
        "arguments",
        "bound",
        "context",
        "done",
        "engine",
        "error",
        "index",
        "is_body",
        "loop",
        "orders",
        "outputs",
        "params",
        "parked",
        "rank",
        "served",
        "shares",
        "still_holds",
        "streamed",
    )

    context: Context
    """Of a row that runs a plan: the context variables of whoever started it."""
    rank: str
    """Of a row that is parked: its place among others is that of this text among theirs."""

    def __init__(
        self,
        loop: ProgramLoop,
        body: Callable[..., Any],
        arguments: Mapping[str, Any],
        params: SamplingParams,
        index: int,
        streamed: bool = False,
        options: RunOptions | None = None,
    ) -> None:
        """Without options the row is one of the reference: older rows go first, and nothing is shared but KV."""
        self.loop = loop
        self.engine: Engine = loop.engine
        self.index = index
        self.params = params
        self.streamed = streamed
        self.error: BaseException | None = None
        self.done = False
        self.served: Served = NOTHING
        self.is_body = False
        self.parked: Sequence[Asking] = ()
        self.shares = options is not None and options.shares
        self.orders: Orders = NO_ORDERS
        self.bound: BoundPlan | None = None
        self.still_holds: Callable[[], bool] = _always
        self.outputs = options.outputs if options is not None else None
        self._planned = options is None or bool(options.passes)
        self._by_plan = False
        self._age = next(_ages)
        self._origin: Origin | None = None
        self._body = body
        self.arguments = arguments
        self._state: ProgramState | None = None
        self._states: list[ProgramState] | None = None
        self._counters: Counters | None = None
        self._outcome: Outcome | None = None
        self._left: ref[ReturnedState] | None = None  # weak: states that are dropped should be gone at once
        self._returned = False
        self._calls = 0
        self._failures: dict[int, BaseException] | None = None  # once there is one
        self._seen: dict[int, None] | None = None

    @property
    def state(self) -> ProgramState:
        """The state that the body is given; behind a plan, one that looks as the body would have left it."""
        if self._outcome is not None:
            left = self._left() if self._left is not None else None
            if left is None:
                left = ReturnedState(self, self._outcome)
                self._left = ref(left)
            return left
        if self._state is None:
            self._state = ProgramState(self, "", self.params)
        return self._state

    @property
    def states(self) -> list[ProgramState]:
        """The states of the row in the order they were made, the body's first; behind a plan, that one alone."""
        if self._outcome is not None:
            return [self.state]
        if self._states is None:
            self._states = [self.state]
        return self._states

    @property
    def counters(self) -> Counters:
        """What the row's requests have cost so far."""
        if self._counters is None:
            self._counters = Counters()
            if self._outcome is not None:
                self._account_for(self._outcome.answers)
        return self._counters

    @property
    def origin(self) -> Origin:
        """Where questions of the row come from."""
        if not self._planned:
            return Origin(self.index, (next(_ages),), self.streamed)
        if self._origin is None:
            self._origin = Origin(self.index, (self._age,), self.streamed, self._by_plan)
        return self._origin

    def run(self) -> None:
        """Run the body, on the greenlet of this row."""
        current_state.set(self.state)
        try:
            self.state.ret_value = self._body(self.state, **self.arguments)
            for state in self.states:
                state.close_text()
        except Exception as error:
            self.error = error
        self._returned = True
        self.settle()

    def settle(self) -> None:
        """Finish the row if nothing is left to do."""
        if self._returned and not self.done and all(state.idle for state in self.states):
            self.done = True
            if self.outputs is not None:
                self.state.keep_only(self.outputs)
            if self.error is None and self._failures is not None:
                seen = self._seen or ()
                self.error = next((e for key, e in self._failures.items() if key not in seen), None)
            self.loop.row_done(self)

    def failed(self, error: BaseException) -> None:
        """Note that a statement failed."""
        if self._failures is None:
            self._failures = {}
        self._failures[id(error)] = error

    def seen(self, error: BaseException) -> None:
        """Note that an error was raised to the body, which may handle it."""
        if not self._returned:
            if self._seen is None:
                self._seen = {}
            self._seen[id(error)] = None

    def account(self, completions: Sequence[Completion]) -> None:
        """Add completions to the row's counters."""
        counters = self.counters
        for completion in completions:
            counters.requests += 1
            counters.prompt += completion.prompt_tokens
            counters.cached += completion.cached_tokens
            counters.decoded += completion.completion_tokens
            counters.filled += completion.filled
            counters.relogit += completion.relogit
            counters.refilled += completion.refilled

    def refuse(self, error: ProgramError) -> None:
        """Let the row end with an error where its body would run."""

        def body(*_: Any, **__: Any) -> None:
            raise error

        self._body = body

    def next_call(self) -> tuple[int, CallOutcome | None]:
        """Count a host call; return its number, and what came of it if it was made before."""
        number = self._calls
        self._calls += 1
        return number, self.served.calls.get(number)

    def raise_for_error(self) -> None:
        """Raise the row's error, if it has one."""
        if self.error is not None:
            raise self.error

    # Captured programs

    def begin(self, *, context: Context | None = None, park: bool = False) -> None:
        """Run from the loop's next turn on: by the plan if there is one, else in Python.

        Where a plan can't go on, because what it was captured from has changed or for any other reason, the body runs
        from its first line, and what is known already is served to it. `context` is that of whoever starts the row,
        which rows may share.

        With `park` a plan that is ranked runs at once as far as it can without an answer, and asks when `unpark` is
        called.
        """
        bound, loop = self.bound, self.loop
        if bound is None:
            loop.spawn(self)
            return
        self._by_plan = True
        self.context = context if context is not None else copy_context()
        arguments, exchange = self.arguments, loop.exchange
        given = [arguments[name] for name in bound.plan.arguments]
        execution = Execution(bound, given, self, exchange, self.orders)
        if not park or bound.plan.ranked is None:
            loop.start(execution.start)
            return
        before = len(exchange.pending)
        self._origin = _NOWHERE
        execution.start()
        self._origin = None
        self.parked = exchange.pending[before:]
        if self.parked:
            del exchange.pending[before:]
            self.rank = execution.rank

    def come_last(self) -> None:
        """Become younger than all other rows, with what is parked: the rank has said who comes before."""
        self._age = next(_ages)
        self._origin = None
        origin = self.origin
        for asking in self.parked:
            asking.origin = origin
        del self.rank

    def unpark(self) -> None:
        """Ask what a parked row has to ask."""
        self.loop.exchange.pending += self.parked
        self.parked = ()

    def plan_returned(self, outcome: Outcome) -> None:
        """Finish as if the body had come to this."""
        self._outcome = outcome
        self.arguments = NO_ARGUMENTS
        self._returned = self.done = True
        self.bound = None
        self.still_holds = _always
        del self.context
        self.loop.row_done(self)

    def plan_left(self, served: Served) -> None:
        """Let the body run, and serve it what is known."""
        if self.loop.closed:
            self.state.poison(Cancelled("found a program that was closed before its end; wanted it read to its end"))
            return
        self.served = served
        self._by_plan = False
        self._origin = None
        self._account_for([*served.generations.values(), *served.choices.values()])
        self.loop.spawn(self, self.context.copy())

    def _account_for(self, answers: Sequence[Answer | None]) -> None:
        for answer in answers:
            if answer is not None and not answer.borrowed:
                self.account(answer.completions)
