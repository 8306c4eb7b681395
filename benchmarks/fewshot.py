"""Few-shot prompts: 64 that share 1,024 tokens, against the best that transformers' batched `generate` does, and vLLM.

All sides start without any KV and end with 32 new tokens a prompt. transformers computes the shared prefix once,
repeats its cache 64 times and generates in one batch; sglc and vLLM are given 64 requests and told nothing. Prompts
are random token ids, handed to the engine as requests, so that no tokenizer decides how long they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from benchmarks.checkpoint import save_llama
from benchmarks.peers.engines import Column
from benchmarks.peers.protocol import Call
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.requests import Job, complete
from benchmarks.threads import alone, torch_threads
from sglc.backend.engine import Engine
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.sampling import SamplingParams

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


def run(options: Options) -> Result:
    """Time all sides in turns."""
    shape = QUICK if options.quick else Shape()
    runs = options.runs or (1 if options.quick else 3)
    ours, theirs, vllm, filled, equal = [], [], [], 0, 0
    prompts = random_prompts(shape)
    calls = [Call(ids, PARAMS.max_new_tokens, group) for group, ids in enumerate(prompts)]
    with tempfile.TemporaryDirectory() as folder, torch_threads(THREADS):
        checkpoint = alone(partial(save_llama, Path(folder), shape.hidden, shape.layers, shape.vocab))
        model = alone(lambda: AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16).eval())
        started = Column(
            checkpoint,
            kv_tokens=KV_TOKENS,
            threads=THREADS,
            install=options.install_peers,
            eager=options.quick,
        )
        ours_on = partial(Engine, tokenizer=Tokenizer.packaged(), dtype="bfloat16", kv_tokens=KV_TOKENS)
        with started as column, ours_on(checkpoint) as engine:
            column.warm_up(calls)
            for number in range(runs):
                seconds, filled, output = sglc_run(engine, prompts)
                ours.append(seconds)
                seconds, expected = alone(partial(transformers_run, model, prompts, shape.shared))
                theirs.append(seconds)
                equal = equal_tokens(output, expected)
                answers = column.generate(calls)
                vllm += [] if answers is None else [answers.seconds]
                told = f"sglc {ours[-1]:.2f} s, transformers {theirs[-1]:.2f} s"
                say(f"run {number + 1} of {runs}: {told}" + (f", vLLM {vllm[-1]:.2f} s" if answers else ""))
    figures: Figures = {
        "speedup_vs_transformers": median(theirs) / median(ours),
        "speedup_of_best_runs": min(theirs) / min(ours),
        "seconds_sglc": median(ours),
        "seconds_transformers": median(theirs),
        "tokens_filled": filled,
        "tokens_filled_wanted": shape.fewest_filled,
        "tokens_per_s_sglc": shape.prompts * PARAMS.max_new_tokens / median(ours),
        "equal_tokens": equal,  # of the last run; the rest differs by rounding in bfloat16
        "tokens": shape.prompts * PARAMS.max_new_tokens,
        "runs": runs,
    }
    if len(vllm) == runs:
        figures |= {"speedup_vs_vllm": median(vllm) / median(ours), "seconds_vllm": median(vllm)}
    notes = {"data": "synthetic", "dtype": "bfloat16", "threads": str(THREADS), "vllm": column.note}
    return Result(figures, notes)


def equal_tokens(one: Sequence[Sequence[int]], two: Sequence[Sequence[int]]) -> int:
    """Return at how many places two sets of outputs have the same token."""
    return sum(a == b for left, right in zip(one, two, strict=True) for a, b in zip(left, right, strict=True))


def random_prompts(shape: Shape) -> list[list[int]]:
    """Return prompts that share their first tokens and nothing more."""
    source = np.random.default_rng(3)
    shared = source.integers(10, shape.vocab, shape.shared).tolist()
    firsts = 10 + source.permutation(shape.vocab - 10)[: shape.prompts]
    return [[*shared, first, *source.integers(10, shape.vocab, shape.own - 1).tolist()] for first in firsts.tolist()]


def sglc_run(engine: Engine, prompts: Sequence[Sequence[int]]) -> tuple[float, int, list[list[int]]]:
    """Return the seconds, the prompt tokens computed, and the tokens generated, from an empty cache."""
    engine.flush_cache()
    engine.reset_counters()
    started = perf_counter()
    completions = complete(engine, [Job(ids, PARAMS) for ids in prompts])
    seconds = perf_counter() - started
    return seconds, engine.counters.filled, [completion.tokens.tolist() for completion in completions]


@torch.inference_mode()
def transformers_run(model: Any, prompts: Sequence[Sequence[int]], shared: int) -> tuple[float, list[list[int]]]:
    """Return the seconds and the tokens generated: the prefix once, its cache repeated, one batch of all prompts."""
    ids = torch.tensor(prompts)
    started = perf_counter()
    cache = DynamicCache(config=model.config)
    model(ids[:1, :shared], past_key_values=cache, logits_to_keep=1)
    cache.batch_repeat_interleave(len(prompts))
    whole = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        past_key_values=cache,
        do_sample=False,
        min_new_tokens=PARAMS.max_new_tokens,
        max_new_tokens=PARAMS.max_new_tokens,
        pad_token_id=0,
    )
    return perf_counter() - started, whole[:, ids.shape[1] :].tolist()
