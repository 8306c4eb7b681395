"""Runs of which only some variables are wanted: what only others need is not computed, and nothing else can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import sglc
from sglc.errors import ProgramError, UnknownVariable

State = Any


@pytest.fixture
def engine() -> Iterator[sglc.Engine]:
    """A model that costs nothing."""
    with sglc.Engine("replay:hash") as started:
        yield started


@sglc.function
def program(s: State, question: str) -> int:
    """A generation, two forks that look at it, and a verdict."""
    s += question + sglc.gen("answer", max_tokens=8)
    forks = s.fork(2)
    for fork, side in zip(forks, ("good", "bad"), strict=True):
        fork += f"What is {side}:" + sglc.gen("view", max_tokens=8)
    forks.join()
    s += "So:" + sglc.gen("verdict", max_tokens=8)
    return 5


@pytest.mark.parametrize("eager", [False, True])
def test_what_was_asked_for_is_the_same(engine: sglc.Engine, eager: bool) -> None:
    whole = program.run("Why?", backend=engine, eager=True)
    state = program.run("Why?", backend=engine, outputs=["verdict"], eager=eager)
    assert state.variables() == {"verdict": whole["verdict"]}
    assert state.ret_value is None


def test_what_only_others_need_is_not_computed(engine: sglc.Engine) -> None:
    state = program.run("Why?", backend=engine, outputs="answer")
    assert engine.counters.requests == 1
    assert list(state.variables()) == ["answer"]


@pytest.mark.parametrize("eager", [False, True])
def test_what_was_not_asked_for_can_not_be_read(engine: sglc.Engine, eager: bool) -> None:
    state = program.run("Why?", backend=engine, outputs=["answer"], eager=eager)
    with pytest.raises(UnknownVariable, match="found no variable 'verdict'"):
        state["verdict"]
    for read in (state.text, state.messages):
        with pytest.raises(ProgramError, match=r"of a run with outputs=\('answer',\); wanted these alone"):
            read()


def test_a_level_that_there_is_not(engine: sglc.Engine) -> None:
    with pytest.raises(ProgramError, match="found optimize=4; wanted a level, 0 to 3, or a list of passes"):
        program.run("Why?", backend=engine, optimize=4)
