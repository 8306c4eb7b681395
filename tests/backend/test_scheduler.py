"""Admission, chunks, sharing and preemption, seen from the steps the model is handed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from sglc.backend.engine import Engine
from sglc.backend.random_stream import stream_key
from sglc.backend.request import Completion
from sglc.backend.step import SCRATCH_SLOT, Step
from tests.asking import Mailbox, ask, assert_idle, request, watch

SHARED = [0, *range(100, 199)]


def engine_with(**settings: Any) -> closing[Engine]:
    return closing(Engine("replay:hash", check=True, **settings))


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A roomy pool."""
    with engine_with(kv_tokens=4096) as engine:
        yield engine
    assert_idle(engine)


def steps_of(engine: Engine) -> list[Step]:
    """Return a list that every step from now on is put in."""
    steps: list[Step] = []
    watch(engine, steps.append)
    return steps


# Sharing


def test_a_prefix_that_nobody_computed_yet_is_computed_once(engine: Engine) -> None:
    ask(engine, [[*SHARED, i, i + 1, i + 2] for i in range(200, 232)], max_new_tokens=1)
    assert engine.counters.filled == len(SHARED) + 32 * 3
    assert engine.counters.forward_passes == 1


def test_equal_prompts_are_one(engine: Engine) -> None:
    ask(engine, [SHARED] * 20, max_new_tokens=4, ignore_eos=True)
    assert engine.counters.filled == len(SHARED)
    assert engine.counters.relogit == 19


def test_without_a_cache_nothing_is_shared() -> None:
    with engine_with(cache=False) as engine:
        ask(engine, [SHARED] * 4, max_new_tokens=1)
        ask(engine, [SHARED], max_new_tokens=1)
        assert engine.counters.filled == 5 * len(SHARED)
    assert_idle(engine)


def test_kv_that_is_there_is_never_written_again(engine: Engine) -> None:
    ask(engine, [SHARED], max_new_tokens=1)
    steps = steps_of(engine)
    ask(engine, [SHARED], max_new_tokens=1)
    assert [step.slots.tolist() for step in steps] == [[SCRATCH_SLOT]]


def test_a_generation_is_cached_for_the_prompt_that_goes_on_with_it(engine: Engine) -> None:
    (said,) = ask(engine, [SHARED], max_new_tokens=10, ignore_eos=True)
    (next_turn,) = ask(engine, [[*SHARED, *said.tokens.tolist(), 77, 78]], max_new_tokens=1)
    assert next_turn.filled == 3, "the last token said was never fed"


# Chunks and budgets


@pytest.mark.parametrize("budget", [1, 7, 64])
def test_a_step_never_exceeds_its_budget(engine: Engine, budget: int) -> None:
    prompts = [[*SHARED[: 30 + 20 * i], 300 + i] for i in range(4)]
    wanted = [said.text for said in ask(engine, prompts)]
    with engine_with(max_step_tokens=budget) as small:
        steps = steps_of(small)
        assert [said.text for said in ask(small, prompts)] == wanted
        assert max(step.lengths.sum() for step in steps) <= budget


def test_decodes_go_on_while_a_long_prompt_is_filled() -> None:
    with engine_with(max_step_tokens=16) as engine:
        steps = steps_of(engine)
        ask(engine, [[0, 5], [*SHARED, 7]], max_new_tokens=12, ignore_eos=True)
        mixed = [sorted(step.lengths.tolist()) for step in steps if len(step.lengths) == 2]
        assert [1, 15] in mixed
        assert len(steps) <= 8 + 12


def test_the_last_token_of_a_prompt_that_a_full_step_left_over_is_shared() -> None:
    with engine_with(max_step_tokens=len(SHARED) - 1) as small:
        ask(small, [SHARED, [*SHARED, 7]], max_new_tokens=1)
        assert small.counters.filled == len(SHARED) + 1


def test_no_more_run_than_may() -> None:
    with engine_with(max_running=3) as engine:
        steps = steps_of(engine)
        ask(engine, [[0, i] for i in range(10)], ignore_eos=True)
        assert max(len(step.lengths) for step in steps) == 3


def test_older_programs_go_first() -> None:
    with engine_with(max_running=1) as engine:
        steps = steps_of(engine)
        mailbox = Mailbox()
        ages = [4, 2, 0, 3, 1]
        asked = [request(mailbox, [0, 10 + age], age, max_new_tokens=1) for age in ages]
        engine.submit(asked)
        mailbox.wait(asked)
        assert [int(step.token_ids[-1]) for step in steps] == [10, 11, 12, 13, 14]


# Preemption

CROWD = 12
PROMPTS = [[0, *range(40 + i, 60 + i)] for i in range(CROWD)]
CROWDED = {"max_new_tokens": 40, "ignore_eos": True, "return_logprob": True, "top_logprobs_num": 2} | {
    "temperature": 2.0,
    "frequency_penalty": 1.0,
    "repetition_penalty": 1.5,
}
JUST_ENOUGH = 21 + 40 - 1


def crowd(**settings: Any) -> tuple[Engine, Mailbox, list[Any], list[Completion]]:
    """Return what came of a crowd of streamed requests, younger ones submitted first."""
    with engine_with(**settings) as engine:
        mailbox = Mailbox()
        asked = [
            request(mailbox, tokens, age, streamed=True, stream_key=stream_key(0, age, ":0"), stop="zz", **CROWDED)
            for age, tokens in enumerate(PROMPTS)
        ]
        engine.submit(asked[::-1])
        ends = mailbox.wait(asked)
    assert_idle(engine)
    assert all(isinstance(end, Completion) for end in ends), ends
    return engine, mailbox, asked, ends


@pytest.fixture(scope="module")
def wanted() -> list[Completion]:
    """What the crowd says where there is room for all."""
    return crowd(kv_tokens=4096)[-1]


@pytest.mark.parametrize("kv_tokens", [JUST_ENOUGH, JUST_ENOUGH + 13, 3 * JUST_ENOUGH, 5 * JUST_ENOUGH])
@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no cache"])
def test_a_path_that_fits_alone_finishes_in_company(wanted: list[Completion], kv_tokens: int, cache: bool) -> None:
    engine, mailbox, asked, ends = crowd(kv_tokens=kv_tokens, cache=cache)
    for each, end, good in zip(asked, ends, wanted, strict=True):
        assert end.tokens.tolist() == good.tokens.tolist()
        assert mailbox.streamed(each) == end.text == good.text
        assert [entry.token_id for entry in end.output_logprobs] == end.tokens.tolist()
        np.testing.assert_allclose(
            [entry.logprob for entry in end.output_logprobs], [entry.logprob for entry in good.output_logprobs]
        )
        assert len(end.output_top) == len(end.tokens)
    assert engine.counters.decoded == CROWD * 40, "no token is drawn twice"
    assert engine.counters.peak_kv <= kv_tokens
    assert ends[0].refilled == 0, "the oldest is never preempted"


def test_preemption_happens_in_these_tests() -> None:
    engine, *_ = crowd(kv_tokens=3 * JUST_ENOUGH)
    assert engine.counters.preemptions > 0
    assert engine.counters.refilled > 0 or engine.counters.evicted > 0


def test_the_oldest_request_takes_part_in_every_step_once_it_runs() -> None:
    with engine_with(kv_tokens=2 * JUST_ENOUGH) as engine:
        running = engine._scheduler._running
        oldest: list[tuple[int, ...]] = []
        watch(engine, lambda step: oldest.append(min(sequence.order for sequence in engine._scheduler._running)))
        ask(engine, PROMPTS, max_new_tokens=40, ignore_eos=True)
        assert running == []
        assert oldest == sorted(oldest), "an older request came back after a younger one was the oldest running"
        assert engine.counters.preemptions > 0


def test_a_preempted_scoring_scores_each_token_once() -> None:
    with engine_with(kv_tokens=130, max_step_tokens=32) as engine:
        mailbox = Mailbox()
        asked = [
            request(mailbox, [*SHARED[:20], *range(300 + 90 * i, 390 + 90 * i)], i, max_new_tokens=4, ignore_eos=True,
                    return_logprob=True, score_from=0)
            for i in range(3)
        ]  # fmt: skip
        engine.submit(asked)
        for each, end in zip(asked, mailbox.wait(asked), strict=True):
            assert isinstance(end, Completion)
            assert [entry.token_id for entry in end.input_logprobs] == each.tokens.tolist()


def test_a_sequence_that_waits_holds_no_kv() -> None:
    with engine_with(kv_tokens=JUST_ENOUGH) as engine:
        held: list[int] = []

        def look(step: Step) -> None:
            held.extend(sequence.kv for sequence in engine._scheduler._waiting)

        watch(engine, look)
        ask(engine, PROMPTS, max_new_tokens=40, ignore_eos=True)
        assert held and set(held) == {0}
