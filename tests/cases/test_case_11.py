"""Case 11: a loop that goes on until a generated value matches."""

import sglc
from tests.cases.models import Models


@sglc.function
def throw_until_six(s, bound=20):
    s += "A die is thrown until it shows six:"
    for throw in range(1, bound + 1):
        s += sglc.gen("die", regex=" [1-6]", temperature=3.0)
        if s["die"] == " 6":
            return throw
    return None


def test_the_loop_ends_when_the_value_matches(models: Models) -> None:
    """Loop until a generated value matches."""
    states = models.run(throw_until_six, [{}] * 5)
    throws = [state.ret_value for state in states]
    assert any(count is not None and count > 1 for count in throws)
    for state, count in zip(states, throws, strict=True):
        dice = state.text().split(":")[1].split()
        assert len(dice) == (count or 20)
        assert set(dice) <= set("123456")
        assert [die == "6" for die in dice] == [False] * (len(dice) - 1) + [count is not None]


@sglc.function
def throw_for_ever(s):
    s += "A die is thrown until it shows six:"
    s["die"] = ""
    while s["die"] != " 6":
        s += sglc.gen("die", regex=" [1-6]", temperature=3.0)


def test_a_loop_without_bound(models: Models) -> None:
    """The same without a bound: it can't be a graph, and must not hang while that is found out."""
    (region,) = {found.cause for found in throw_for_ever.trace().breaks}
    assert "more than 64 ways" in region
    for state in models.run(throw_for_ever, [{}] * 5):
        assert state.text().endswith(" 6")
        assert state.text().count(" 6") == 1


def test_defining_a_program_runs_none_of_it() -> None:
    """Must not hang at compile time."""
    ran = []

    @sglc.function
    def forever(s):
        while True:
            ran.append(s)

    forever.bind()
    assert forever.arg_names == []
    assert ran == []
