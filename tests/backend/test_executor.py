"""Captured programs come to what they come to eagerly: tokens, texts, variables, reports, order of calls, errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import sglc
from sglc.language.returned import ReturnedState
from tests.asking import assert_idle
from tests.plans import Side

State = Any
PLANTS = ("yes", " no", "\n\n", "好的")
WORDS = [{"word": f"word {i}"} for i in range(12)]


@pytest.fixture(scope="module")
def sides() -> Iterator[Side]:
    """An engine and its reference; when all is over, nothing runs and no KV is locked."""
    with closing(Side(plant=PLANTS)) as sides:
        yield sides
    assert_idle(sides.engine)


# Prompts


@sglc.function
def two_questions(s: State, word: str) -> str:
    s += "About "
    s += word
    s += ":\n" + sglc.gen("first", max_tokens=6, stop="\n") + "; "
    s += sglc.gen("second", max_tokens=4, temperature=1.0, seed=3, n=2)
    return s["first"] + "!"


TWO_QUESTIONS = """
graph @two_questions(%word: text) {
  %0 = empty : prompt
  %1 = const {value = "About "} : text
  %2 = append %0, %1 : prompt
  %3 = append %2, %word : prompt
  %4 = const {value = ":\\n"} : text
  %5 = append %3, %4 : prompt
  %6, %first = gen %5 {site = ":0", max_new_tokens = 6, stop = ["\\n"]} : prompt, text
  %7 = const {value = "; "} : text
  %8 = append %6, %7 : prompt
  %9, %second = gen %8 {site = ":1", max_new_tokens = 4, temperature = 1.0, seed = 3, n = 2} : prompt, texts
  %10 = const {value = "!"} : text
  %11 = concat %first, %10 : text
  return %9 -> %11, first = %first, second = %second
}
"""


def test_generations_in_a_line(sides: Side) -> None:
    """Prompts, texts, samples, reports and the returned value are those of the eager run."""
    states = sides.compare(TWO_QUESTIONS, two_questions, WORDS, temperature=0.7)
    assert all(isinstance(state, ReturnedState) for state in states)
    assert len({state.text() for state in states}) == len(WORDS)


def test_many_rows_at_once(sides: Side) -> None:
    """However crowded the engine is, each row says what it says alone."""
    rows = [{"word": f"{'word ' * (i % 7)}{i}"} for i in range(300)]
    sides.compare(TWO_QUESTIONS, two_questions, rows, temperature=1.0)


def test_the_samplings_of_a_run(sides: Side) -> None:
    """What a gen leaves out comes from the run; a plan runs with many."""
    for sampling in ({"temperature": 0}, {"seed": 7}, {"return_logprob": True, "top_logprobs_num": 2}):
        sides.compare(TWO_QUESTIONS, two_questions, WORDS[:3], **sampling)


@sglc.function
def forked(s: State, word: str) -> None:
    s += word
    forks = s.fork(3)
    forks += lambda i: f"<{i}>" + sglc.gen("said", max_tokens=3 + i)
    forks.join("concate_and_append")
    s += " so: "
    with s.var_scope("whole"):
        s += sglc.gen("all", max_tokens=3) + "."
    s["shout"] = s["whole"].upper()


FORKED = """
graph @forked(%word: text) {
  %0 = empty : prompt
  %p = append %0, %word : prompt
  %1 = const {value = "<0>"} : text
  %2 = append %p, %1 : prompt
  %3, %a = gen %2 {site = "/0.0.0:0", max_new_tokens = 3} : prompt, text
  %4 = const {value = "<1>"} : text
  %5 = append %p, %4 : prompt
  %6, %b = gen %5 {site = "/0.0.1:0", max_new_tokens = 4} : prompt, text
  %7 = const {value = "<2>"} : text
  %8 = append %p, %7 : prompt
  %9, %c = gen %8 {site = "/0.0.2:0", max_new_tokens = 5} : prompt, text
  %10 = since %p, %3 : text
  %11 = since %p, %6 : text
  %12 = since %p, %9 : text
  %13 = append %p, %10 : prompt
  %14 = append %13, %11 : prompt
  %15 = append %14, %12 : prompt
  %16 = const {value = " so: "} : text
  %17 = append %15, %16 : prompt
  %18, %all = gen %17 {site = ":0", max_new_tokens = 3} : prompt, text
  %19 = const {value = "."} : text
  %20 = append %18, %19 : prompt
  %whole = since %17, %20 : text
  %shout = apply %whole {fn = "str.upper"} : text
  return %20, all = %all, whole = %whole, shout = %shout
}
"""


def test_forks_joins_and_scopes(sides: Side) -> None:
    """A prompt that is used several times is a fork; texts since one come back."""
    (state, *_) = sides.compare(FORKED, forked, WORDS, temperature=1.0)
    assert "<2>" in state.text() and state["shout"] == state["whole"].upper()
    assert [name for name, report in state.finish().items() if report] == ["all"]


@sglc.function
def talk(s: State, word: str) -> list[Any]:
    s += sglc.system("Be terse.")
    with s.user():
        s += word
    s += sglc.assistant(sglc.gen("said", max_tokens=8))
    before = s.text()
    s += sglc.user("")
    s += sglc.assistant("Sure: " + sglc.gen("more", max_tokens=5) + "")
    s += sglc.assistant_begin()
    return [before, s.messages()]


TALK = """
graph @talk(%word: text) {
  %0 = empty : prompt
  %1 = begin %0 {role = "system"} : prompt
  %2 = const {value = "Be terse."} : text
  %3 = append %1, %2 : prompt
  %4 = end %3 {role = "system"} : prompt
  %5 = begin %4 {role = "user"} : prompt
  %6 = append %5, %word : prompt
  %7 = end %6 {role = "user"} : prompt
  %8 = begin %7 {role = "assistant"} : prompt
  %9 = rest %8 : prompt
  %10, %said = gen %9 {site = ":0", max_new_tokens = 8} : prompt, text
  %11 = end %10 {role = "assistant"} : prompt
  %12 = rest %11 : prompt
  %before = text %12 : text
  %13 = begin %12 {role = "user"} : prompt
  %14 = const {value = ""} : text
  %15 = append %13, %14 : prompt
  %16 = end %15 {role = "user"} : prompt
  %17 = begin %16 {role = "assistant"} : prompt
  %18 = const {value = "Sure: "} : text
  %19 = append %17, %18 : prompt
  %20, %more = gen %19 {site = ":1", max_new_tokens = 5} : prompt, text
  %21 = append %20, %14 : prompt
  %22 = end %21 {role = "assistant"} : prompt
  %23 = begin %22 {role = "assistant"} : prompt
  %24 = rest %23 : prompt
  %25 = messages %24 : list
  %26 = list %before, %25 : list
  return %24 -> %26, said = %said, more = %more
}
"""


def test_messages(sides: Side) -> None:
    """Roles bring the chat template's text, its end of a message ends a generation, messages can be read."""
    (state, *_) = sides.compare(TALK, talk, WORDS, temperature=1.0)
    assert [message["role"] for message in state.messages()] == ["system", "user", "assistant", "user", "assistant"]
    assert state.ret_value[1] == state.messages()


@sglc.function
def thinking(s: State, word: str) -> Any:
    s += word + sglc.separate_reasoning(sglc.gen("answer", max_tokens=12, n=2), "qwen3-thinking")
    s += " then " + sglc.separate_reasoning(sglc.gen("last", max_tokens=6), "deepseek-v3")
    return s["answer_reasoning_content"]


THINKING = """
graph @thinking(%word: text) {
  %0 = empty : prompt
  %1 = append %0, %word : prompt
  %2, %answer = gen %1 {site = ":0", max_new_tokens = 12, n = 2, reasoning = "qwen3-thinking"} : prompt, texts
  %3 = thoughts %answer : texts
  %4 = const {value = " then "} : text
  %5 = append %2, %4 : prompt
  %6, %last = gen %5 {site = ":1", max_new_tokens = 6, reasoning = "deepseek-v3"} : prompt, text
  %7 = thoughts %last : text
  return %6 -> %3, answer = %answer, answer_reasoning_content = %3, last = %last, last_reasoning_content = %7
}
"""


def test_thoughts(sides: Side) -> None:
    """Thoughts leave the prompt, which is text from there on."""
    sides.compare(THINKING, thinking, WORDS, temperature=1.0)


@sglc.function
def constrained(s: State, word: str) -> int:
    s += word + " = " + sglc.gen("number", regex="[0-9]{1,3}", temperature=1.0)
    s += sglc.gen("object", json_schema='{"type": "boolean"}')
    return s.get_meta_info("number")["completion_tokens"] + int(s["number"])


CONSTRAINED = """
graph @constrained(%word: text) {
  %0 = empty : prompt
  %1 = append %0, %word : prompt
  %2 = const {value = " = "} : text
  %3 = append %1, %2 : prompt
  %4, %number = gen %3 {site = ":0", temperature = 1.0, regex = "[0-9]{1,3}"} : prompt, text
  %5, %object = gen %4 {site = ":1", json_schema = "{\\"type\\": \\"boolean\\"}"} : prompt, text
  %6 = meta %number : dict
  %7 = const {value = "completion_tokens"} : text
  %8 = apply %6, %7 {fn = "getitem"} : value
  %9 = apply %number {fn = "int"} : int
  %10 = apply %8, %9 {fn = "add"} : value
  return %5 -> %10, number = %number, object = %object
}
"""


def test_constraints_and_reports(sides: Side) -> None:
    """Constraints act, and what the engine reports can be computed with."""
    sides.compare(CONSTRAINED, constrained, WORDS)


@sglc.function
def chosen(s: State, word: str) -> str:
    s += word + " is "
    s += sglc.select("way", choices=["x\n", "i\n"], choices_method=sglc.greedy_token_selection)
    if s["way"] == "x\n":
        s += "left" + sglc.gen("then", max_tokens=2)
        s += sglc.select(
            "last", choices=[s["then"] + "b", word], choices_method=sglc.unconditional_likelihood_normalized
        )
        return "left"
    s += "right"
    if "e" in sglc_text(s):
        s += "."
    return "right"


def sglc_text(s: State) -> str:
    """Return the text of a state."""
    return str(s.text())


CHOSEN = """
graph @chosen(%word: text) {
  %0 = empty : prompt
  %1 = append %0, %word : prompt
  %2 = const {value = " is "} : text
  %3 = append %1, %2 : prompt
  %4 = const {value = "x\\n"} : text
  %5 = const {value = "i\\n"} : text
  %6, %way = select %3, %4, %5 {site = ":0?0", method = "greedy_token_selection"} : prompt, text
  branch %way {
    case "x\\n" {
      %7 = const {value = "left"} : text
      %8 = append %6, %7 : prompt
      %9, %then = gen %8 {site = ":0", max_new_tokens = 2} : prompt, text
      %10 = const {value = "b"} : text
      %11 = concat %then, %10 : text
      %12, %last = select %9, %11, %word {site = ":1?1", method = "unconditional_likelihood_normalized"} : prompt, text
      return %12 -> %7, way = %way, then = %then, last = %last
    }
    case "i\\n" {
      %13 = const {value = "right"} : text
      %14 = append %6, %13 : prompt
      %15 = text %14 : text
      %16 = const {value = "e"} : text
      %17 = apply %15, %16 {fn = "contains"} : bool
      branch %17 {
        case true {
          %18 = const {value = "."} : text
          %19 = append %14, %18 : prompt
          return %19 -> %13, way = %way
        }
        case false {
          return %14 -> %13, way = %way
        }
      }
    }
  }
}
"""


def test_choices_and_branches(sides: Side) -> None:
    """Choices are scored as they are eagerly, and each case of a branch is taken by some rows."""
    words = [{"word": f"{name} {i}"} for i in range(12) for name in ("tree", "tall")]
    states = sides.compare(CHOSEN, chosen, words)
    assert {state.ret_value for state in states} == {"left", "right"}
    assert {state.text()[-1] for state in states if state.ret_value == "right"} == {"t", "."}


def test_a_program_without_questions(sides: Side) -> None:
    """A row that asks nothing is done at once."""

    @sglc.function
    def plain(s: State, word: str) -> None:
        s += word
        s += " "
        s["long"] = len(word)

    text = """
    graph @plain(%word: text) {
      %0 = empty : prompt
      %1 = append %0, %word : prompt
      %2 = const {value = " "} : text
      %3 = append %1, %2 : prompt
      %4 = apply %word {fn = "len"} : int
      return %3, long = %4
    }
    """
    sides.compare(text, plain, WORDS)


def test_containers(sides: Side) -> None:
    """Lists, tuples and dicts are made for each row, keyword arguments are given by name."""

    @sglc.function
    def gathered(s: State, word: str) -> Any:
        s += word + sglc.gen("a", max_tokens=3)
        return {"all": [s["a"], word], "pair": (word, 1), "lines": word.splitlines(keepends=True)}

    text = """
    graph @gathered(%word: text) {
      %0 = empty : prompt
      %1 = append %0, %word : prompt
      %2, %a = gen %1 {site = ":0", max_new_tokens = 3} : prompt, text
      %3 = list %a, %word : list
      %4 = const {value = 1} : int
      %5 = tuple %word, %4 : tuple
      %6 = const {value = "all"} : text
      %7 = const {value = "pair"} : text
      %8 = const {value = "lines"} : text
      %9 = const {value = true} : bool
      %10 = apply %word, %9 {fn = "str.splitlines", keywords = ["keepends"]} : texts
      %11 = dict %6, %3, %7, %5, %8, %10 : dict
      return %2 -> %11, a = %a
    }
    """
    states = sides.compare(text, gathered, [{"word": "one\ntwo"}, {"word": "three"}])
    assert states[0].ret_value["lines"] == ["one\n", "two"]
