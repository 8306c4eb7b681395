"""Case 8: a branch on a select, whose arms set different variables."""

import pytest

import sglc
from tests.cases.models import Models, line_marked

QUESTIONS = [f"What is {n} times {n + 1}?" for n in range(12)]
TOOLS = ["calculator", "search engine"]


@sglc.function
def route(s, question):
    s += question + "\nTool:\n" + sglc.select("tool", choices=TOOLS) + "\n"
    if s["tool"] == "calculator":
        s += "Expression:" + sglc.gen("expression", max_tokens=5)
    else:
        s += "Query:" + sglc.gen("query", max_tokens=5)


@sglc.function
def careless(s, question):
    s += question + "\nTool:\n" + sglc.select("tool", choices=TOOLS)
    if s["tool"] == "calculator":
        s += sglc.gen("expression", max_tokens=2)
    else:
        s += sglc.gen("query", max_tokens=2)
    return s["expression"]  # read


def test_both_arms_happen_and_set_their_own_names(models: Models) -> None:
    """Branch on a select; both arms gen different names."""
    states = models.run(route, [(question,) for question in QUESTIONS])
    assert {state["tool"] for state in states} == {"calculator", "search engine"}
    for question, state in zip(QUESTIONS, states, strict=True):
        name, cue = ("expression", "Expression:") if state["tool"] == "calculator" else ("query", "Query:")
        assert list(state.variables()) == ["tool", name]
        assert state.text() == f"{question}\nTool:\n{state['tool']}\n{cue}{state[name]}"


def test_a_name_of_the_arm_not_taken_is_a_clear_error(models: Models) -> None:
    """Reading the name of the untaken arm must give a clear error."""
    states = models.run(careless, [(question,) for question in QUESTIONS], failing=True)
    failed = [state for state in states if state.error is not None]
    assert 0 < len(failed) < len(states)
    for state in failed:
        assert isinstance(state.error, sglc.UnknownVariable)
        assert str(state.error) == (
            f"{line_marked(careless, 'read')}: found no variable 'expression'; variables set so far: 'tool', 'query'"
        )
    assert all(isinstance(state.ret_value, str) for state in states if state.error is None)


def test_the_error_is_raised_by_run(models: Models) -> None:
    """The clear error of a single run, also for who reads the finished state."""
    state = route.run(question=QUESTIONS[0])
    missing = "query" if state["tool"] == "calculator" else "expression"
    assert missing not in state
    with pytest.raises(KeyError, match=f"found no variable '{missing}'"):
        state[missing]
