"""Captured programs whose choices are trees of tokens come to what they come to eagerly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

import sglc
from sglc.backend.plan import Plan
from sglc.codegen.lower import lower
from sglc.ir.parser import parse
from sglc.language.function import SglFunction
from sglc.language.state import ProgramState
from sglc.passes.base import Remarks, Target
from sglc.passes.share_choices import ShareChoices
from tests.asking import assert_idle
from tests.plans import Side, observed, run_plan

State = Any
WORDS = [{"one": f"word {i}", "two": f"word {i % 3} again"} for i in range(12)]


@pytest.fixture(scope="module")
def sides() -> Iterator[Side]:
    """An engine and its reference; when all is over, nothing runs and no KV is locked."""
    with closing(Side()) as sides:
        yield sides
    assert_idle(sides.engine)


def compare(
    sides: Side, text: str, program: SglFunction, rows: Iterable[Mapping[str, Any]], left: int = 0, **sampling: Any
) -> list[ProgramState]:
    """Run rows by the plan with trees and eagerly, check that all but what it cost is equal; `left` leave the plan."""
    rows = list(rows)
    plan = ShareChoices().run(lower(parse(text)), Target(), Remarks())
    assert "choose" in plan.text and "score" not in plan.text
    states = run_plan(Plan(plan), program, rows, sides.engine, **sampling)
    wanted = program.run_batch(rows, backend=sides.reference, concurrency=1, eager=True, **sampling)
    for state, expected in zip(states, wanted, strict=True):
        assert seen(state) == seen(expected)
    assert sum(type(state) is ProgramState for state in states) == left
    return states


def seen(state: ProgramState) -> dict[str, Any]:
    """Return all that a state says but for how many requests it took."""
    return {**observed(state), "costs": None}


@sglc.function
def several(s: State, one: str, two: str) -> Any:
    with s.user():
        s += "Choose: "
    with s.assistant():
        s += sglc.select("it", choices=[one, two, one], choices_method=sglc.unconditional_likelihood_normalized)
        s += ", " + sglc.gen("why", max_tokens=4)
        s += sglc.select("next", choices=[s["why"] + two, "b", two], choices_method=sglc.greedy_token_selection)
    return s.get_meta_info("next")


SEVERAL = """
graph @several(%one: text, %two: text) {
  %0 = empty : prompt
  %1 = begin %0 {role = "user"} : prompt
  %2 = const {value = "Choose: "} : text
  %3 = append %1, %2 : prompt
  %4 = end %3 {role = "user"} : prompt
  %5 = begin %4 {role = "assistant"} : prompt
  %6 = rest %5 : prompt
  %7, %it = select %6, %one, %two, %one {site = ":0?0", method = "unconditional_likelihood_normalized"} : prompt, text
  %8 = const {value = ", "} : text
  %9 = append %7, %8 : prompt
  %10, %why = gen %9 {site = ":0", max_new_tokens = 4} : prompt, text
  %11 = concat %why, %two : text
  %12 = const {value = "b"} : text
  %13, %next = select %10, %11, %12, %two {site = ":1?1", method = "greedy_token_selection"} : prompt, text
  %14 = end %13 {role = "assistant"} : prompt
  %15 = meta %next : dict
  %16 = rest %14 : prompt
  return %16 -> %15, it = %it, why = %why, next = %next
}
"""


def test_choices_from_rows_and_generations(sides: Side) -> None:
    compare(sides, SEVERAL, several, WORDS, temperature=1.0)


@pytest.mark.parametrize("given", ["", "\ud800"])
def test_a_choice_that_can_not_be_scored_leaves_its_row_to_the_eager_run(sides: Side, given: str) -> None:
    rows = [{**row, "two": given} if i in (3, 7) else row for i, row in enumerate(WORDS)]
    states = compare(sides, SEVERAL, several, rows, left=2)
    assert [state.error is not None for state in states] == [i in (3, 7) for i in range(len(rows))]


@sglc.function
def one_of(s: State, item: Any) -> None:
    s += "So " + sglc.select("it", choices=[item, "no"])


ONE_OF = """
graph @one_of(%item: text) {
  %0 = empty : prompt
  %1 = const {value = "So "} : text
  %2 = append %0, %1 : prompt
  %3 = const {value = "no"} : text
  %4, %it = select %2, %item, %3 {site = ":0?0"} : prompt, text
  return %4, it = %it
}
"""


def test_a_choice_that_is_no_text_leaves_its_row_to_the_eager_run(sides: Side) -> None:
    items = ["yes", 7, "", None, "maybe", ["x"]]
    compare(sides, ONE_OF, one_of, [{"item": item} for item in items], left=4)


def test_a_prompt_that_is_too_long_fails_alone(sides: Side) -> None:
    rows = [{"item": item} for item in ("yes", "so " * 9000, "or not")]
    states = compare(sides, ONE_OF, one_of, rows, left=1)
    assert [state.error is not None for state in states] == [False, True, False]
