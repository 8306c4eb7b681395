"""What optimizing costs: the passes themselves, planning a batch, and runs in which there is nothing to win.

`passes_milliseconds_1000_ops` is a program of 1,000 operations traced, optimized at -O2 and lowered.
`plan_10000_rows_s` is all that happens to a batch of 10,000 rows before the first request is made: rows bound, begun
and put in order. `unshared_loss` and `chat_loss` compare -O2 with -O0 on a random Llama, on prompts that share nothing
and on long answers: the share of time lost, below zero where it is won; `*_replay_loss` on a model that costs nothing.
"""

from __future__ import annotations

import gc
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import sglc
from benchmarks import data
from benchmarks.checkpoint import save_llama
from benchmarks.overhead import ask, long, prompt
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.threads import torch_threads
from benchmarks.workloads.synthetic import sentence
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.sampling import SamplingParams
from sglc.language.feed import Feed
from sglc.language.function import SglFunction
from sglc.language.options import run_options
from sglc.language.state import ProgramState

ROWS = 10_000


@sglc.function
def chat(s: ProgramState, question: str, answer_tokens: int = 160) -> None:
    """Two turns with long answers."""
    s += "User: " + question + "\nAssistant:"
    s += sglc.gen("first", max_tokens=answer_tokens, ignore_eos=True)
    s += "\nUser: Go on.\nAssistant:"
    s += sglc.gen("second", max_tokens=answer_tokens, ignore_eos=True)


@sglc.function
def answer(s: ProgramState, text: str) -> None:
    """A long prompt that nobody shares, and a short answer."""
    s += text + sglc.gen("answer", max_tokens=16, ignore_eos=True)


def run(options: Options) -> Result:
    """Measure what planning costs, then what is lost where it gains nothing."""
    runs = options.runs or (1 if options.quick else 5)
    tokenizer = data.gpt2()
    milliseconds_of_passes(tokenizer)  # what is found out about a tokenizer is found out once
    figures: Figures = {
        "passes_milliseconds_1000_ops": median(milliseconds_of_passes(tokenizer) for _ in range(runs)),
        "plan_10000_rows_s": median(seconds_to_plan(1_000 if options.quick else ROWS) for _ in range(runs)),
        "runs": runs,
    }
    words = random.Random(11)
    count, length = (6, 30) if options.quick else (24, 160)
    texts = [{"text": f"{number} {sentence(words, length)}"} for number in range(count)]
    questions = [{"question": f"{number}: {sentence(words, 12)}?"} for number in range(count // 3)]
    with sglc.Engine("replay:hash", tokenizer=tokenizer) as engine:
        many = [{"text": prompt(number)} for number in range(300 if options.quick else 3_000)]
        figures["unshared_replay_loss"] = loss(ask, many, engine, 2 * runs + 1)
        figures["chat_replay_loss"] = loss(chat, questions * 8, engine, 2 * runs + 1)
    hidden, layers, vocab = (96, 2, 1000) if options.quick else (768, 12, 32_000)
    with tempfile.TemporaryDirectory() as folder, torch_threads(2):
        checkpoint = save_llama(Path(folder), hidden, layers, vocab)
        with sglc.Engine(checkpoint, tokenizer=Tokenizer.packaged(), dtype="bfloat16", kv_tokens=1 << 15) as engine:
            figures["unshared_loss"] = loss(answer, texts, engine, runs)
            figures["chat_loss"] = loss(chat, questions, engine, runs)
    return Result(figures, {"data": data.source(), "dtype": "bfloat16", "threads": "2"})


def milliseconds_of_passes(tokenizer: Tokenizer) -> float:
    """Trace and optimize the long program once."""
    started = perf_counter()
    capture = long.trace(text="What now?")
    capture.optimized(run_options(2, None, False), SamplingParams(), tokenizer)
    return 1e3 * (perf_counter() - started)


def seconds_to_plan(rows: int) -> float:
    """Bind, begin and order the rows of a batch; nothing is asked."""
    source = random.Random(5)
    shared = [sentence(source, 120) for _ in range(50)]
    given = [{"text": f"{source.choice(shared)} {prompt(number)}"} for number in range(rows)]
    with sglc.Engine("replay:hash", tokenizer=data.gpt2()) as engine:
        ask.run_batch(given[:1], backend=engine)  # traced and planned: that is the other figure
        gc.collect()
        started = perf_counter()
        feed = Feed(ask, given, SamplingParams(), engine, run_options(2, None, False), None)
        feed.fill()
        seconds = perf_counter() - started
        feed.close()
    return seconds


def loss(program: SglFunction, rows: Sequence[dict[str, Any]], engine: sglc.Engine, runs: int) -> float:
    """Return the share of time that -O2 takes longer than -O0: the median over pairs of runs from an empty cache."""
    found = []
    for number in range(runs):
        seconds = {}
        for level in (0, 2) if number % 2 else (2, 0):
            engine.flush_cache()
            gc.collect()
            started = perf_counter()
            states = program.run_batch(rows, backend=engine, optimize=level, temperature=0)
            seconds[level] = perf_counter() - started
            assert not any(state.error for state in states)
        found.append(seconds[2] / seconds[0] - 1)
    say(f"{program.name}: {100 * median(found):+.1f} % at -O2, {len(rows)} rows")
    return median(found)
