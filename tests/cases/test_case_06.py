"""Case 6: chats of several turns, with named and unnamed generations."""

import sglc
from tests.cases.models import Models
from tests.cases.test_case_05 import turn

QUESTIONS = ["Where are you?", "Since when?", "With whom?", "And why?"]


@sglc.function
def two_turns(s, first, second):
    s += sglc.system("You are a guide.")
    s += sglc.user(first)
    s += sglc.assistant(sglc.gen("first_answer", max_tokens=6))
    s += sglc.user(second)
    s += sglc.assistant(sglc.gen("second_answer", max_tokens=6))


@sglc.function
def unnamed(s, questions):
    for question in questions:
        s += sglc.user(question)
        s += sglc.assistant(sglc.gen(max_tokens=5))


@sglc.function
def named(s, questions):
    for i, question in enumerate(questions):
        s += sglc.user(question)
        s += sglc.assistant(sglc.gen(f"answer_{i}", max_tokens=5))


def test_two_turns_with_named_generations(models: Models) -> None:
    """Two-turn chat with named gens."""
    state = models.run_one(two_turns, first=QUESTIONS[0], second=QUESTIONS[1])
    assert state.text() == (
        turn("system", "You are a guide.")
        + turn("user", QUESTIONS[0])
        + turn("assistant", state["first_answer"])
        + turn("user", QUESTIONS[1])
        + turn("assistant", state["second_answer"])
    )
    assert list(state.variables()) == ["first_answer", "second_answer"]


def test_a_turn_computes_only_what_is_new(models: Models) -> None:
    """A later turn finds the whole conversation before it in the cache, generated tokens included."""
    models.start_cold()
    state = two_turns.run(first=QUESTIONS[0], second=QUESTIONS[1])
    first, second = state.get_meta_info("first_answer"), state.get_meta_info("second_answer")
    assert second["cached_tokens"] >= first["prompt_tokens"] + first["completion_tokens"] - 2


def test_four_turns_with_unnamed_generations(models: Models) -> None:
    """Four-turn chat with unnamed gens."""
    state = models.run_one(unnamed, questions=QUESTIONS)
    messages = state.messages()
    assert [message["role"] for message in messages] == ["user", "assistant"] * 4
    assert [message["content"] for message in messages[::2]] == QUESTIONS
    assert state.variables() == {}


def test_a_loop_over_an_argument_list(models: Models) -> None:
    """Named and unnamed gens in a Python loop over an argument list: the name changes nothing else."""
    lists = [QUESTIONS[:size] for size in (1, 2, 4)]
    with_names = models.run(named, [{"questions": questions} for questions in lists])
    without = models.run(unnamed, [{"questions": questions} for questions in lists])
    for questions, a, b in zip(lists, with_names, without, strict=True):
        assert list(a.variables()) == [f"answer_{i}" for i in range(len(questions))]
        assert a.text() == b.text()
        assert [a[f"answer_{i}"].lstrip() for i in range(len(questions))] == [m["content"] for m in b.messages()[1::2]]
