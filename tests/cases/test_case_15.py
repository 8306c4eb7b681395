"""Case 15: a fork over constants, and every way to write to its branches."""

import pytest

import sglc
from sglc.language.function import SglFunction
from tests.cases.models import Models

TIPS = ["stay healthy", "sleep well", "save money"]


@sglc.function
def by_index(s, head):
    s += head
    forks = s.fork(3)
    forks[0] += "Tip: stay healthy:" + sglc.gen("tip", max_tokens=4)
    forks[1] += "Tip: sleep well:" + sglc.gen("tip", max_tokens=4)
    forks[2] += "Tip: save money:" + sglc.gen("tip", max_tokens=4)
    return [fork.text() for fork in forks]


@sglc.function
def by_loop(s, head):
    s += head
    forks = s.fork(len(TIPS))
    tips = iter(TIPS)
    for fork in forks:
        fork += "Tip: " + next(tips) + ":" + sglc.gen("tip", max_tokens=4)
    return [fork.text() for fork in forks]


@sglc.function
def by_enumerate(s, head):
    s += head
    forks = s.fork(len(TIPS))
    for i, fork in enumerate(forks):
        fork += f"Tip: {TIPS[i]}:" + sglc.gen("tip", max_tokens=4)
    return [fork.text() for fork in forks]


@sglc.function
def by_function(s, head):
    s += head
    forks = s.fork(len(TIPS))
    forks += lambda i: f"Tip: {TIPS[i]}:" + sglc.gen("tip", max_tokens=4)
    return [fork.text() for fork in forks]


@sglc.function
def by_list(s, head):
    s += head
    forks = s.fork(len(TIPS))
    forks += [f"Tip: {tip}:" + sglc.gen("tip", max_tokens=4) for tip in TIPS]
    return [fork.text() for fork in forks]


@sglc.function
def by_one_expression(s, head):
    s += head
    forks = s.fork(len(TIPS))
    forks += "Tip: "
    forks += [tip + ":" for tip in TIPS]
    forks += sglc.gen("tip", max_tokens=4)
    return [fork.text() for fork in forks]


def expect_tips(models: Models, program: SglFunction) -> list[str]:
    """Check that each branch goes on from the parent with its own tip, and return the branches' texts."""
    state = models.run_one(program, head="Three tips.\n")
    assert state.text() == "Three tips.\n"
    texts: list[str] = state.ret_value
    for text, tip in zip(texts, TIPS, strict=True):
        assert text.startswith(f"Three tips.\nTip: {tip}:")
        assert len(text) > len(f"Three tips.\nTip: {tip}:")
    return texts


def test_index(models: Models) -> None:
    """Index."""
    expect_tips(models, by_index)


def test_loop(models: Models) -> None:
    """Loop."""
    assert expect_tips(models, by_loop) == expect_tips(models, by_index)


def test_enumerate(models: Models) -> None:
    """Enumerate."""
    assert expect_tips(models, by_enumerate) == expect_tips(models, by_index)


def test_a_function_of_the_index(models: Models) -> None:
    """Lambda-broadcast."""
    assert expect_tips(models, by_function) == expect_tips(models, by_index)


def test_a_list_of_expressions(models: Models) -> None:
    """List-broadcast."""
    assert expect_tips(models, by_list) == expect_tips(models, by_index)


def test_the_same_expression_for_all(models: Models) -> None:
    """Same-expr broadcast, text included."""
    assert expect_tips(models, by_one_expression) == expect_tips(models, by_index)


def test_a_list_of_another_length_is_refused(models: Models) -> None:
    """A list-broadcast that does not fit the branches."""

    @sglc.function
    def short(s):
        forks = s.fork(3)
        forks += ["a", "b"]

    with pytest.raises(sglc.ProgramError, match="found 2 parts for 3 branches; wanted one each"):
        models.run_one(short)
