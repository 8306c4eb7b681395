"""Claims and pins in an engine: what rows go on from stays, nobody waits for ever, and nothing is left behind."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from sglc.backend.claim import Claim
from sglc.backend.engine import Engine
from sglc.backend.request import Completion, Event, Request
from sglc.backend.step import Ints, Step
from tests.asking import WAIT_SECONDS, Mailbox, ask, assert_idle, request, watch

FULL = os.environ.get("SGLC_TEST_FULL") == "1"


def engine_with(**settings: Any) -> closing[Engine]:
    return closing(Engine("replay:hash", check=True, **settings))


def tokens(first: int, count: int) -> list[int]:
    return [0, *range(first, first + count - 1)]


def peek(engine: Engine, prompt: Sequence[int]) -> int:
    """Return how many tokens of a prompt an engine has KV of; asked between two steps."""
    assert engine._tree is not None
    return engine._tree.peek(np.array(prompt, np.int64))


# Claims


def test_what_a_row_goes_on_from_outlasts_what_was_used_later() -> None:
    with engine_with(kv_tokens=40, max_running=1) as engine:
        claim = Claim()
        ask(engine, [tokens(10, 10)], planned=True, claim=claim, max_new_tokens=1)
        ask(engine, [tokens(100 * i, 12) for i in range(1, 5)], planned=True, max_new_tokens=1)
        assert peek(engine, tokens(10, 10)) == 10
        engine.drop_claims([claim])
        ask(engine, [tokens(100 * i, 14) for i in range(5, 8)], planned=True, max_new_tokens=1)
        assert peek(engine, tokens(10, 10)) == 1
    assert_idle(engine)
    assert claim.node is None and not engine._scheduler.kept.claims


def test_what_is_claimed_goes_where_nothing_else_does() -> None:
    with engine_with(kv_tokens=30) as engine:
        claim = Claim(ahead=1000)
        ask(engine, [tokens(10, 20)], planned=True, claim=claim, max_new_tokens=1)
        (said,) = ask(engine, [tokens(100, 20)], planned=True, max_new_tokens=8, ignore_eos=True)
        assert len(said.tokens) == 8
        assert claim.node is not None and claim.node.depth < 20
        engine.drop_claims([claim])
    assert_idle(engine)


def test_a_claim_that_is_dropped_before_its_request_has_finished_is_none() -> None:
    with engine_with() as engine:
        claim = Claim()
        engine.drop_claims([claim])
        ask(engine, [tokens(10, 10)], planned=True, claim=claim, max_new_tokens=1)
        assert claim.node is None
    assert_idle(engine)


def test_others_wait_for_a_row_but_not_for_ever() -> None:
    """A row with all of the room ahead of it goes on late: another begins at once, and a third after some steps."""
    with engine_with(kv_tokens=400) as engine:
        claim = Claim(ahead=10_000)
        ask(engine, [tokens(10, 10)], planned=True, claim=claim, max_new_tokens=1)
        running: list[int] = []
        watch(engine, lambda step: running.append(len(step.lengths)))
        mailbox = Mailbox()
        asked = [
            request(mailbox, tokens(100 * i, 10), i, planned=True, max_new_tokens=100, ignore_eos=True) for i in (1, 2)
        ]
        engine.submit(asked)
        mailbox.wait(asked)
        assert running[0] == 1 and 2 in running[:80]
        assert claim.node is None
    assert_idle(engine)


def test_a_claim_lapses_whose_maker_is_gone() -> None:
    with engine_with(kv_tokens=60) as engine:
        claim, mailbox = Claim(ahead=1000), Mailbox()
        ask(engine, [tokens(10, 10)], planned=True, claim=claim, max_new_tokens=1)
        withdrawn = request(mailbox, tokens(10, 12), planned=True, behind=claim)
        withdrawn.cancelled = True
        engine.submit([withdrawn])
        ask(engine, [tokens(100 * i, 20) for i in range(1, 8)], planned=True, max_new_tokens=40, ignore_eos=True)
        assert claim.node is None
    assert_idle(engine)


def test_those_that_go_on_come_before_new_ones() -> None:
    with engine_with(max_running=1) as engine:
        claim = Claim(ahead=20)
        (said,) = ask(engine, [tokens(10, 10)], planned=True, claim=claim, max_new_tokens=4, ignore_eos=True)
        steps: list[Step] = []
        watch(engine, steps.append)
        mailbox = Mailbox()
        prompt = [*tokens(10, 10), *said.tokens.tolist(), 7]
        asked = [
            request(mailbox, tokens(100, 10), 1, planned=True, max_new_tokens=1),
            request(mailbox, prompt, 2, planned=True, behind=claim, max_new_tokens=1),
        ]
        engine.submit(asked)
        _, second = mailbox.wait(asked)
        assert isinstance(second, Completion) and second.filled == 2
        assert [int(step.token_ids[-1]) for step in steps] == [7, 108]
        engine.drop_claims([claim])
    assert_idle(engine)


class Rows:
    """Rows of a random tree of requests each, every one asked once the one that it goes on from has been answered."""

    def __init__(self, rng: random.Random, engine: Engine, longest: int, *, leaves_claims: bool) -> None:
        self.engine = engine
        self.ended = threading.Event()
        self._rng = rng
        self._longest = longest
        self._leaves_claims = leaves_claims
        self._open: set[Request] = set()
        self.completions = 0
        self._lock = threading.Lock()

    def ask(self, row: int, prompt: list[int], depth: int, behind: Claim | None) -> list[Request]:
        """Return the requests behind a prompt: one or more branches."""
        rng = self._rng
        made = []
        for branch in range(rng.choice([1, 1, 2])):
            more = [rng.randint(3, 400) for _ in range(rng.randint(1, 6))]
            most = rng.randint(1, 8)
            if len(prompt) + len(more) + most - 1 > self._longest:
                continue
            goes_on = depth > 0 and rng.random() < 0.8
            made.append(
                request(
                    self._hear,  # type: ignore[arg-type]  # a sink
                    prompt + more,
                    planned=rng.random() < 0.9,
                    priority=(row, 9 - depth, branch),
                    max_new_tokens=most,
                    ignore_eos=rng.random() < 0.5,
                    claim=Claim(rng.choice([0, 5, 1000])) if goes_on else None,
                    behind=behind,
                    ahead=rng.choice([0, 5, 1000]) if goes_on else 0,
                )
            )
            if rng.random() < 0.05:
                made[-1].cancelled = True
        with self._lock:
            self._open.update(each for each in made if not each.cancelled)
        return made

    def _hear(self, events: Sequence[tuple[Request, Event]]) -> None:
        new: list[Request] = []
        dropped: list[Claim] = []
        for asked, event in events:
            assert isinstance(event, Completion), event
            self.completions += 1
            claim = asked.claim
            if claim is not None:
                prompt = [*asked.tokens.tolist(), *event.tokens.tolist()]
                row = asked.priority[0]
                new += self.ask(row, prompt, 8 - asked.priority[1], claim)
                if not self._leaves_claims and not (new and self._rng.random() < 0.5):
                    dropped.append(claim)
        with self._lock:
            self._open.difference_update(asked for asked, _ in events)
            over = not self._open
        if new:
            self.engine.submit(new, dropped)
        else:
            self.engine.drop_claims(dropped)
        if over:
            self.ended.set()


@pytest.mark.parametrize("seed", range(200 if FULL else 8))
@pytest.mark.parametrize("leaves_claims", [False, True], ids=["tidy", "leaves its claims"])
def test_no_row_is_lost_however_tight_it_is(seed: int, leaves_claims: bool) -> None:
    rng = random.Random(seed)
    longest = rng.randint(12, 60)
    with engine_with(kv_tokens=longest + rng.choice([0, 3, 40]), max_step_tokens=rng.choice([5, 64])) as engine:
        pins = [
            engine.pin([np.array([0, *range(3, 3 + rng.randint(1, longest - 2))])]) for _ in range(rng.randint(0, 2))
        ]
        rows = Rows(rng, engine, longest, leaves_claims=leaves_claims)
        asked = [each for row in range(12) for each in rows.ask(row, [0], rng.randint(0, 3), None)]
        engine.submit(asked)
        assert rows.ended.wait(WAIT_SECONDS), f"{len(rows._open)} requests wait for ever"
        for pin in pins:
            pin.release()
        if not leaves_claims:
            engine.drop_claims([*engine._scheduler.kept.claims])
    engine._scheduler.check()
    assert not engine._scheduler.busy
    assert engine._tree is not None and engine._tree.protected == 0
    assert rows.completions >= sum(not each.cancelled for each in asked)


def test_closing_an_engine_leaves_claims_and_rows_in_order() -> None:
    with engine_with(kv_tokens=64) as engine:
        mailbox = Mailbox()
        claims = [Claim(5) for _ in range(20)]
        asked = [
            request(mailbox, tokens(20 * i, 10), i, planned=True, claim=claim, max_new_tokens=8)
            for i, claim in enumerate(claims, 1)
        ]
        engine.submit(asked)
        for each in asked[::2]:
            each.cancelled = True
    assert len(mailbox.wait(asked[1::2])) == 10
    engine.drop_claims(claims)
    assert_idle(engine)
    assert engine._tree is not None and engine._tree.claimed == 0


def test_a_failed_step_forgets_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    with engine_with() as engine:
        claim = Claim()
        pin = engine.pin([np.array(tokens(10, 5))])
        ask(engine, [tokens(10, 10)], planned=True, claim=claim, max_new_tokens=1)
        forward = engine.model.forward
        monkeypatch.setattr(engine.model, "forward", lambda step: 1 / 0)
        with pytest.raises(Exception, match="ZeroDivisionError"):
            ask(engine, [tokens(50, 10)], planned=True)
        assert claim.node is None
        monkeypatch.setattr(engine.model, "forward", forward)
        ask(engine, [tokens(10, 10)], planned=True)
        assert engine._tree is not None and engine._tree.protected == 5
        pin.release()
    assert_idle(engine)


# Pins


def pinned(prompt: Sequence[int]) -> list[Ints]:
    return [np.array(prompt, np.int64)]


def test_what_is_pinned_stays_once_it_is_computed() -> None:
    with engine_with(kv_tokens=40, max_running=1) as engine:
        pin = engine.pin(pinned(tokens(10, 8)))
        ask(engine, [tokens(10, 4), tokens(10, 12)], planned=True, max_new_tokens=1)
        others = [tokens(100 * i, 20) for i in range(1, 6)]
        ask(engine, others, planned=True, max_new_tokens=1)
        assert peek(engine, tokens(10, 12)) == 8
        assert engine.flush_cache()
        ask(engine, others[:1], max_new_tokens=1)
        assert peek(engine, tokens(10, 12)) == 8
        pin.release()
        pin.release()
        ask(engine, [tokens(700, 35)], max_new_tokens=1)
        assert peek(engine, tokens(10, 12)) < 8
    assert_idle(engine)


def test_a_pin_gives_way_where_nothing_could_run(caplog: pytest.LogCaptureFixture) -> None:
    with engine_with(kv_tokens=30) as engine, caplog.at_level(logging.INFO, "sglc"):
        pin = engine.pin(pinned(tokens(10, 25)))
        ask(engine, [tokens(10, 25)], max_new_tokens=1)
        (said,) = ask(engine, [tokens(100, 20)], max_new_tokens=8, ignore_eos=True)
        assert len(said.tokens) == 8
        assert "pinned prompts of 25 tokens give way" in caplog.text
        pin.release()
    assert_idle(engine)


def test_without_a_cache_there_is_nothing_to_keep() -> None:
    with engine_with(cache=False) as engine:
        claim, pin = Claim(), engine.pin(pinned(tokens(10, 5)))
        ask(engine, [tokens(10, 10)] * 2, planned=True, claim=claim, max_new_tokens=2)
        engine.drop_claims([claim])
        pin.release()
    assert_idle(engine)
