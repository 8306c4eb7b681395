"""Few-shot prompts: 64 that share 1,024 tokens, against the best that transformers' batched `generate` does, and vLLM.

All sides start without any KV and end with 32 new tokens a prompt. transformers computes the shared prefix once,
repeats its cache 64 times and generates in one batch; sglc and vLLM are given 64 requests and told nothing. Prompts
are random token ids, handed to the engine as requests, so that no tokenizer decides how long they are.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.checkpoint import save_llama
from benchmarks.peers.engines import Column
from benchmarks.peers.protocol import Call
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.requests import Job, cold_run
from benchmarks.threads import alone, torch_threads
from sglc.backend.engine import Engine
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.sampling import SamplingParams

PEERS = ("transformers", "vllm")
THREADS = 2
KV_TOKENS = 1 << 14
PARAMS = SamplingParams(max_new_tokens=32, temperature=0.0, ignore_eos=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many prompts of how many tokens, and the model that continues them."""

    prompts: int = 64
    shared: int = 1024
    own: int = 64
    hidden: int = 768
    layers: int = 12
    vocab: int = 32_000

    @property
    def fewest_filled(self) -> int:
        """Prompt tokens that have to be computed when the shared ones are computed once."""
        return self.shared + self.prompts * self.own


QUICK = Shape(prompts=8, shared=128, own=16, hidden=96, layers=2, vocab=1000)


@dataclass(slots=True)
class Side:
    """The runs of one side: seconds, and the tokens that the last one generated."""

    seconds: list[float] = field(default_factory=list)
    said: list[list[int]] = field(default_factory=list)


def run(options: Options) -> Result:
    """Time all sides in turns."""
    shape = QUICK if options.quick else Shape()
    runs = options.runs or (1 if options.quick else 5)
    prompts = random_prompts(shape)
    jobs = [Job(ids, PARAMS) for ids in prompts]
    calls = [Call(ids, PARAMS.max_new_tokens, group) for group, ids in enumerate(prompts)]
    ours, theirs = Side(), {name: Side() for name in PEERS}
    loads = []
    with ExitStack() as stack:
        stack.enter_context(torch_threads(THREADS))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        checkpoint = alone(partial(save_llama, folder, shape.hidden, shape.layers, shape.vocab))
        columns = [Column(name, checkpoint, options, kv_tokens=KV_TOKENS, threads=THREADS) for name in PEERS]
        for column in columns:
            stack.enter_context(column).warm_up(calls)
        model = partial(Engine, checkpoint, tokenizer=Tokenizer.packaged(), dtype="bfloat16", kv_tokens=KV_TOKENS)
        engine = stack.enter_context(alone(model))
        cold_run(engine, [Job(ids, replace(PARAMS, max_new_tokens=2)) for ids in prompts[:8]])  # as the peers' warm-up
        for number in range(runs):
            loads.append(os.getloadavg()[0])
            seconds, completions = cold_run(engine, jobs)
            ours.seconds.append(seconds)
            ours.said = [completion.tokens.tolist() for completion in completions]
            for column in columns:
                answers = column.generate(calls)
                if answers is not None:
                    theirs[column.name].seconds.append(answers.seconds)
                    theirs[column.name].said = answers.outputs
            told = ", ".join(f"{name} {side.seconds[-1]:.2f} s" for name, side in theirs.items() if side.seconds)
            say(f"run {number + 1} of {runs}: sglc {seconds:.2f} s, {told or 'no peer'}")
    figures = _compared(ours, theirs) | {
        "seconds_sglc": median(ours.seconds),
        "tokens_filled": engine.counters.filled,
        "tokens_filled_wanted": shape.fewest_filled,
        "tokens_per_s_sglc": shape.prompts * PARAMS.max_new_tokens / median(ours.seconds),
        "tokens": shape.prompts * PARAMS.max_new_tokens,
        "runs": runs,
    }
    notes = {f"peer_{column.name}": column.note for column in columns} | {
        "data": "synthetic",
        "dtype": "bfloat16",
        "threads": str(THREADS),
        "load_averages": " ".join(f"{load:.2f}" for load in loads),
    }
    return Result(figures, notes)


def _compared(ours: Side, theirs: Mapping[str, Side]) -> Figures:
    """Return the ratios of medians, of the peers that were there until the end."""
    figures: Figures = {}
    for name, side in theirs.items():
        if len(side.seconds) == len(ours.seconds):
            figures[f"speedup_vs_{name}"] = median(side.seconds) / median(ours.seconds)
            figures[f"time_vs_{name}"] = median(ours.seconds) / median(side.seconds)
            figures[f"seconds_{name}"] = median(side.seconds)
            figures[f"equal_tokens_{name}"] = equal_tokens(ours.said, side.said)  # the rest differs by rounding
    return figures


def equal_tokens(one: Sequence[Sequence[int]], two: Sequence[Sequence[int]]) -> int:
    """Return at how many places two sets of outputs have the same token."""
    return sum(a == b for left, right in zip(one, two, strict=True) for a, b in zip(left, right, strict=True))


def random_prompts(shape: Shape) -> list[list[int]]:
    """Return prompts that share their first tokens and nothing more."""
    source = np.random.default_rng(3)
    shared = source.integers(10, shape.vocab, shape.shared).tolist()
    firsts = 10 + source.permutation(shape.vocab - 10)[: shape.prompts]
    return [[*shared, first, *source.integers(10, shape.vocab, shape.own - 1).tolist()] for first in firsts.tolist()]
