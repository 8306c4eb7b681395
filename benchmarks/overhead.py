"""What sglc costs beside the model: the language and its loop, the engine's bookkeeping, the command's start.

The model is `replay:hash`, which computes nothing. Programs are timed with tokenization, every prompt new to the
tokenizer; the engine is timed by itself, on requests of its own, so that no program waits for the interpreter lock.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from statistics import median
from time import perf_counter

import sglc
from benchmarks import data
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.requests import Job, complete
from sglc.backend.random_stream import stream_key
from sglc.ir.sampling import SamplingParams
from sglc.language.state import ProgramState

DIGITS = (" zero", " one", " two", " three", " four", " five", " six", " seven", " eight", " nine")
BATCH, STEPS = 256, 64
STOPS = ("\n\nQuestion:", "END OF ANSWER")


@sglc.function
def ask(s: ProgramState, text: str) -> None:
    """The two-statement program."""
    s += text
    s += sglc.gen("answer", max_tokens=1)


def run(options: Options) -> Result:
    """Measure the three costs, interleaved."""
    rows, runs = (1_000, 2) if options.quick else (10_000, options.runs or 5)
    eager, captured, steps = [], [], []
    for number in range(runs):
        eager.append(programs_per_second(rows, first=2 * number * rows, eager=True))
        captured.append(programs_per_second(rows, first=(2 * number + 1) * rows, eager=False))
        steps.append(microseconds_per_sequence_step())
        speeds = f"{eager[-1]:,.0f} programs/s eager, {captured[-1]:,.0f} captured"
        say(f"run {number + 1} of {runs}: {speeds}, {steps[-1]:.1f} µs per sequence-step")
    figures: Figures = {
        "programs_per_s_eager": median(eager),
        "programs_per_s_eager_best": max(eager),
        "programs_per_s_captured": median(captured),
        "programs_per_s_captured_best": max(captured),
        "trace_milliseconds_1000_ops": milliseconds_per_trace(2 if options.quick else 5),
        "us_per_sequence_step": median(steps),
        "us_per_sequence_step_best": min(steps),
        "import_seconds": best_of(2 if options.quick else 10, "-c", "import sglc"),
        "help_seconds": best_of(2 if options.quick else 10, "-m", "sglc", "--help"),
        "rows": rows,
        "runs": runs,
    }
    return Result(figures, {"data": data.source()})


def programs_per_second(rows: int, first: int = 0, eager: bool = False) -> float:
    """Run the two-statement program over distinct prompts, numbered from `first`; return rows per second."""
    given = [{"text": prompt(number)} for number in range(first, first + rows)]
    with sglc.Engine("replay:hash", tokenizer=data.gpt2()) as engine:
        gc.collect()  # what an earlier run left is not this one's cost
        started = perf_counter()
        states = ask.run_batch(given, backend=engine, temperature=0, eager=eager)
        seconds = perf_counter() - started
        assert all(state.error is None for state in states) and engine.counters.decoded == rows
    return rows / seconds


@sglc.function
def long(s: ProgramState, text: str) -> None:
    """A program of 1,000 operations or a few more."""
    for number in range(260):
        s += f"{number}. {text}:" + sglc.gen(f"answer{number}", max_tokens=1)


def milliseconds_per_trace(runs: int) -> float:
    """Trace the long program, graph and all; return the median time."""
    times = []
    for _ in range(runs):
        started = perf_counter()
        capture = long.trace(text="What now?")
        times.append(1e3 * (perf_counter() - started))
        assert capture.tier == "captured" and sum(1 for _ in capture.graph.ops()) >= 1_000
    return median(times)


def prompt(number: int) -> str:
    """Return a text of 15 gpt2 tokens that no other number below 100,000 has."""
    return f"Question{''.join(DIGITS[int(digit)] for digit in f'{number:05d}')}: what follows this number in the list?"


def microseconds_per_sequence_step() -> float:
    """Run 256 requests of 64 sampled tokens at once; return engine time beside the forward pass, per row and step."""
    params = SamplingParams(max_new_tokens=STEPS, temperature=1.0, seed=1, stop=STOPS, ignore_eos=True)
    with sglc.Engine("replay:hash", tokenizer=data.gpt2(), max_running=BATCH) as engine:
        prompts = engine.tokenizer.encode_batch([prompt(number) for number in range(BATCH)], [True] * BATCH)
        complete(engine, [Job(ids, params, stream_key(1, row, "site")) for row, ids in enumerate(prompts)])
        counters = engine.counters
        return 1e6 * (counters.busy_time - counters.forward_time) / counters.sequence_steps


def best_of(runs: int, *arguments: str) -> float:
    """Return the least time, in seconds, that a fresh Python took."""
    seconds = []
    for _ in range(runs):
        started = perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(perf_counter() - started)
    return min(seconds)
