"""Statements that are served: a row that knows some answers already asks for the others only, and is none the wiser."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

import sglc
from sglc.backend.decoding import Decoded
from sglc.backend.exchange import Exchange
from sglc.backend.host_call import CallOutcome
from sglc.backend.prompt import Prompt
from sglc.backend.scoring import Scored
from sglc.backend.served import NOTHING, Served
from sglc.language.choice import Choice
from sglc.language.function import params_of
from sglc.language.generation import Generation
from sglc.language.loop import ProgramLoop
from sglc.language.row import Row
from sglc.language.state import ProgramState
from tests.plans import observed

State = Any
CALLS: list[str] = []


def look(text: str) -> str:
    """Note a call."""
    CALLS.append(text)
    if text == "fail":
        raise LookupError(text)
    return text.upper()


@sglc.function
def inner(s: State, text: str) -> None:
    s += text + sglc.gen("in", max_tokens=2)


@sglc.function
def program(s: State) -> list[Any]:
    s += sglc.user("Hello") + sglc.assistant(sglc.gen("a", max_tokens=5, n=2, temperature=1.0))
    forks = s.fork(2)
    for fork, word in zip(forks, ("x", "y"), strict=True):
        fork += word + sglc.separate_reasoning(sglc.gen("b", max_tokens=5), "qwen3-thinking")
        fork += sglc.select("c", choices=["one", "two"]) + sglc.select("d", choices=["three", "four"])
    forks.join()
    found = sglc.call(look, s["b"][0])
    try:
        sglc.call(look, "fail")
    except LookupError as error:
        found += str(error)
    nested = inner(found)
    s += nested.text() + sglc.gen("e", max_tokens=3, temperature=1.0)
    s += sglc.select("f", choices=[s["e"], "five"], choices_method=sglc.unconditional_likelihood_normalized)
    return [nested["in"], s.get_meta_info("a")["samples"][1]["completion_tokens"], sglc.call(look, s["f"])]


class Notes:
    """All that came of the questions and calls of a run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.generations: dict[str, Decoded] = {}
        self.choices: dict[str, Scored] = {}
        self.calls: dict[int, CallOutcome] = {}
        self.wanted: dict[str, Any] = {}
        take_generation, take_choice, run_call = Generation._take, Choice._take, Exchange.call

        def generation(statement: Generation, decoded: Decoded, asked: Prompt) -> None:
            self.generations[statement._site] = decoded
            take_generation(statement, decoded, asked)

        def choice(statement: Choice, scored: Scored, asked: Prompt) -> None:
            self.choices[statement._site] = scored
            take_choice(statement, scored, asked)

        def call(exchange: Exchange, fn: Any, args: Any, kwargs: Any, context: Any, done: Any, **where: int) -> None:
            number = len(self.calls)

            def noted(outcome: CallOutcome) -> None:
                self.calls[number] = outcome
                done(outcome)

            run_call(exchange, fn, args, kwargs, context, noted, **where)

        monkeypatch.setattr(Generation, "_take", generation)
        monkeypatch.setattr(Choice, "_take", choice)
        monkeypatch.setattr(Exchange, "call", call)


def run(served: Served, engine: sglc.Engine) -> ProgramState:
    """Run the program by a row that knows this much."""
    finished: list[Row] = []
    with closing(ProgramLoop(engine, finished.append)) as loop:
        row = Row(loop, program.func, {}, params_of({}), 0, streamed=False)
        row.served = served
        loop.spawn(row)
        loop.run_until(lambda: bool(finished))
    row.raise_for_error()
    return row.state


def said(state: ProgramState) -> dict[str, Any]:
    """Return all of a state but what it cost."""
    return {**observed(state), "costs": None}


@pytest.fixture
def notes(engine: sglc.Engine) -> Notes:
    """What came of a run that knew nothing."""
    with pytest.MonkeyPatch.context() as patch:
        notes = Notes(patch)
        notes.wanted = said(run(NOTHING, engine))
    return notes


def test_sites(notes: Notes) -> None:
    """A generation is known by its path and the generations before it, a choice by the choices before it, too."""
    assert sorted(notes.generations) == ["/1.0.0:0", "/1.0.1:0", "/1.call1:0", ":0", ":1"]
    assert sorted(notes.choices) == ["/1.0.0:1?0", "/1.0.0:1?1", "/1.0.1:1?0", "/1.0.1:1?1", ":2?0"]
    assert [repr(notes.calls[number].error) for number in range(3)] == ["None", "LookupError('fail')", "None"]


def test_a_row_that_knows_everything_asks_nothing(engine: sglc.Engine, notes: Notes) -> None:
    """No question, no call, no cost; all that can be seen is the same."""
    CALLS.clear()
    before = engine.counters.requests
    state = run(Served(notes.generations, notes.choices, notes.calls), engine)
    assert said(state) == notes.wanted
    assert (engine.counters.requests, CALLS, state.counters.requests) == (before, [], 0)


def test_a_row_that_lacks_one_answer_asks_for_that(engine: sglc.Engine, notes: Notes) -> None:
    """Each generation, choice or call that is not served is asked for or made, and no other."""
    costs = {":0": 2}
    for site in [*notes.generations]:
        others = {key: value for key, value in notes.generations.items() if key != site}
        state = run(Served(others, dict(notes.choices), dict(notes.calls)), engine)
        assert said(state) == notes.wanted
        assert state.counters.requests == costs.get(site, 1)
    for site in [*notes.choices]:
        others = {key: value for key, value in notes.choices.items() if key != site}
        state = run(Served(dict(notes.generations), others, dict(notes.calls)), engine)
        assert said(state) == notes.wanted
        assert state.counters.requests == (4 if site == ":2?0" else 2)
    for number in (0, 1, 2):
        CALLS.clear()
        others = {key: value for key, value in notes.calls.items() if key != number}
        state = run(Served(dict(notes.generations), dict(notes.choices), others), engine)
        assert said(state) == notes.wanted
        assert len(CALLS) == 1
