"""Batches whose rows run by plans: their order, what they share, and that the same batch takes the same course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import sglc
from sglc.backend.request import Request
from sglc.errors import EngineError

State = Any


class Watched(sglc.Engine):
    """An engine that notes the texts it is asked about, in order."""

    def submit(self, requests: Sequence[Request], dropped: Sequence[Any] = ()) -> None:
        """Queue requests, and note them."""
        vars(self).setdefault("asked", []).extend(self.tokenizer.decode(r.tokens) for r in requests)
        super().submit(requests, dropped)

    @property
    def texts(self) -> list[str]:
        """What was asked about."""
        return vars(self).get("asked", [])


@sglc.function
def ask(s: State, text: str) -> None:
    """One generation behind a text."""
    s += text + sglc.gen("answer", max_tokens=6)


@sglc.function
def twice(s: State, text: str) -> None:
    """Two, of which the second goes on from the first."""
    s += text + sglc.gen("first", max_tokens=6, stop="\n") + "\nAnd then:" + sglc.gen("second", max_tokens=6)


WORDS = ["pear", "apple", "fig", "apple tart", "quince", "apple pie", "fig"]
ROWS = [{"text": word} for word in WORDS]


def test_rows_begin_in_the_order_of_their_prompts() -> None:
    with Watched("replay:hash") as engine:
        states = ask.run_batch(ROWS, backend=engine)
        assert engine.texts == sorted(WORDS)
        assert [state.index for state in states] == list(range(len(WORDS)))
        assert all(state.text().startswith(word) for state, word in zip(states, WORDS, strict=True))


@pytest.mark.parametrize("options", [{"optimize": 0}, {"eager": True}])
def test_otherwise_they_begin_as_they_are_given(options: dict[str, Any]) -> None:
    with Watched("replay:hash") as engine:
        ask.run_batch(ROWS, backend=engine, **options)
        assert engine.texts == WORDS


def test_rows_that_come_one_by_one_are_not_waited_for() -> None:
    with Watched("replay:hash") as engine:
        states = ask.run_batch(iter(ROWS), backend=engine, concurrency=1)
        assert engine.texts == WORDS and len(states) == len(WORDS)


def test_no_more_of_them_are_open_than_asked() -> None:
    with sglc.Engine("replay:hash") as engine:
        steps = []
        original = engine._scheduler.plan
        engine._scheduler.plan = lambda: steps.append(works := original()) or works  # type: ignore[method-assign]
        ask.run_batch(ROWS, backend=engine, concurrency=2)
        assert max(map(len, steps)) == 2


@pytest.mark.parametrize(("temperature", "asked"), [(0, 6), (0.7, 7)])
def test_what_is_the_same_is_asked_once_if_nothing_is_drawn(temperature: float, asked: int) -> None:
    with Watched("replay:hash") as engine:
        alone = ask.run_batch(ROWS, backend=engine, eager=True, temperature=temperature)
        engine.texts.clear()
        engine.flush_cache()
        engine.reset_counters()
        states = ask.run_batch(ROWS, backend=engine, temperature=temperature)
        assert len(engine.texts) == asked
        assert [state.text() for state in states] == [state.text() for state in alone]
        assert sum(state.counters.decoded for state in states) == engine.counters.decoded
        first, second = (state for state, word in zip(states, WORDS, strict=True) if word == "fig")
        same = first.get_meta_info("answer") == second.get_meta_info("answer")
        assert same == (temperature == 0)


def test_what_is_the_same_later_is_answered_at_once() -> None:
    with Watched("replay:hash") as engine:
        twice.run_batch([{"text": "fig"}] * 5, backend=engine, temperature=0, concurrency=2)
        assert len(engine.texts) == 2


def test_rows_that_no_graph_was_found_for_share_too() -> None:
    @sglc.function
    def loops(s: State, text: str) -> None:
        while "." not in s.text() and len(s.text()) < 60:
            s += text + sglc.gen("answer", max_tokens=4)
            s["answer"]

    with Watched("replay:hash") as engine:
        states = loops.run_batch([{"text": "fig "}] * 4, backend=engine, temperature=0)
        asked = len(engine.texts)
        assert len({state.text() for state in states}) == 1
        assert asked == len(set(engine.texts))
        loops.run_batch([{"text": "fig "}] * 4, backend=engine, temperature=0, eager=True)
        assert len(engine.texts) == 5 * asked


def test_an_error_is_everybodys_own() -> None:
    with sglc.Engine("replay:hash", kv_tokens=64) as engine:
        states = ask.run_batch([{"text": "fig " * 100}] * 3 + [{"text": "fig"}], backend=engine, temperature=0)
        assert [type(state.error) for state in states] == [EngineError] * 3 + [type(None)]


def test_a_row_that_is_given_up_leaves_its_answer_to_others() -> None:
    with sglc.Engine("replay:hash") as engine:
        states = ask.run_batch([{"text": "fig"}] * 2, backend=engine, temperature=0, generator_style=True)
        first = next(states)
        states.close()
        assert first.error is None


@pytest.mark.parametrize("kv_tokens", [None, 400])
@pytest.mark.parametrize("temperature", [0, 1])
def test_the_same_batch_takes_the_same_course(kv_tokens: int | None, temperature: float) -> None:
    rows = [{"text": f"{word} number {number} of many:"} for number, word in enumerate(WORDS * 12)]
    seen = set()
    with sglc.Engine("replay:hash") as engine:
        twice.run_batch(rows[:1], backend=engine, temperature=temperature)  # compiled with a tokenizer of its own
    for _ in range(3):
        with sglc.Engine("replay:hash", kv_tokens=kv_tokens, max_running=32) as engine:
            twice.run_batch(rows, backend=engine, temperature=temperature)
            counted = engine.counters.as_dict()
            seen.add(tuple(value for name, value in counted.items() if not name.endswith("_time")))
    assert len(seen) == 1


def test_calls_that_return_at_once_are_waited_for() -> None:
    @sglc.function
    def calls(s: State, text: str) -> None:
        s += text + sglc.gen("first", max_tokens=6)
        s += sglc.call(str.upper, s["first"]) + sglc.gen("second", max_tokens=6)

    passes = set()
    for _ in range(3):
        with sglc.Engine("replay:hash") as engine:
            calls.run_batch([{"text": f"{word}:"} for word in WORDS], backend=engine, temperature=0)
            passes.add(engine.counters.forward_passes)
    assert len(passes) == 1
