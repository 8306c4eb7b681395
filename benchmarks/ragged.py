"""Prompts of very different length in one batch: nothing is padded to the longest.

63 prompts of 128 tokens and one of 4,096 are run together, and apart; together may not take much longer than the sum.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.checkpoint import save_llama
from benchmarks.fewshot import PARAMS, THREADS
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.requests import Job, cold_run
from benchmarks.threads import torch_threads
from sglc.backend.engine import Engine
from sglc.backend.tokenizer import Tokenizer

SHORT, SHORT_TOKENS, LONG_TOKENS = 63, 128, 4096
_VOCAB = 2048


def run(options: Options) -> Result:
    """Time the short ones, the long one and all of them, in turns."""
    short, long = (7, 512) if options.quick else (SHORT, LONG_TOKENS)
    runs = options.runs or (1 if options.quick else 3)
    source = np.random.default_rng(4)
    few = [Job(source.integers(10, _VOCAB, SHORT_TOKENS).tolist(), PARAMS) for _ in range(short)]
    one = [Job(source.integers(10, _VOCAB, long).tolist(), PARAMS)]
    seconds: dict[str, list[float]] = {"short": [], "long": [], "together": []}
    with tempfile.TemporaryDirectory() as folder, torch_threads(THREADS):
        checkpoint = save_llama(Path(folder), hidden=384, layers=4, vocab=_VOCAB)
        with Engine(checkpoint, tokenizer=Tokenizer.packaged(), dtype="bfloat16", kv_tokens=1 << 15) as engine:
            cold_run(engine, few[:1])  # not the first pass of all
            for number in range(runs):
                for name, jobs in (("short", few), ("long", one), ("together", few + one)):
                    seconds[name].append(cold_run(engine, jobs)[0])
                say(f"run {number + 1} of {runs}: " + ", ".join(f"{n} {s[-1]:.2f} s" for n, s in seconds.items()))
    medians = {f"seconds_{name}": median(values) for name, values in seconds.items()}
    apart = medians["seconds_short"] + medians["seconds_long"]
    figures: Figures = {"ragged_ratio": medians["seconds_together"] / apart, **medians, "runs": runs}
    return Result(figures, {"data": "synthetic", "dtype": "bfloat16", "threads": str(THREADS)})
