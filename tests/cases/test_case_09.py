"""Case 9: a ReAct loop with a bound, a select that ends it, and unnamed generations."""

import pytest

import sglc
from sglc.language.state import ProgramState
from tests.cases.models import Models

BOUND = 4
QUESTIONS = [f"Which river runs through town {n}?" for n in range(12)]


@sglc.function
def react(s, question):
    s += f"Question: {question}\n"
    for i in range(1, BOUND + 1):
        s += f"Thought {i}:" + sglc.gen(max_tokens=4) + "\n"
        s += f"Act {i}: " + sglc.select("action", choices=["look", "ask", "end"])
        if s["action"] == "end":
            s += "[" + sglc.gen("answer", max_tokens=3) + "]\n"
            break
        s += "[" + sglc.gen(max_tokens=3) + "]\n"
        s += f"Observation {i}: nothing about {question}\n"
    return i


@pytest.fixture(scope="module")
def states(shared_models: Models) -> list[ProgramState]:
    """The finished states of all questions."""
    return shared_models.run(react, [(question,) for question in QUESTIONS])


def test_the_loop_ends_at_its_bound(states: list[ProgramState]) -> None:
    """Bounded for."""
    unfinished = [state for state in states if state["action"] != "end"]
    assert unfinished
    for state in unfinished:
        assert state.ret_value == BOUND
        assert f"Observation {BOUND}: " in state.text()
        assert f"Thought {BOUND + 1}" not in state.text()


def test_a_select_ends_the_loop(states: list[ProgramState]) -> None:
    """Select -> branch -> break."""
    finished = [state for state in states if state["action"] == "end"]
    assert finished
    for state in finished:
        last = state.ret_value
        assert state.text().endswith(f"Act {last}: end[{state['answer']}]\n")
        assert f"Observation {last}" not in state.text()


def test_unnamed_generations_set_no_variable(states: list[ProgramState]) -> None:
    """Unnamed gens."""
    for state in states:
        assert set(state.variables()) <= {"action", "answer"}


def test_the_loop_index_is_in_the_text(states: list[ProgramState]) -> None:
    """F-strings with the loop index."""
    for state in states:
        places = [state.text().index(f"\nThought {i}:") for i in range(1, state.ret_value + 1)]
        assert places == sorted(places)
        assert len(places) == state.ret_value
