"""Random programs say the same, token for token, however crowded, cramped and shuffled their engine is.

The reference runs without a cache, one request and one row at a time. SGLC_FUZZ is the number of programs,
SGLC_FUZZ_SEED the first one's seed: a failure names the seed of a program, and that program alone fails again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

import sglc
from sglc.backend.counters import Counters
from sglc.backend.request import Request
from sglc.backend.tokenizer import Tokenizer
from tests.conftest import FULL
from tests.random_programs import PLANTS, Draw, random_program
from tests.random_statements import Outcome, outcome, ways

COUNT = int(os.environ.get("SGLC_FUZZ", "2000" if FULL else "200"))
FIRST = int(os.environ.get("SGLC_FUZZ_SEED", "0"))
SEEDS = range(FIRST, FIRST + COUNT)
SOME = SEEDS[: max(1, COUNT // 5)]
LEAST_SHARE = 0.2


class CountingEngine(sglc.Engine):
    """An engine that counts the scorings it is asked for."""

    scorings = 0

    def submit(self, requests: Any, dropped: Any = ()) -> None:
        """Count, then queue."""
        self.scorings += sum(_is_scoring(request) for request in requests)
        super().submit(requests, dropped)


def _is_scoring(request: Request) -> bool:
    return request.params.max_new_tokens == 0


@dataclass(frozen=True)
class Run:
    """What random programs said, by seed, and what it cost."""

    outcomes: dict[int, Outcome]
    counters: Counters
    scorings: int


def run(seeds: list[int] | range, concurrency: int, **settings: Any) -> Run:
    """Run the programs of these seeds as the rows of one batch; check that they leave nothing behind."""
    with CountingEngine("replay:hash", plant=PLANTS, **settings) as engine:
        rows = [{"seed": seed} for seed in seeds]
        states = random_program.run_batch(
            rows, backend=engine, concurrency=concurrency, indices=seeds, as_completed=True
        )
        outcomes = {state.index: outcome(state) for state in states}
    assert set(outcomes) == set(seeds)
    scheduler = engine._scheduler
    scheduler.check()
    assert not scheduler.busy
    if scheduler._tree is not None:
        assert scheduler._tree.protected == 0
        assert engine._pool.used == scheduler._tree.size
    else:
        assert engine._pool.used == 0
    return Run(outcomes, engine.counters, engine.scorings)


@pytest.fixture(scope="module")
def reference() -> Run:
    """No cache, one request at a time, one row at a time."""
    return run(SEEDS, concurrency=1, cache=False, max_running=1)


def assert_same(reference: Run, other: Run) -> None:
    for seed, found in other.outcomes.items():
        wanted = reference.outcomes[seed]
        if found != wanted:
            states = zip(found["states"], wanted["states"], strict=False)
            differing = next((pair for pair in states if pair[0] != pair[1]), (found["log"], wanted["log"]))
            program = Draw(seed).program()
            pytest.fail(f"SGLC_FUZZ=1 SGLC_FUZZ_SEED={seed}\n{program}\nfound  {differing[0]}\nwanted {differing[1]}")


def shuffled(seeds: range, by: int) -> list[int]:
    order = list(seeds)
    Random(by).shuffle(order)
    return order


def test_every_way_is_gone_and_every_stop_met(reference: Run) -> None:
    if COUNT < 100:
        pytest.skip("too few programs to count")
    found = ways([*reference.outcomes.values()])
    assert {"arm word", "arm parity", "arm break", "arm choice of 2", "arm choice of 3", "finish stops"} <= set(found)
    for kind, counts in found.items():
        if kind == "finish none":
            continue
        expected = 3 if kind.endswith("3") else 2
        assert len(counts) == expected, f"{kind}: {counts}"
        assert min(counts.values()) >= LEAST_SHARE * counts.total(), f"{kind}: {counts}"
    errors = [each["error"] for each in reference.outcomes.values()]
    assert set(errors) == {"None", "ValueError('a planted failure')"}


def test_in_a_crowd(reference: Run) -> None:
    crowd = run(shuffled(SEEDS, 1), concurrency=COUNT)
    assert_same(reference, crowd)
    assert crowd.counters.cached > crowd.counters.filled
    assert crowd.counters.forward_passes < reference.counters.forward_passes / 10


def test_in_the_smallest_pool_in_which_each_fits_alone(reference: Run) -> None:
    cramped = run(
        shuffled(SEEDS, 2),
        concurrency=COUNT,
        kv_tokens=reference.counters.peak_kv,
        max_step_tokens=48,
        check=True,
    )
    assert_same(reference, cramped)
    assert cramped.counters.evicted > 0
    assert cramped.counters.preemptions > 0


@pytest.mark.parametrize(
    ("concurrency", "settings"),
    [
        (3, {"max_step_tokens": 7}),
        (16, {"cache": False, "max_step_tokens": 48}),
        (1000, {"max_running": 2, "max_step_tokens": 5}),
    ],
    ids=["steps of 7", "no cache", "two at a time"],
)
def test_with_other_settings(reference: Run, concurrency: int, settings: dict[str, Any]) -> None:
    assert_same(reference, run(shuffled(SOME, 3), concurrency, **settings))


def test_a_row_at_a_time_computes_no_prompt_position_twice(reference: Run) -> None:
    alone = run(SOME, concurrency=1)
    assert_same(reference, alone)
    counters = alone.counters
    assert counters.prompt == counters.filled + counters.cached + counters.relogit + alone.scorings
    assert counters.preemptions == counters.evicted == counters.refilled == 0


def test_the_reference_computes_everything(reference: Run) -> None:
    counters = reference.counters
    assert counters.prompt == counters.filled + reference.scorings
    assert counters.cached == counters.relogit == counters.refilled == counters.preemptions == 0


def test_tokens_read_as_the_text_they_stand_for(reference: Run) -> None:
    tokenizer = Tokenizer.packaged()
    special = {*tokenizer.special_ids.values()}
    compared = 0
    for each in reference.outcomes.values():
        for state in each["states"]:
            tokens = state["tokens"][len(tokenizer.prefix) :]
            if special.isdisjoint([*tokens, *state["tail"]]) and "\ufffd" not in state["text"]:
                compared += bool(tokens)
                assert tokenizer.decode(tokens) + "".join(state["tail"]) == state["text"]
    assert compared > COUNT / 4
