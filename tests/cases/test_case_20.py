"""Case 20: forks at the edges: of nothing, into one, inside a message, after an image."""

import pytest

import sglc
from tests.cases.models import Models, line_marked
from tests.cases.test_case_05 import turn


def test_a_fork_of_an_empty_state(models: Models) -> None:
    """Fork on an empty state."""

    @sglc.function
    def empty(s):
        forks = s.fork(2)
        forks += lambda i: f"Branch {i}:" + sglc.gen("x", max_tokens=2)
        forks.join()
        s += "Joined:" + "".join(s["x"])
        return [fork.text() for fork in forks]

    state = models.run_one(empty)
    assert state.ret_value == [f"Branch {i}:{state['x'][i]}" for i in range(2)]
    assert state.text() == "Joined:" + "".join(state["x"])


def test_a_fork_of_one(models: Models) -> None:
    """Fork(1)."""

    @sglc.function
    def single(s):
        s += "Here:"
        fork = s.fork(1)
        fork += sglc.gen("x", max_tokens=2)
        fork.join()
        return fork[0].text()

    state = models.run_one(single)
    (x,) = state["x"]
    assert state.ret_value == "Here:" + x
    assert state.text() == "Here:"


def test_a_fork_inside_an_open_message(models: Models) -> None:
    """Fork inside an open role: each branch goes on in the message and may close it."""

    @sglc.function
    def inside(s):
        s += sglc.user("Who?")
        s += sglc.assistant_begin() + "It was "
        forks = s.fork(2)
        for branch in forks:
            branch += sglc.gen("who", max_tokens=2) + sglc.assistant_end() + sglc.user("Sure?")
        s += "me." + sglc.assistant_end()
        return [(branch.text(), branch.messages()[1]["content"], branch["who"]) for branch in forks]

    state = models.run_one(inside)
    for text, content, who in state.ret_value:
        assert text == turn("user", "Who?") + turn("assistant", "It was " + who) + turn("user", "Sure?")
        assert content == "It was " + who
    assert state.text() == turn("user", "Who?") + turn("assistant", "It was me.")


def test_a_fork_after_an_image(models: Models) -> None:
    """Fork after an image: refused where the image is."""

    @sglc.function
    def picture(s):
        s += sglc.user("Look: " + sglc.image("cat.png"))  # here
        s.fork(2)

    with pytest.raises(sglc.Unsupported, match="image processor") as caught:
        models.run_one(picture)
    assert caught.value.location == line_marked(picture, "here")
