"""Sampled runs with a seed: the same whatever the batch, the order of the rows and the state of the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sglc
from benchmarks.registry import Figures
from sglc.backend.tokenizer import Tokenizer
from sglc.language.state import ProgramState
from tests.reference import Outcome, reference_engine, reference_run

_VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "several rows open": ({}, {"concurrency": 5}),
    "all rows open": ({}, {}),
    "no cache": ({"cache": False}, {}),
    "in chunks": ({"max_step_tokens": 32}, {}),
    "a pool just large enough": ({"kv_tokens": None}, {}),
    "such a pool, no cache, in chunks": ({"kv_tokens": None, "cache": False, "max_step_tokens": 32}, {}),
}
"""What is varied: name → (options of the engine, options of the run). None stands for the longest path's length."""


@sglc.function
def wander(s: ProgramState, text: str) -> None:
    """Sample in a row, in forks, and after them."""
    s += text
    s += sglc.gen("first", max_tokens=6)
    branches = s.fork(2)
    for branch in branches:
        branch += " and" + sglc.gen("branch", max_tokens=5, top_p=0.9, min_p=0.001)
    branches.join()
    s += " so " + sglc.gen("last", max_tokens=6, top_k=40, stop="e")


def rows(count: int) -> list[dict[str, str]]:
    """Return texts of different lengths, some the beginning of others."""
    text = "the radix tree keeps what many prompts share so that nobody computes it again"
    return [{"text": text[: 1 + 17 * number % len(text)] + "." * (number % 3)} for number in range(count)]


def sampled_figures(family: str, checkpoint: Path, tokenizer: Tokenizer, figures: Figures, *, quick: bool) -> None:
    """Run the program in every variant, compare with the reference, and add to the figures."""
    given = rows(8 if quick else 24)
    sampling: dict[str, Any] = {"temperature": 1.0, "seed": 11}
    options: dict[str, Any] = {"tokenizer": tokenizer, "dtype": "float64", "kv_tokens": 4096}
    with reference_engine(checkpoint, **options) as engine:
        right = reference_run(wander, given, engine, **sampling)
        just_enough = engine.counters.peak_kv  # one request at a time
    assert all(outcome.error is None for outcome in right)
    for engine_options, run_options in _VARIANTS.values():
        if "kv_tokens" in engine_options:
            engine_options = engine_options | {"kv_tokens": just_enough}
        with sglc.Engine(checkpoint, **(options | engine_options)) as engine:
            for order in (list(range(len(given))), list(reversed(range(len(given))))):
                states = wander.run_batch(
                    [given[i] for i in order], backend=engine, indices=order, **run_options, **sampling
                )
                found = {state.index: Outcome.of(state) for state in states}
                figures["sampled_mismatches"] += sum(found[i] != outcome for i, outcome in enumerate(right))
            figures["sampled_preemptions"] += engine.counters.preemptions
