"""Rows of plans claim what they go on from, tell the scheduler what is ahead, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

import sglc
from sglc.backend.claim import Claim
from sglc.backend.plan import Plan
from sglc.backend.request import Request
from sglc.codegen.lower import lower
from sglc.errors import EngineError
from sglc.ir.parser import parse
from sglc.passes.base import Remarks, Target
from sglc.passes.place_kv import PlaceKv
from tests.asking import assert_idle
from tests.plans import Side, run_plan

State = Any
WORDS = [{"word": f"word {i}"} for i in range(12)]
LONGEST = 110
"""A pool for one row and not much more."""


@sglc.function
def branches(s: State, word: str) -> None:
    s += word + " is" + sglc.gen("what", max_tokens=12)
    left, right = s.fork(2)
    left += " left" + sglc.gen("one", max_tokens=10) + " and" + sglc.gen("two", max_tokens=10)
    right += " right" + sglc.select("way", ["up", "down"]) + " so" + sglc.gen("three", max_tokens=8)
    s += " then: " + sglc.gen("end", max_tokens=6)


BRANCHES = """
graph @branches(%word: text) {
  %0 = empty : prompt
  %1 = const {value = " is"} : text
  %2 = append %0, %word : prompt
  %3 = append %2, %1 : prompt
  %4, %what = gen %3 {site = ":0", max_new_tokens = 12} : prompt, text
  %5 = const {value = " left"} : text
  %6 = append %4, %5 : prompt
  %7, %one = gen %6 {site = "0.0:0", max_new_tokens = 10} : prompt, text
  %8 = const {value = " and"} : text
  %9 = append %7, %8 : prompt
  %10, %two = gen %9 {site = "0.0:1", max_new_tokens = 10} : prompt, text
  %11 = const {value = " right"} : text
  %12 = append %4, %11 : prompt
  %13 = const {value = "up"} : text
  %14 = const {value = "down"} : text
  %15, %way = select %12, %13, %14 {site = "0.1:0?0"} : prompt, text
  %16 = const {value = " so"} : text
  %17 = append %15, %16 : prompt
  %18, %three = gen %17 {site = "0.1:0", max_new_tokens = 8} : prompt, text
  %19 = const {value = " then: "} : text
  %20 = append %4, %19 : prompt
  %21, %end = gen %20 {site = ":1", max_new_tokens = 6} : prompt, text
  return %21, what = %what, end = %end
}
"""


def placed() -> Plan:
    return Plan(PlaceKv().run(lower(parse(BRANCHES)), Target(), Remarks()))


@pytest.fixture
def sides() -> Iterator[Side]:
    with closing(Side(kv_tokens=LONGEST)) as sides:
        yield sides
    assert_idle(sides.engine)
    assert not sides.engine._scheduler.kept.claims


@pytest.fixture
def seen(sides: Side, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests of an engine, as they are submitted."""
    requests: list[Request] = []
    submit = sides.engine.submit

    def note(asked: Sequence[Request], dropped: Sequence[Claim] = ()) -> None:
        requests.extend(asked)
        submit(asked, dropped)

    monkeypatch.setattr(sides.engine, "submit", note)
    return requests


def test_requests_say_what_they_go_on_from(sides: Side, seen: list[Request]) -> None:
    run_plan(placed(), branches, WORDS[:1], sides.engine, temperature=0.0)
    by_turn = {each.priority[-1]: each for each in reversed(seen)}  # of a choice, its first
    assert sorted(by_turn) == [1, 2, 3, 4, 5, 6]
    first, one, two, way, three, end = (by_turn[turn] for turn in range(1, 7))
    assert all(each.planned for each in seen)
    assert first.behind is None and first.claim is not None
    assert one.behind is way.behind is end.behind is first.claim
    assert two.behind is one.claim and three.behind is way.claim
    assert two.claim is three.claim is end.claim is None
    assert first.ahead == 2 + 10 + 2 + 10 == first.claim.ahead
    assert (one.ahead, way.ahead, end.ahead) == (12, 9, 0)


def test_rows_in_a_tight_pool_come_to_the_same_and_drop_their_claims(sides: Side) -> None:
    found = run_plan(placed(), branches, WORDS, sides.engine, temperature=0.0)
    wanted = branches.run_batch(WORDS, backend=sides.reference, temperature=0.0, eager=True)
    assert [state.text() for state in found] == [state.text() for state in wanted]
    assert [state["end"] for state in found] == [state["end"] for state in wanted]


def test_a_row_that_leaves_its_plan_drops_its_claims(sides: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []
    forward = sides.engine.model.forward

    def fail_once(step: Any) -> Any:
        if not left and len(step.lengths) == 1 and step.context_lengths[0] > 25:
            left.append(step)
            raise EngineError("found no device; wanted one")
        return forward(step)

    monkeypatch.setattr(sides.engine.model, "forward", fail_once)
    (state,) = run_plan(placed(), branches, WORDS[:1], sides.engine, temperature=0.0)
    assert left
    (wanted,) = branches.run_batch(WORDS[:1], backend=sides.reference, temperature=0.0, eager=True)
    assert state.text() == wanted.text(), "the body runs, served with what is known"
