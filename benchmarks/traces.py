"""Recorded agent runs on the replay model, at KV budgets from just enough to unbounded.

Outputs must equal the record (ReAct) or those of an engine without a cache (agents), and the model must find the
right KV in every page it is handed. With one row open at a time, the prompt tokens computed are compared with those
of a serial token-level LRU cache, and without a bound with the edges of the trie of all that was asked and drawn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks import data, planned
from benchmarks.progress import say
from benchmarks.recording import Exchange, RecordingEngine
from benchmarks.registry import Figures, Options, Result
from benchmarks.workloads import agents, react
from sglc.backend.tokenizer import Tokenizer
from sglc.errors import EngineError
from sglc.language.function import SglFunction
from sglc.language.state import ProgramState
from tests.lru_simulator import SerialLru, trie_edges

BUDGETS = {"just_enough": 1.0, "half_more": 1.5, "threefold": 3.0}
"""KV budgets, in multiples of the longest path."""
_UNBOUNDED = 2_000_000
OPEN_ROWS = (1, 16)


@dataclass(frozen=True, slots=True)
class Workload:
    """A program, its rows, the model that answers, and the right answers once they are known."""

    name: str
    program: SglFunction
    rows: list[dict[str, Any]]
    model: str
    tokenizer: Tokenizer


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a workload said and cost."""

    said: list[object]
    errors: list[BaseException]
    exchanges: list[Exchange]
    filled: int
    preemptions: int


def run(options: Options) -> Result:
    """Replay both workloads at every budget, with one row open and with several."""
    started = perf_counter()
    tokenizer = data.gpt2()
    figures: Figures = {"replay_mismatches": 0, "agent_mismatches": 0, "audit_errors": 0, "preemptions": 0}
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "react.jsonl"
        questions = react.rows(3 if options.quick else None)
        react.write_trace(questions, tokenizer, trace)
        expected: list[object] = [react.expected(row, tokenizer) for row in questions]
        asked = Workload("react", react.react, questions, f"replay:{trace}", tokenizer)
        _measure(asked, expected, figures, "replay_mismatches", check=options.quick)
    calls = Workload("agents", agents.agent_call, agents.rows(40 if options.quick else None), "replay:hash", tokenizer)
    reference = _run(calls, kv_tokens=None, open_rows=1, cache=False)
    assert not reference.errors, reference.errors
    _measure(calls, reference.said, figures, "agent_mismatches", check=options.quick)
    ratios = [value for name, value in figures.items() if name.endswith("_fill_ratio")]
    figures |= {"max_fill_ratio": max(ratios), "min_fill_ratio": min(ratios)}
    with tempfile.TemporaryDirectory() as folder:
        planned.measure(tokenizer, Path(folder), figures, quick=options.quick)
    differences = [value for name, value in figures.items() if name.endswith("_trie_difference")]
    figures |= {"trie_difference": sum(map(abs, differences)), "seconds": perf_counter() - started}
    return Result(figures, {"data": data.source(), "tokenizer": tokenizer.name})


def _measure(workload: Workload, expected: Sequence[object], figures: Figures, mismatches: str, *, check: bool) -> None:
    """Run a workload at every budget and add to the figures."""
    unbounded = _run(workload, kv_tokens=None, open_rows=1)
    longest = max(len(exchange.with_kv) for exchange in unbounded.exchanges)
    everything = sum(len(exchange.with_kv) for exchange in unbounded.exchanges)
    sizes = {name: int(longest * factor) for name, factor in BUDGETS.items()} | {"unbounded": everything}
    name = workload.name
    figures |= {f"{name}_requests": len(unbounded.exchanges), f"{name}_longest_path": longest}
    for budget, kv_tokens in sizes.items():
        for open_rows in OPEN_ROWS:
            done = _run(workload, kv_tokens=kv_tokens, open_rows=open_rows, check=check and budget == "just_enough")
            wrong = sum(said != right for said, right in zip(done.said, expected, strict=True))
            audits = sum("KV audit" in str(error) for error in done.errors)
            figures[mismatches] += wrong
            figures["audit_errors"] += audits
            figures["preemptions"] += done.preemptions
            at = f"{name}, {kv_tokens:,} KV tokens, {open_rows} open"
            say(f"{at}: {done.filled:,} filled, {wrong} wrong, {audits} audit errors")
            if open_rows == 1:
                figures[f"{name}_{budget}_filled"] = done.filled
                figures[f"{name}_{budget}_fill_ratio"] = done.filled / _serial_fill(done.exchanges, kv_tokens)
            if open_rows == 1 and budget == "unbounded":
                figures[f"{name}_trie_difference"] = (
                    done.filled + _decoded_edges(done.exchanges) - _edges(done.exchanges)
                )


def _run(workload: Workload, *, kv_tokens: int | None, open_rows: int, cache: bool = True, check: bool = False) -> Run:
    """Run a workload on a fresh engine; a `kv_tokens` of None is more than it can use.

    Eagerly, one request of a row behind the other: a serial cache is what the engine is compared with.
    """
    engine = RecordingEngine(
        workload.model, tokenizer=workload.tokenizer, kv_tokens=kv_tokens or _UNBOUNDED, cache=cache, check=check
    )
    with engine:
        states: list[ProgramState] = workload.program.run_batch(
            workload.rows, backend=engine, concurrency=open_rows, eager=True, temperature=0, return_logprob=True
        )
        return Run(
            said=[None if s.error else s.ret_value or s["answer"] for s in states],
            errors=[s.error for s in states if isinstance(s.error, EngineError)],
            exchanges=engine.exchanges,
            filled=engine.counters.filled,
            preemptions=engine.counters.preemptions,
        )


def _serial_fill(exchanges: Sequence[Exchange], kv_tokens: int) -> int:
    """Return the prompt tokens that a serial LRU cache of this size computes."""
    cache = SerialLru(kv_tokens)
    return sum(cache.request(exchange.prompt, exchange.output) for exchange in exchanges)


def _edges(exchanges: Sequence[Exchange]) -> int:
    return trie_edges(exchange.with_kv for exchange in exchanges)


def _decoded_edges(exchanges: Sequence[Exchange]) -> int:
    """Return how many edges of the trie decoding made: those of an output that nothing before it had computed."""
    cache = SerialLru(sum(len(exchange.with_kv) for exchange in exchanges))
    made = 0
    for exchange in exchanges:
        before = len(cache)
        filled = cache.request(exchange.prompt, exchange.output)
        made += len(cache) - before - filled
    return made
