"""Whose turn it is: rows one after the other, and within a row what may go on with what is said."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from sglc.backend.engine import Engine
from sglc.backend.outlook import Outlook
from sglc.backend.request import Completion, Request
from sglc.backend.sequence import Sequence
from sglc.backend.step import Step
from sglc.backend.waiting import WaitingLine
from tests.asking import Mailbox, ask, assert_idle, request, watch


@pytest.fixture(scope="module")
def engine() -> Engine:
    """One whose tokenizer sequences are made with."""
    return Engine("replay:hash")


class Line:
    """A line, and sequences in it by their names: the row's number and the prompt's tokens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.line = WaitingLine(Outlook(), None)
        self.made: dict[str, Sequence] = {}

    def add(self, row: int, tokens: str, **given: Any) -> Sequence:
        asked = request(Mailbox(), [ord(c) for c in tokens], priority=(row, len(self.made)), planned=True, **given)
        sequence = Sequence(asked, self._engine.tokenizer, asked.priority, frozenset())
        self.made[f"{row}{tokens}"] = sequence
        self.line.add(sequence)
        return sequence

    def turns(self) -> list[str]:
        """Let all begin whose turn it is; return their names."""
        begun = []
        while (sequence := self.line.first()) is not None:
            self.line.take_first()
            begun.append(next(name for name, made in self.made.items() if made is sequence))
        return begun

    def end(self, name: str, *, complete: bool = True) -> None:
        self.line.over(self.made[name], complete=complete)


@pytest.fixture
def line(engine: Engine) -> Line:
    return Line(engine)


def test_older_rows_come_first(line: Line) -> None:
    for row in (3, 1, 2):
        line.add(row, "a")
    assert line.turns() == ["1a", "2a", "3a"]


def test_what_goes_on_from_an_earlier_prompt_of_its_row_waits_for_that(line: Line) -> None:
    for tokens in ("a", "ab", "abc", "b"):
        line.add(1, tokens)
    line.add(2, "ab")
    assert line.turns() == ["1a", "1b", "2ab"]
    line.end("1a")
    assert line.turns() == ["1ab"]
    line.end("1ab", complete=False)
    assert line.turns() == ["1abc"]
    assert not line.line


def test_an_only_row_does_not_wait_for_itself(line: Line) -> None:
    line.add(1, "a")
    line.add(1, "ab")
    line.add(2, "x")
    assert line.turns() == ["1a", "2x"]
    line.end("2x")
    assert line.turns() == ["1ab"]
    line.add(1, "abc")
    assert line.turns() == ["1abc"]


def test_nothing_is_said_by_what_only_scores(line: Line) -> None:
    line.add(1, "a", max_new_tokens=0, score_from=0)
    line.add(1, "ab")
    line.add(2, "x")
    assert line.turns() == ["1a", "1ab", "2x"]


def test_the_room_of_one_that_has_ended_is_that_of_the_first_behind_it(line: Line) -> None:
    line.add(1, "x")
    line.add(2, "a")
    line.add(2, "ab")
    line.add(2, "ac")
    assert line.turns() == ["1x", "2a"]
    assert [behind.prompt_length for behind in line.made["2a"].behind] == [2, 2]
    line.add(1, "y")
    line.end("2a")
    assert line.line.first() is line.made["2ab"] and line.line.going_on
    assert line.turns() == ["2ab", "1y", "2ac"]


def test_one_that_waits_may_be_hurried(line: Line) -> None:
    line.add(1, "a")
    for tokens in ("ab", "abc", "abcd"):
        line.add(1, tokens)
    line.add(2, "x")
    assert line.turns() == ["1a", "2x"]
    assert not line.line.hurry(0)
    assert line.line.hurry(1)
    assert line.turns() == ["1ab"]
    assert not line.line.hurry(1), "one is early already"
    line.end("1ab")
    assert line.turns() == [], "the first is not over"
    assert line.line.hurry(1)
    assert line.turns() == ["1abc"]


def test_what_is_cancelled_has_no_turn_and_nobody_waits_for_it(line: Line) -> None:
    line.add(1, "a").request.cancelled = True
    line.add(1, "ab")
    line.add(2, "x")
    assert line.turns() == ["1ab", "2x"]


def test_clearing_returns_all(line: Line) -> None:
    for tokens in ("a", "ab"):
        line.add(1, tokens)
    line.add(2, "x")
    assert line.turns() == ["1a", "2x"]
    line.add(3, "y")
    assert {sequence.prompt_length for sequence in line.line.clear()} == {1, 2}
    assert not line.line


# In an engine


def replayed(rows: int, **settings: Any) -> tuple[Engine, list[Step], list[Completion]]:
    """Run rows whose prompts have what was said behind the one before, and text; return what that took."""
    options = {"max_new_tokens": 8, "ignore_eos": True}
    with closing(Engine("replay:hash")) as engine:
        prompts = [[[0, row + 3]] for row in range(rows)]
        for turn in range(3):
            said = ask(engine, [row[-1] for row in prompts], **options)
            for row, each in zip(prompts, said, strict=True):
                row.append([*row[-1], *each.tokens.tolist(), 100 + turn, 7])
    with closing(Engine("replay:hash", check=True, **settings)) as engine:
        mailbox, steps = Mailbox(), list[Step]()
        watch(engine, steps.append)
        asked: list[Request] = [
            request(mailbox, tokens, priority=(row, turn), planned=True, **options)
            for row, turns in enumerate(prompts)
            for turn, tokens in enumerate(turns, 1)
        ]
        engine.submit(asked)
        ends = [end for end in mailbox.wait(asked) if isinstance(end, Completion)]
    assert_idle(engine)
    return engine, steps, ends


def test_what_was_said_is_gone_on_with_and_not_computed_again() -> None:
    engine, steps, ends = replayed(rows=6)
    assert [end.filled for end in ends[1:4]] == [3, 3, 3], "the last token said, and the text behind it"
    assert engine.counters.filled == 1 + 6 * (1 + 3 * 3)
    assert len(steps) == 4 * 8, "the rows fill each other's steps"


def test_an_only_row_runs_side_by_side() -> None:
    assert len(replayed(rows=1)[1]) == 8


def test_rows_are_begun_when_they_fit_to_their_end() -> None:
    engine, *_ = replayed(rows=12, kv_tokens=100)
    wide, *_ = replayed(rows=12, kv_tokens=10_000)
    assert engine.counters.filled + engine.counters.refilled <= 1.4 * wide.counters.filled
