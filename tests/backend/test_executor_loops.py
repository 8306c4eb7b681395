"""Rows of plans and what is around them: loops that are closed, threads, context variables, asyncio."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import closing
from contextvars import ContextVar
from typing import Any

import pytest

import sglc
from sglc.backend.plan import Plan
from sglc.errors import Cancelled
from sglc.language.function import params_of
from sglc.language.loop import ProgramLoop
from sglc.language.row import Row
from sglc.language.state import ProgramState
from tests.asking import assert_idle, assert_withdrawn
from tests.backend.test_executor_leaving import RETURNING, TOOLS, WORDS, working
from tests.plans import Side, always, begin, observed, plan_of, run_plan

State = Any


@pytest.fixture(autouse=True)
def fresh_tools() -> None:
    """Tools that were not called yet."""
    TOOLS.calls.clear()


@pytest.fixture(scope="module")
def sides() -> Iterator[Side]:
    """An engine and its reference; when all is over, nothing runs and no KV is locked."""
    with closing(Side()) as sides:
        yield sides
    assert_idle(sides.engine)


LONG = """
graph @long(%word: text) {
  %0 = empty : prompt
  %1 = append %0, %word : prompt
  %2, %a = gen %1 {site = ":0", max_new_tokens = 100000, ignore_eos = true} : prompt, text
  return %2, a = %a
}
"""


@sglc.function
def long(s: State, word: str) -> None:
    s += word + sglc.gen("a", max_tokens=100_000, ignore_eos=True)


def started(engine: sglc.Engine, plan: Plan, program: Any, functions: Any = None) -> tuple[ProgramLoop, Row]:
    """Return a loop and a row of it that runs a plan."""
    loop = ProgramLoop(engine)
    arguments = program.arguments((), WORDS[0])
    row = Row(loop, program.func, arguments, params_of({}), 0, streamed=False)
    begin(row, plan, always)
    return loop, row


def test_a_closed_loop_withdraws_what_its_rows_ask() -> None:
    """What a row has under way when its loop is closed is withdrawn; reading it raises Cancelled."""
    with closing(sglc.Engine("replay:hash", kv_tokens=1 << 20)) as engine:
        loop, row = started(engine, plan_of(LONG), long)
        loop.run_until(lambda: loop.exchange.waiting)
        loop.close()
        assert_withdrawn(engine)
        assert not row.done
        with pytest.raises(Cancelled):
            row.state.text()


def test_a_dropped_loop_withdraws_what_its_rows_ask() -> None:
    """A loop that nobody has any more asks for nothing."""
    with closing(sglc.Engine("replay:hash", kv_tokens=1 << 20)) as engine:

        def start_and_drop() -> None:
            loop, _ = started(engine, plan_of(LONG), long)
            loop.run_until(lambda: loop.exchange.waiting)

        start_and_drop()
        gc.collect()
        assert_withdrawn(engine)


def test_calls_see_the_context_of_who_started_the_row(sides: Side) -> None:
    """Host code runs in a copy of the context variables, in the graph and behind it."""
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen: list[str] = []

    def ask() -> str:
        seen.append(who.get())
        who.set("a tool")
        return who.get()

    @sglc.function
    def program(s: State, word: str) -> str:
        return f"{sglc.call(ask)} {sglc.call(ask)} {who.get()} {sglc.call(ask)}"

    text = """
    graph @program(%word: text) {
      %0 = empty : prompt
      %1 = call {fn = "ask", number = 0} : value
      %2 = call {fn = "ask", number = 1} : value
      eager {cause = "reads a context variable"}
    }
    """
    token = who.set("a user")
    loop = ProgramLoop(sides.engine)
    row = Row(loop, program.func, {"word": ""}, params_of({}), 0, streamed=False)
    begin(row, plan_of(text, {"ask": ask}), always)
    who.reset(token)
    loop.run_until(lambda: row.done)
    assert row.state.ret_value == "a tool a tool a user a tool"
    assert seen == ["a user"] * 3


def test_calls_run_on_other_threads_while_rows_go_on(sides: Side) -> None:
    """Two rows' host code meets at a barrier: no row waits for another's."""
    barrier = threading.Barrier(2, timeout=10)

    @sglc.function
    def program(s: State, word: str) -> Any:
        return sglc.call(barrier.wait) < 2

    text = """
    graph @program(%word: text) {
      %0 = empty : prompt
      %1 = call {fn = "wait", number = 0} : value
      %2 = const {value = 2} : int
      %3 = apply %1, %2 {fn = "lt"} : value
      return %0 -> %3
    }
    """
    states = run_plan(plan_of(text, {"wait": barrier.wait}), program, WORDS[:2], sides.engine)
    assert [state.ret_value for state in states] == [True, True]


def test_under_asyncio(sides: Side) -> None:
    """Rows that run a plan go on under asyncio, calls included."""
    plan = plan_of(RETURNING, {"look": TOOLS.look})

    async def main() -> ProgramState:
        loop, row = started(sides.engine, plan, working)
        await loop.arun_until(lambda: row.done)
        loop.close()
        return row.state

    (wanted,) = working.run_batch(WORDS[:1], backend=sides.reference, eager=True)
    assert observed(asyncio.run(main())) == observed(wanted)


def test_a_finished_state_is_read_on_any_thread(sides: Side) -> None:
    """Many threads that look at a state for the first time at once all see the whole of it."""
    plan = plan_of(LONG.replace("100000", "6"))

    @sglc.function
    def program(s: State, word: str) -> None:
        s += word + sglc.gen("a", max_tokens=6, ignore_eos=True)

    states = run_plan(plan, program, WORDS, sides.engine)
    seen: list[list[Any]] = []

    def read() -> None:
        seen.append([(state.text(), state["a"], state.variables()) for state in states])

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each == seen[0] for each in seen) and seen[0][0][1]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        states[0].nonsense  # noqa: B018
