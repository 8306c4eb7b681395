"""With the requests to come in sight an engine evicts as the optimal strategy does, and computes no prefix twice."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from sglc.backend.counters import Counters
from sglc.backend.engine import Engine
from sglc.backend.request import Completion
from tests.asking import Mailbox, ask, assert_idle, request
from tests.belady_simulator import belady_fill
from tests.lru_simulator import SerialLru

SEEDS = range(300 if os.environ.get("SGLC_TEST_FULL") == "1" else 4)


def run(prompts: Sequence[Sequence[int]], engine: dict[str, Any], **options: Any) -> tuple[list[list[int]], Counters]:
    """Return what is said behind prompts that are planned and wait together, and what that cost."""
    with closing(Engine("replay:hash", check=True, **engine)) as made:
        said = ask(made, prompts, planned=True, ignore_eos=True, **options)
    assert_idle(made)
    return [each.tokens.tolist() for each in said], made.counters


def longest(prompts: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]) -> int:
    """Return the KV that the longest request needs."""
    return max(len(prompt) + len(output) - 1 for prompt, output in zip(prompts, outputs, strict=True))


def shared_prompts(rng: random.Random, count: int, **options: Any) -> list[list[int]]:
    """Return prompts that share prefixes with each other, and with what is said behind each other."""
    first: list[list[int]] = [[0]]
    while len(first) < count // 2:
        start = rng.choice(first)
        first.append([*start[: rng.randint(0, len(start))], *(rng.randint(0, 2) for _ in range(rng.randint(1, 8)))])
    paths = [prompt + output for prompt, output in zip(first, run(first, {}, **options)[0], strict=True)]
    starts = [path[: rng.randint(1, len(path))] for path in rng.choices(paths, k=count - len(first))]
    found = first + [[*start, *(rng.randint(0, 2) for _ in range(rng.randint(0, 4)))] for start in starts]
    rng.shuffle(found)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_one_at_a_time_fills_what_the_optimal_strategy_fills(seed: int) -> None:
    rng = random.Random(seed)
    options = {"max_new_tokens": rng.randint(1, 6)}
    prompts = shared_prompts(rng, 40, **options)
    outputs, _ = run(prompts, {}, **options)
    least = longest(prompts, outputs)
    for kv_tokens in (least, least + rng.randint(1, 30)):
        said, counters = run(prompts, {"kv_tokens": kv_tokens, "max_running": 1}, **options)
        assert said == outputs
        assert counters.filled == belady_fill(prompts, outputs, kv_tokens)


def tree_of_prompts(rng: random.Random) -> list[list[int]]:
    """Return the prompts of a random tree in depth-first order."""
    found: list[list[int]] = []
    open_paths = [([0], rng.randint(2, 4))]
    while open_paths:
        path, depth = open_paths.pop()
        path = [*path, *(rng.randint(3, 400) for _ in range(rng.randint(1, 30)))]
        if not depth or rng.random() < 0.2:
            found.append(path)
        open_paths += [(path, depth - 1)] * (rng.randint(1, 4) if depth else 0)
    return sorted(found)[:60]


@pytest.mark.parametrize("seed", SEEDS)
def test_depth_first_each_edge_of_the_trie_is_computed_once(seed: int) -> None:
    rng = random.Random(seed)
    prompts = tree_of_prompts(rng)
    options = {"max_new_tokens": rng.choice([1, 4, 20])}
    outputs, _ = run(prompts, {}, **options)
    said = {(*prompt, output[0]) for prompt, output in zip(prompts, outputs, strict=True)}
    prompts = [prompt for prompt in prompts if said.isdisjoint(tuple(prompt[:end]) for end in range(len(prompt) + 1))]
    outputs, _ = run(prompts, {}, **options)  # of those that do not happen to go on with what is said
    unbounded = SerialLru(1_000_000)
    edges = sum(unbounded.request(prompt, output) for prompt, output in zip(prompts, outputs, strict=True))
    for share in (1.0, 1.5, 4.0):
        kv_tokens = int(longest(prompts, outputs) * share)
        said, counters = run(prompts, {"kv_tokens": kv_tokens, "max_running": 1}, **options)
        assert (said, counters.filled, counters.refilled) == (outputs, edges, 0)
        said, counters = run(prompts, {"kv_tokens": kv_tokens}, **options)
        assert said == outputs
        assert counters.filled <= 1.005 * edges


def test_what_is_not_planned_goes_by_its_last_use_alone() -> None:
    old, new = [[0, *range(10 * i, 10 * i + 8)] for i in (1, 2)]
    for planned in (False, True):
        with closing(Engine("replay:hash", kv_tokens=17, max_running=1, check=True)) as engine:
            mailbox = Mailbox()
            other = [0, *range(50, 57)]
            asked = [
                request(mailbox, tokens, age, planned=planned, max_new_tokens=1)
                for age, tokens in enumerate([old, new, other, old])
            ]
            engine.submit(asked)
            *_, last = mailbox.wait(asked)
            assert isinstance(last, Completion)
            assert last.filled == (0 if planned else 7), "the oldest is used next, the plan says"


def test_an_engine_takes_10_000_requests_in_sight() -> None:
    prompts = [[0, i // 100, i % 100, 7, 8, 9] for i in range(10_000)]
    _, counters = run(prompts, {"kv_tokens": 200}, max_new_tokens=1)
    assert counters.filled == 1 + 100 + 10_000 * 4
