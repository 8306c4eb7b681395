"""Batches: rows of every shape, in order or as they finish, each failing by itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

import sglc
from sglc.errors import ProgramError, error_location
from tests.asking import assert_withdrawn
from tests.language.conftest import assert_located, line_of

State = Any


@sglc.function
def echo(s: State, word: str, times: int = 1) -> int:
    """Say a word and something about it; fail at some words."""
    s += word * times + sglc.gen("said", max_tokens=4, temperature=1.0)
    if word == "bad":
        raise ValueError("a bad word")  # bad
    return len(s["said"])


WORDS = [f"word {i}" for i in range(20)]


def test_rows_are_dicts_or_tuples(engine: sglc.Engine) -> None:
    states = echo.run_batch([{"word": "a"}, ("b",), ("c", 2), {"word": "d", "times": 3}])
    assert [state.text().removesuffix(state["said"]) for state in states] == ["a", "b", "cc", "ddd"]
    assert [state.index for state in states] == [0, 1, 2, 3]


def test_a_batch_says_what_single_rows_say(engine: sglc.Engine) -> None:
    together = echo.run_batch([(word,) for word in WORDS])
    one_by_one = [echo.run_batch([(word,)], indices=[i])[0] for i, word in enumerate(WORDS)]
    assert [state.text() for state in together] == [state.text() for state in one_by_one]


def test_row_numbers_decide_what_is_drawn(engine: sglc.Engine) -> None:
    first = {s.index: s.text() for s in echo.run_batch([("same",)] * 20)}
    assert len(set(first.values())) > 3
    order = [*range(19, 9, -1)]
    resumed = {s.index: s.text() for s in echo.run_batch([("same",)] * 10, indices=order)}
    assert resumed == {i: first[i] for i in order}


def test_rows_are_read_as_they_are_needed(engine: sglc.Engine) -> None:
    read = []

    def rows() -> Iterator[dict[str, str]]:
        for i in itertools.count():
            read.append(i)
            yield {"word": f"{i}"}

    states = echo.run_batch(rows(), concurrency=3, generator_style=True)
    assert [next(states).index for _ in range(10)] == [*range(10)]
    assert len(read) <= 10 + 2 * 3
    states.close()


@pytest.mark.parametrize("bound", [{"concurrency": 4}, {"num_threads": 4}])
def test_no_more_rows_are_open_than_asked(engine: sglc.Engine, bound: dict[str, int]) -> None:
    is_open, most = set(), 0

    @sglc.function
    def program(s: State, i: int) -> None:
        nonlocal most
        is_open.add(i)
        most = max(most, len(is_open))
        s += f"{i}" + sglc.gen("a", max_tokens=3)
        s["a"]
        is_open.remove(i)

    program.run_batch([(i,) for i in range(30)], **bound)
    assert most == 4


def test_as_completed(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: State, length: int) -> None:
        s += "x" + sglc.gen("a", max_tokens=length, ignore_eos=True)

    states = program.run_batch([(60,), (5,), (30,)], as_completed=True)
    assert [state.index for state in states] == [1, 2, 0]
    states = program.run_batch([(60,), (5,), (30,)], generator_style=True)
    assert [state.index for state in states] == [0, 1, 2]


def test_a_failing_row_stands_alone(engine: sglc.Engine) -> None:
    states = echo.run_batch([{"word": "good"}, {"word": "bad"}, {"wrd": "x"}, 5, ("a", 2, 3), {"word": "fine"}])
    errors = [state.error for state in states]
    assert errors[0] is errors[5] is None
    assert isinstance(errors[1], ValueError)
    assert error_location(errors[1]) == (__file__, line_of(__file__, "bad"))
    assert "row 2: echo: found the argument 'wrd'; wanted the arguments: word, times (optional)" in str(errors[2])
    assert "found a row of type int; wanted a dict or a tuple" in str(errors[3])
    assert "row 4: echo: found 3 arguments in a row" in str(errors[4])
    assert all(isinstance(error, ProgramError) for error in errors[2:5])
    assert states[5]["said"]


def test_one_row_of_a_thousand_fails(engine: sglc.Engine) -> None:
    words = [*(["good"] * 417), "bad", *(["good"] * 582)]
    states = echo.run_batch([(word,) for word in words])
    assert [state.index for state in states if state.error] == [417]
    assert all(state["said"] is not None for state in states)


def test_rows_that_break_end_the_batch(engine: sglc.Engine) -> None:
    def rows() -> Iterator[tuple[str]]:
        yield ("a",)
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        echo.run_batch(rows())


def test_a_batch_of_nothing(engine: sglc.Engine) -> None:
    assert echo.run_batch([]) == []


def test_sampling_parameters_and_nothing_else(engine: sglc.Engine) -> None:
    (state,) = echo.run_batch([("a",)], temperature=0.0, seed=4)
    assert state.params.seed == 4
    with pytest.raises(ProgramError, match=r"found run_batch\(colour=…\)") as caught:
        echo.run_batch([("a",)], colour="red")  # colour
    assert_located(caught.value, __file__, "colour")


def test_bound_arguments(engine: sglc.Engine) -> None:
    states = echo.bind(times=2).run_batch([("a",), {"word": "b"}])
    assert [state.text()[:2] for state in states] == ["aa", "bb"]


def test_the_progress_bar_goes_to_stderr(engine: sglc.Engine, capfd: pytest.CaptureFixture[str]) -> None:
    echo.run_batch([(word,) for word in WORDS], progress_bar=True)
    assert capfd.readouterr().out == ""


def test_a_batch_that_is_dropped_withdraws_its_rows(engine: sglc.Engine) -> None:
    @sglc.function
    def endless(s: State, i: int) -> None:
        s += f"{i}" + sglc.gen("a", max_tokens=1 if i == 0 else 500_000, ignore_eos=True)

    states = endless.run_batch([(i,) for i in range(8)], as_completed=True)
    assert next(states).index == 0
    states.close()
    assert_withdrawn(engine)


def test_rows_share_what_nobody_computed_yet(engine: sglc.Engine) -> None:
    header = "The very same instructions for every row, which is a good deal of text. "
    echo.run_batch([(header + str(i),) for i in range(10, 60)])
    assert engine.counters.filled < len(engine.tokenizer.encode(header)) + 50 * 4


def test_two_thousand_programs_start_no_threads(engine: sglc.Engine) -> None:
    import threading

    before = threading.active_count()
    most = 0

    @sglc.function
    def program(s: State, i: int) -> None:
        nonlocal most
        s += f"{i}" + sglc.gen("a", max_tokens=1)
        s["a"]
        most = max(most, threading.active_count())

    states = program.run_batch([(i,) for i in range(2000)], concurrency=2000)
    assert len(states) == 2000
    assert most <= before + 1


def test_a_row_that_is_no_text_fails_alone_with_its_line(engine: sglc.Engine) -> None:
    @sglc.function
    def echo(s: State, q: str) -> None:
        s += q + sglc.gen("a", max_tokens=2)

    states = echo.run_batch([{"q": "a"}, {"q": "half \ud800"}, {"q": "c"}])
    assert [state.error is None for state in states] == [True, False, True]
    assert "surrogate" in str(states[1].error)
    assert states[1].error.location.file == __file__


def test_a_row_is_handed_out_while_slow_host_code_of_others_runs(engine: sglc.Engine) -> None:
    slow = 0

    @sglc.function
    def count(s: State, n: int) -> None:
        nonlocal slow
        s += f"{n}:" + sglc.gen("a", max_tokens=1)
        s["a"]
        time.sleep(0.02)
        slow += 1

    states = count.run_batch([{"n": n} for n in range(30)], as_completed=True)
    next(states)
    assert slow < 30
    assert len(list(states)) == 29
