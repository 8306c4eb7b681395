"""A program's rows at -O2, at -O0, and as the same calls to vLLM: who takes how long.

sglc's time is that of `run_batch` on a program not seen before: tracing, passes, tokenization, stops. vLLM is given
token ids and how many to generate, and each call as soon as sglc could ask it without any pass. At a temperature the
two draw different tokens, but as many.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import sglc
from benchmarks import data
from benchmarks.checkpoint import save_llama
from benchmarks.peers.calls import CallEngine
from benchmarks.peers.engines import Column
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.threads import alone, torch_threads
from sglc.backend.counters import Counters
from sglc.language.function import SglFunction

LEVELS = (2, 0)


@dataclass(frozen=True, slots=True)
class Workload:
    """A program and its rows, run at a temperature; the end of a text ends no generation."""

    name: str
    program: SglFunction
    rows: Sequence[Mapping[str, Any]]
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Size:
    """The model, and how much KV and how many cores either side has. The vocabulary is rounded up to a multiple."""

    hidden: int = 768
    layers: int = 12
    kv_tokens: int = 1 << 16
    vocab_multiple: int = 64
    threads: int = 2


QUICK = Size(hidden=96, layers=2, kv_tokens=1 << 15, threads=1)


@dataclass(slots=True)
class Side:
    """The runs of one side: seconds, tokens of prompts computed, tokens generated, and our forward passes."""

    seconds: list[float] = field(default_factory=list)
    filled: int = 0
    decoded: int = 0
    passes: int = 0


def compare(workload: Workload, options: Options, size: Size | None = None) -> Result:
    """Run a workload on all sides in turns, after one run of a single row that does not count."""
    size = size or (QUICK if options.quick else Size())
    runs = options.runs or (1 if options.quick else 5)
    tokenizer = data.gpt2()
    vocab = -(-tokenizer.vocab_size // size.vocab_multiple) * size.vocab_multiple
    ours, theirs, loads = {level: Side() for level in LEVELS}, Side(), []
    with tempfile.TemporaryDirectory() as folder, torch_threads(size.threads):
        checkpoint = alone(partial(save_llama, Path(folder), size.hidden, size.layers, vocab))
        started = Column("vllm", checkpoint, options, kv_tokens=size.kv_tokens, threads=size.threads)
        model = partial(CallEngine, checkpoint, tokenizer=tokenizer, dtype="bfloat16", kv_tokens=size.kv_tokens)
        with started as column, alone(model) as engine:
            for level in LEVELS:
                timed(engine, workload, workload.rows[:1], level)
            column.warm_up(engine.asked)
            for number in range(runs):
                loads.append(os.getloadavg()[0])
                for level in LEVELS if number % 2 == 0 else LEVELS[::-1]:  # neither always follows vLLM
                    engine.forget()
                    seconds, counters = timed(engine, workload, workload.rows, level)
                    side = ours[level]
                    side.seconds.append(seconds)
                    side.filled, side.decoded, side.passes = counters.filled, counters.decoded, counters.forward_passes
                    if level == 0:  # which merges none
                        calls = engine.asked
                answers = column.generate(calls)
                if answers is not None:
                    theirs.seconds.append(answers.seconds)
                    theirs.filled = sum(len(call.tokens) for call in calls) - sum(answers.cached)
                    theirs.decoded = sum(map(len, answers.outputs))
                say(f"run {number + 1} of {runs}: {_told(ours, theirs)}")
    figures = _figures(workload.name, ours, theirs) | {
        f"{workload.name}_rows": len(workload.rows),
        f"{workload.name}_calls": len(calls),
        "runs": runs,
    }
    notes = {
        "data": data.source(),
        "dtype": "bfloat16",
        "threads": str(size.threads),
        "tokenizer": tokenizer.name,
        "peer_vllm": column.note,
        "load_averages": " ".join(f"{load:.2f}" for load in loads),
    }
    return Result(figures, notes)


def timed(
    engine: CallEngine, workload: Workload, rows: Sequence[Mapping[str, Any]], level: int
) -> tuple[float, Counters]:
    """Run rows from an empty cache, as a program not seen before. Raises the first error of a row."""
    program = sglc.function(workload.program.func)
    engine.flush_cache()
    engine.reset_counters()
    started = perf_counter()
    states = program.run_batch(rows, backend=engine, optimize=level, temperature=workload.temperature, ignore_eos=True)
    seconds = perf_counter() - started
    for state in states:
        if state.error is not None:
            raise state.error
    return seconds, engine.counters.copy()


def _figures(name: str, ours: Mapping[int, Side], theirs: Side) -> Figures:
    """Return the medians and their ratios; vLLM's only if it was there until the end."""
    seconds = {level: median(side.seconds) for level, side in ours.items()}
    figures: Figures = {f"{name}_o{level}_seconds": value for level, value in seconds.items()}
    figures[f"{name}_o2_vs_o0"] = seconds[0] / seconds[2]
    if len(theirs.seconds) == len(ours[2].seconds):
        figures[f"{name}_vllm_seconds"] = median(theirs.seconds)
        figures[f"{name}_vs_vllm"] = seconds[2] / median(theirs.seconds)
        figures[f"{name}_o2_vs_vllm"] = median(theirs.seconds) / seconds[2]
        figures[f"{name}_o2_vs_vllm_of_best_runs"] = min(theirs.seconds) / min(ours[2].seconds)
    for level, side in ours.items():
        found = {"filled": side.filled, "decoded": side.decoded, "passes": side.passes}
        figures |= {f"{name}_o{level}_{what}": count for what, count in found.items()}
    if theirs.seconds:
        figures |= {f"{name}_vllm_filled": theirs.filled, f"{name}_vllm_decoded": theirs.decoded}
    return figures


def _told(ours: Mapping[int, Side], theirs: Side) -> str:
    told = [f"-O{level} {side.seconds[-1]:.2f} s" for level, side in ours.items()]
    return ", ".join([*told, f"vLLM {theirs.seconds[-1]:.2f} s"] if theirs.seconds else told)
