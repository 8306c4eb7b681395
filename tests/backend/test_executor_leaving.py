"""Rows that leave their graph: each goes on in Python, is served what it knows, and ends as it would have eagerly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

import sglc
from sglc.language.returned import ReturnedState
from sglc.language.state import ProgramState
from tests.asking import assert_idle
from tests.plans import Side, observed, plan_of, run_plan

State = Any
WORDS = [{"word": f"word {i}"} for i in range(6)]


@pytest.fixture(scope="module")
def sides() -> Iterator[Side]:
    """An engine and its reference; when all is over, nothing runs and no KV is locked."""
    with closing(Side()) as sides:
        yield sides
    assert_idle(sides.engine)


class Tools:
    """Host code that notes what it was called with, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.then: Callable[[], None] = lambda: None

    def look(self, *given: Any, **named: Any) -> str:
        """Note a call, and do what was asked for then."""
        self.calls.append((*given, *sorted(named.items())))
        self.then()
        return f"<{len(given)}>"


TOOLS = Tools()


@pytest.fixture(autouse=True)
def fresh_tools() -> None:
    """Forget what other tests called."""
    TOOLS.calls.clear()
    TOOLS.then = lambda: None


@sglc.function
def working(s: State, word: str) -> str:
    s += word + sglc.gen("plan", max_tokens=4)
    found = sglc.call(TOOLS.look, s["plan"], 1, deep=True)
    s += found + sglc.gen("more", max_tokens=4, temperature=1.0)
    other = sglc.call(TOOLS.look, word)
    s += sglc.select("way", choices=[word, other])
    return s["way"] + sglc.call(TOOLS.look)


WORKING = """
graph @working(%word: text) {
  %0 = empty : prompt
  %1 = append %0, %word : prompt
  %2, %plan = gen %1 {site = ":0", max_new_tokens = 4} : prompt, text
  %3 = const {value = 1} : int
  %4 = const {value = true} : bool
  %5 = call %plan, %3, %4 {fn = "look", number = 0, keywords = ["deep"]} : value
  %6 = apply %5 {fn = "as_text"} : text
  %7 = append %2, %6 : prompt
  %8, %more = gen %7 {site = ":1", max_new_tokens = 4, temperature = 1.0} : prompt, text
  %9 = call %word {fn = "look", number = 1} : value
  %10 = apply %9 {fn = "as_text"} : text
  %11, %way = select %8, %word, %10 {site = ":2?0"} : prompt, text
  %12 = call {fn = "look", number = 2} : value
  %13 = apply %way, %12 {fn = "add"} : value
  END
}
"""
RETURNING = WORKING.replace("END", "return %11 -> %13, plan = %plan, more = %more, way = %way")
LEAVING = WORKING.replace("END", 'eager {cause = "asks for it"}')


def test_calls_run_in_order(sides: Side) -> None:
    """Host code runs once a row, in the order of the program, with what the program gives it."""
    (state,) = sides.compare(RETURNING, working, WORDS[:1], {"look": TOOLS.look})
    assert isinstance(state, ReturnedState)
    once, again = TOOLS.calls[:3], TOOLS.calls[3:]
    assert once == again == [(state["plan"], 1, ("deep", True)), ("word 0",), ()]


def test_calls_of_many_rows(sides: Side) -> None:
    """Rows wait for host code each by itself."""
    TOOLS.then = lambda: time.sleep(0.002)
    sides.compare(RETURNING, working, WORDS, {"look": TOOLS.look})
    assert len(TOOLS.calls) == 6 * len(WORDS)


def test_an_eager_end(sides: Side) -> None:
    """Where the graph ends in Python, all before it is served: nothing is asked or called again."""
    before = sides.engine.counters.requests
    (state,) = sides.compare(LEAVING, working, WORDS[:1], {"look": TOOLS.look}, left=1)
    assert type(state) is ProgramState
    assert len(TOOLS.calls) == 6  # three times by the graph, three by the reference
    assert sides.engine.counters.requests - before == state.counters.requests == 4


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_call_that_raises(sides: Side, number: int) -> None:
    """What host code raises is raised where the program made the call; no other call runs."""

    def fail() -> None:
        if len(TOOLS.calls) in (number + 1, 2 * (number + 1)):
            raise KeyError("no such thing")

    TOOLS.then = fail
    (state,) = sides.compare(RETURNING, working, WORDS[:1], {"look": TOOLS.look}, left=1)
    assert isinstance(state.error, KeyError)
    assert len(TOOLS.calls) == 2 * (number + 1)


def test_a_program_that_handles_what_a_call_raises(sides: Side) -> None:
    """An exception that the program handles is no error of the row."""

    @sglc.function
    def careful(s: State, word: str) -> str:
        s += word + sglc.gen("a", max_tokens=3)
        try:
            found = sglc.call(TOOLS.look, s["a"])
        except ValueError as error:
            found = str(error)
        s += found + sglc.gen("b", max_tokens=3)
        return str(sglc.call(len, s["b"]))

    text = """
    graph @careful(%word: text) {
      %0 = empty : prompt
      %1 = append %0, %word : prompt
      %2, %a = gen %1 {site = ":0", max_new_tokens = 3} : prompt, text
      %3 = call %a {fn = "look", number = 0} : value
      %4 = apply %3 {fn = "as_text"} : text
      %5 = append %2, %4 : prompt
      %6, %b = gen %5 {site = ":1", max_new_tokens = 3} : prompt, text
      %7 = call %b {fn = "len", number = 1} : value
      %8 = apply %7 {fn = "str"} : text
      return %6 -> %8, a = %a, b = %b
    }
    """

    def fail() -> None:
        raise ValueError("nothing found")

    TOOLS.then = fail
    (state,) = sides.compare(text, careful, WORDS[:1], {"look": TOOLS.look, "len": len}, left=1)
    assert "nothing found" in state.text() and state.error is None


def test_what_changed_meanwhile(sides: Side) -> None:
    """A row whose captured world no longer holds goes on in Python; what it had is kept, no call runs again."""
    plan = plan_of(RETURNING, {"look": TOOLS.look})
    wanted = working.run_batch(WORDS[:1], backend=sides.reference, eager=True)
    TOOLS.calls.clear()
    for last in (1, 2, 3):
        TOOLS.calls.clear()
        (state,) = run_plan(plan, working, WORDS[:1], sides.engine, lambda last=last: len(TOOLS.calls) < last)
        assert type(state) is ProgramState
        assert observed(state) == observed(wanted[0])
        assert len(TOOLS.calls) == 3


# Failures of each kind


@sglc.function
def reading(s: State, word: str) -> str:
    s += word + sglc.gen("a", max_tokens=3, n=2)
    number = int(word)
    sglc.call(TOOLS.look, number)
    s += sglc.gen("b", max_tokens=3)
    return s["b"]


READING = """
graph @reading(%word: text) {
  %0 = empty : prompt
  %1 = append %0, %word : prompt
  %2, %a = gen %1 {site = ":0", max_new_tokens = 3, n = 2} : prompt, texts
  %3 = apply %word {fn = "int"} : int
  %4 = call %3 {fn = "look", number = 0} : value
  %5, %b = gen %2 {site = ":1", max_new_tokens = 3} : prompt, text
  return %5 -> %b, a = %a, b = %b
}
"""


def test_a_function_that_raises(sides: Side) -> None:
    """The error is the program's own, with its line; calls behind it do not run, other rows go on."""
    rows = [{"word": word} for word in ("17", "seventeen", "18")]
    states = sides.compare(READING, reading, rows, {"look": TOOLS.look}, left=1)
    assert [repr(state.error) for state in states][1].startswith("ValueError")
    assert sorted(TOOLS.calls) == [(17,), (17,), (18,), (18,)]


def test_costs_are_counted_once(sides: Side) -> None:
    """What a row had asked for before it left is served, and accounted for once."""
    plan = plan_of(READING, {"look": TOOLS.look})
    (state,) = run_plan(plan, reading, [{"word": "x"}], sides.engine)
    assert isinstance(state.error, ValueError)
    assert (state.counters.requests, state.counters.decoded) == (2, 6)


@sglc.function
def asking(s: State, word: str) -> None:
    s += word
    fork, other = s.fork(2)
    fork += sglc.gen("a", max_tokens=3, return_logprob=True, logprob_start_len=20)
    other += "!" + sglc.gen("b", max_tokens=3)
    fork["a"], other["b"]


ASKING = """
graph @asking(%word: text) {
  %0 = empty : prompt
  %p = append %0, %word : prompt
  %1, %a = gen %p {site = "/0.0.0:0", max_new_tokens = 3, return_logprob = true, logprob_start_len = 20} : prompt, text
  %2 = const {value = "!"} : text
  %3 = append %p, %2 : prompt
  %4, %b = gen %3 {site = "/0.0.1:0", max_new_tokens = 3} : prompt, text
  return %p
}
"""


def test_a_question_that_cannot_be_asked(sides: Side) -> None:
    """Scoring from behind the prompt's end is an error of rows whose prompt is short."""
    rows = [{"word": "short"}, {"word": "long " * 30}]
    states = sides.compare(ASKING, asking, rows, left=1)
    assert "logprob_start_len" in str(states[0].error) and states[1].error is None


def test_a_request_that_fails(sides: Side) -> None:
    """A prompt that no pool holds, and text that can't be encoded, fail their rows alone."""
    rows = [{"word": "word"}, {"word": "long " * 9000}, {"word": "half \ud800 of it"}, {"word": "word word " * 10}]
    text = ASKING.replace("20", "0")

    @sglc.function
    def program(s: State, word: str) -> None:
        s += word
        fork, other = s.fork(2)
        fork += sglc.gen("a", max_tokens=3, return_logprob=True, logprob_start_len=0)
        other += "!" + sglc.gen("b", max_tokens=3)

    states = sides.compare(text, program, rows, left=2)
    assert [state.error is None for state in states] == [True, False, False, True]


@sglc.function
def choosing(s: State, word: str, other: str) -> str:
    s += "one of: " + sglc.select("way", choices=[word, other])
    return sglc.call(TOOLS.look, s["way"])


CHOOSING = """
graph @choosing(%word: text, %other: text) {
  %0 = empty : prompt
  %1 = const {value = "one of: "} : text
  %2 = append %0, %1 : prompt
  %3, %way = select %2, %word, %other {site = ":0?0"} : prompt, text
  %4 = call %way {fn = "look", number = 0} : value
  return %3 -> %4, way = %way
}
"""


def test_a_choice_that_is_empty(sides: Side) -> None:
    """An empty choice is an error of its row."""
    rows = [{"word": "a", "other": ""}, {"word": "a", "other": "b"}]
    states = sides.compare(CHOOSING, choosing, rows, {"look": TOOLS.look}, left=1)
    assert "non-empty" in str(states[0].error)
    assert len(TOOLS.calls) == 2


def test_a_value_without_a_case(sides: Side) -> None:
    """A row that no case is for leaves."""

    @sglc.function
    def program(s: State, word: str) -> str:
        s += word
        return "x" if word == "x" else "other"

    text = """
    graph @program(%word: text) {
      %0 = empty : prompt
      %1 = append %0, %word : prompt
      branch %word {
        case "x" {
          return %1 -> %word
        }
      }
    }
    """
    states = sides.compare(text, program, [{"word": "x"}, {"word": "y"}], left=1)
    assert [state.ret_value for state in states] == ["x", "other"]


def test_statements_that_can_never_run_here(sides: Side) -> None:
    """A role inside a role, and samplings that do not go together, are told by the eager run, before any call."""

    @sglc.function
    def nested(s: State, word: str) -> None:
        sglc.call(TOOLS.look)
        with s.user():
            s += word + sglc.assistant("nested")

    nested_text = """
    graph @nested(%word: text) {
      %0 = empty : prompt
      %1 = call {fn = "look", number = 0} : value
      %2 = begin %0 {role = "user"} : prompt
      %3 = append %2, %word : prompt
      %4 = begin %3 {role = "assistant"} : prompt
      return %4
    }
    """
    sides.compare(nested_text, nested, WORDS[:1], {"look": TOOLS.look}, left=1)
    assert len(TOOLS.calls) == 2

    @sglc.function
    def least(s: State, word: str) -> None:
        s += word + sglc.gen("a", max_tokens=2)

    least_text = """
    graph @least(%word: text) {
      %0 = empty : prompt
      %1 = append %0, %word : prompt
      %2, %a = gen %1 {site = ":0", max_new_tokens = 2} : prompt, text
      return %2, a = %a
    }
    """
    sides.compare(least_text, least, WORDS[:1])
    (state,) = sides.compare(least_text, least, WORDS[:1], left=1, min_new_tokens=3)
    assert "min_new_tokens" in str(state.error)


def test_a_tokenizer_without_a_template(sides: Side) -> None:
    """Roles without a chat template are an error with the line of the role."""
    from tests.tokenizers import spaced

    tokenizer = sglc.backend.tokenizer.Tokenizer(spaced("always"))  # type: ignore[attr-defined]
    with closing(Side(tokenizer=tokenizer)) as bare:

        @sglc.function
        def program(s: State, word: str) -> None:
            s += sglc.user(word)

        text = """
        graph @program(%word: text) {
          %0 = empty : prompt
          %1 = begin %0 {role = "user"} : prompt
          %2 = append %1, %word : prompt
          %3 = end %2 {role = "user"} : prompt
          %4 = rest %3 : prompt
          return %4
        }
        """
        (state,) = bare.compare(text, program, WORDS[:1], left=1)
    assert "without a chat template" in str(state.error)


# Withdrawal, contexts, threads
