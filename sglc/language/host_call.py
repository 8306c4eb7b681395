"""Host code in a program: `sglc.call` runs a Python function while other programs go on."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from sglc.backend.host_call import CallOutcome
from sglc.language.future import Future
from sglc.language.row import current_state

P = ParamSpec("P")
R = TypeVar("R")


def call(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return `fn(*args, **kwargs)`, computed in a thread while this program waits and the others go on.

    The function must not change what it is given. It sees a copy of the program's context variables. What it raises is
    raised here. Outside a program this is a plain call.
    """
    state = current_state.get()
    if state is None or not state.row.loop.in_body:
        return fn(*args, **kwargs)
    number, served = state.row.next_call()
    if served is not None:
        known: R = served.result()
        return known
    loop = state.row.loop
    future = Future()

    def done(outcome: CallOutcome) -> None:
        if outcome.error is not None:
            future.fail(outcome.error)
        else:
            future.set(outcome.value)

    loop.exchange.call(fn, args, kwargs, copy_context(), done, row=state.row.index, number=number)
    loop.wait(future)
    result: R = future.result()
    return result
