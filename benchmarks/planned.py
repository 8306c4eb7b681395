"""The recorded traces again, by plans: tokens computed against those of an engine that only sees requests.

The baseline is the engine at -O0: calls in the order in which the program, run in Python, makes them, a radix cache,
and what was used least recently goes first. Outputs of both must be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.progress import say
from benchmarks.recording import Exchange, RecordingEngine
from benchmarks.registry import Figures
from benchmarks.workloads import agents, judge, react, tree_of_thought
from sglc.backend.tokenizer import Tokenizer
from sglc.language.function import SglFunction
from sglc.language.options import Optimize
from sglc.language.state import ProgramState
from sglc.passes.order_rows import OrderRows
from sglc.passes.pipeline import passes_of
from tests.belady_simulator import belady_fill
from tests.lru_simulator import trie_edges

BUDGETS = {"just_enough": 1.0, "half_more": 1.5, "threefold": 3.0}
"""KV budgets, in multiples of the longest path."""
_UNBOUNDED = 4_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """A program, its rows, and the model that answers; rows may be reordered."""

    name: str
    program: SglFunction
    rows: Sequence[dict[str, Any]]
    model: str
    tokenizer: Tokenizer


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run said, and what it cost."""

    said: list[object]
    exchanges: list[Exchange]
    filled: int
    refilled: int
    """Positions of prompts that were computed, and those computed again after a preemption."""
    decoded: int
    passes: int
    requests: int
    row_passes: int
    """Passes, counted once for every row in them."""
    drawn: int

    @property
    def edges(self) -> int:
        """The edges of the trie of all that was asked and drawn: what has to be computed once."""
        return trie_edges(exchange.with_kv for exchange in self.exchanges)

    @property
    def computed(self) -> int:
        """Positions of prompts that were computed, once or again."""
        return self.filled + self.refilled

    @property
    def over_trie(self) -> float:
        """How much more than each edge once was filled and decoded, as a share."""
        return (self.filled + self.decoded) / self.edges - 1


def run(
    trace: Trace,
    optimize: Optimize,
    *,
    kv_tokens: int | None = None,
    concurrency: int | None = None,
    eager: bool = False,
    max_running: int = 256,
    max_step_tokens: int = 2048,
    **sampling: Any,
) -> Ran:
    """Run a trace on a fresh engine; a `kv_tokens` of None is more than it can use."""
    engine = RecordingEngine(
        trace.model,
        tokenizer=trace.tokenizer,
        kv_tokens=kv_tokens or _UNBOUNDED,
        max_running=max_running,
        max_step_tokens=max_step_tokens,
    )
    with engine:
        states: list[ProgramState] = trace.program.run_batch(
            trace.rows,
            backend=engine,
            optimize=optimize,
            concurrency=concurrency,
            eager=eager,
            return_logprob=True,
            **{"temperature": 0, **sampling},
        )
    for state in states:
        if state.error is not None:
            raise state.error
    counters = engine.counters
    return Ran(
        said=[(state.text(), state.ret_value) for state in states],
        exchanges=engine.exchanges,
        filled=counters.filled,
        refilled=counters.refilled,
        decoded=sum(max(0, len(exchange.output) - 1) for exchange in engine.exchanges),
        passes=counters.forward_passes,
        requests=counters.requests,
        row_passes=counters.sequence_steps,
        drawn=counters.decoded,
    )


def measure(tokenizer: Tokenizer, folder: Path, figures: Figures, *, quick: bool) -> None:
    """Add the figures of all traces; of two, and few rows, where it has to be quick."""
    calls = Trace("ga", agents.agent_call, agents.rows(40 if quick else None), "replay:hash", tokenizer)
    against_requests(calls, figures, "ga1024", kv_tokens=1024)
    questions = react.rows(4 if quick else None)
    react.write_trace(questions, tokenizer, folder / "steps.jsonl")
    steps = Trace("react", react.react, questions, f"replay:{folder / 'steps.jsonl'}", tokenizer)
    against_requests(steps, figures, "react8192", kv_tokens=8192, concurrency=32)
    traces = [calls, steps]
    if not quick:
        against_belady(calls, figures, limit=200)
        puzzles = tree_of_thought.rows()
        tree_of_thought.write_trace(puzzles, tokenizer, folder / "search.jsonl")
        thoughts = tree_of_thought.questions(puzzles)
        search = Trace("tot", tree_of_thought.ask, thoughts, f"replay:{folder / 'search.jsonl'}", tokenizer)
        essays = Trace("judge", judge.judge, judge.rows(), "replay:hash", tokenizer)
        against_requests(search, figures, "tot8192", kv_tokens=8192)
        against_requests(essays, figures, "judge8192", kv_tokens=8192)
        against_belady(search, figures, limit=60)
        traces += [search, essays]
    for trace in traces:
        against_trie(trace, figures)
    figures["max_over_trie"] = max(value for name, value in figures.items() if name.endswith("_over_trie"))
    names = [name.removesuffix("_o0_passes") for name in figures if name.endswith("_o0_passes")]
    figures["most_passes"] = max(figures[f"{name}_o1_passes"] / figures[f"{name}_o0_passes"] for name in names)
    drawn = run(replace(calls, rows=calls.rows[:200]), 1, temperature=1)
    figures["merged_when_drawn"] = len(calls.rows[:200]) - drawn.requests


def against_requests(
    trace: Trace, figures: Figures, name: str, *, kv_tokens: int | None, concurrency: int | None = None
) -> None:
    """Compare -O1 with -O0 at one budget: `{name}_ratio` is how many times fewer tokens were computed."""
    before = run(trace, 0, kv_tokens=kv_tokens, concurrency=concurrency, eager=True)
    after = run(trace, 1, kv_tokens=kv_tokens, concurrency=concurrency)
    figures[f"{name}_o0_computed"] = before.computed
    figures[f"{name}_o1_computed"] = after.computed
    figures[f"{name}_ratio"] = before.computed / after.computed
    figures[f"{name}_mismatches"] = sum(a != b for a, b in zip(before.said, after.said, strict=True))
    figures[f"{name}_requests_saved"] = 1 - after.requests / before.requests
    figures[f"{name}_o0_passes"] = before.passes
    figures[f"{name}_o1_passes"] = after.passes
    say(
        f"{name}: {before.computed:,} computed at -O0, {after.computed:,} at -O1 "
        f"({before.computed / after.computed:.2f}×), {before.passes:,} and {after.passes:,} passes"
    )


def against_trie(trace: Trace, figures: Figures) -> None:
    """Compare -O1 at every budget with the edges of the trie; without a bound, count what seams cost in passes."""
    unbounded = run(trace, 1)
    longest = max(len(exchange.with_kv) for exchange in unbounded.exchanges)
    sizes: dict[str, int | None] = {budget: int(longest * factor) for budget, factor in BUDGETS.items()}
    for budget, kv_tokens in (sizes | {"unbounded": None}).items():
        ran = unbounded if kv_tokens is None else run(trace, 1, kv_tokens=kv_tokens)
        figures[f"{trace.name}_{budget}_over_trie"] = ran.over_trie
        figures[f"{trace.name}_{budget}_refilled"] = ran.refilled
        say(
            f"{trace.name}, {kv_tokens or 'unbounded'} KV tokens: {ran.filled:,} filled, {ran.refilled:,} again, "
            f"{ran.decoded:,} decoded, {100 * ran.over_trie:.2f} % over the trie's {ran.edges:,} edges, "
            f"{ran.passes:,} passes"
        )
    seams = unbounded.requests - len(trace.rows)
    if seams > 0:
        whole = run(trace, 1, max_step_tokens=_UNBOUNDED)  # prompts cut by a full step are no seams
        figures[f"{trace.name}_seams"] = seams
        figures[f"{trace.name}_passes_per_seam"] = max(0, whole.row_passes - whole.drawn) / seams


def against_belady(trace: Trace, figures: Figures, limit: int) -> None:
    """Compare one request at a time, in the order given, with the optimal eviction for that order."""
    some = replace(trace, rows=trace.rows[:limit])
    passes = [each for each in passes_of(1) if each.name != OrderRows.name]
    unbounded = run(some, passes, max_running=1)
    longest = max(len(exchange.with_kv) for exchange in unbounded.exchanges)
    difference = 0
    for factor in BUDGETS.values():
        ran = run(some, passes, kv_tokens=int(longest * factor), max_running=1)
        best = belady_fill(
            [exchange.prompt for exchange in ran.exchanges],
            [exchange.output for exchange in ran.exchanges],
            int(longest * factor),
        )
        difference += abs(ran.computed - best)
        say(f"{trace.name}, {int(longest * factor):,} KV tokens, order kept: {ran.computed:,}, at best {best:,}")
    figures[f"{trace.name}_belady_difference"] = difference
