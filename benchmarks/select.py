"""Choosing among texts: what it costs beside filling the prompt, and how fast it is against a request for each choice.

- `abcd_extra_tokens`, `abcd_extra_passes`: five-shot MMLU questions in one batch, one of four letters to be selected.
  Positions computed and forward passes, less those of the same prompts filled and not asked anything. `abcd_o0_…` are
  those without passes.
- `hellaswag_inner_nodes`: by definition, from the tokens alone: what begins a choice, reaches beyond its prompt and is
  not the whole of it, each once a row. `hellaswag_scored`: positions computed in one batch, less those of the same
  prompts filled. `hellaswag_extra_passes`: rows one after another; forward passes less those that fill the prompts.
- `hellaswag_speedup`: the seconds of the batch at -O0 over those at -O2 on a random Llama in bfloat16. vLLM scores
  each choice by the log-probabilities of prompts: as it does so by itself, which computes prompts whole, on the first
  rows only and times as many (`vllm_seconds`), and told to take what its prefix cache has (`vllm_reuse_seconds`).
- `decision_mismatches`, `logprob_error`: at -O2, for the three methods, against rows run eagerly one by one without a
  cache, on a small Llama in float64.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks import data
from benchmarks.checkpoint import save_llama
from benchmarks.peers.engines import Column, score_choices
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.requests import Job, complete
from benchmarks.threads import alone, torch_threads
from benchmarks.workloads.multiple_choice import LETTERS, hellaswag, hellaswag_rows, mmlu, mmlu_rows
from sglc.backend.choices import METHODS
from sglc.backend.engine import Engine
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.sampling import SamplingParams
from sglc.language.function import SglFunction
from sglc.language.state import ProgramState
from tests.checkpoints import save_checkpoint

Row = Mapping[str, Any]
FILL = SamplingParams(max_new_tokens=0)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many questions of what kind, and the models that answer them."""

    subjects: int = 9
    questions: int = 20
    rows: int = 200
    shots: int = 20
    exact_rows: int = 40
    exact_shots: int = 2
    vllm_rows: int = 4
    hidden: int = 768
    layers: int = 12
    kv_tokens: int = 1 << 16
    threads: int = 2


QUICK = Shape(subjects=2, questions=3, rows=10, shots=2, exact_rows=4, vllm_rows=2, hidden=96, layers=2, threads=1)


class Cost(NamedTuple):
    """Positions computed and forward passes."""

    tokens: int
    passes: int

    @classmethod
    def of(cls, engine: Engine) -> Cost:
        """Return what an engine has done since its counters were reset."""
        counters = engine.counters
        return cls(counters.filled + counters.relogit + counters.refilled, counters.forward_passes)


def run(options: Options) -> Result:
    """Count on the replay model, time on a random Llama, compare on an exact one."""
    shape = QUICK if options.quick else Shape()
    figures = {**counted(shape), **exact(shape)}
    timed, vllm = times(shape, options)
    notes = {"data": data.source(), "dtype": "bfloat16", "threads": str(shape.threads), "peer_vllm": vllm}
    return Result(figures | timed, notes)


# Counting


def counted(shape: Shape) -> Figures:
    """Return what choosing computes on the replay model."""
    with closing(Engine("replay:hash", tokenizer=data.gpt2(), kv_tokens=1 << 18)) as engine:
        asked = mmlu_rows(shape.subjects, shape.questions)
        prompts = [prompts_of(engine.tokenizer, row["examples"] + row["question"], LETTERS) for row in asked]
        filled = fill(engine, [chain.from_iterable(prompts)])
        letters = {level: choose(engine, mmlu, asked, level) for level in (2, 0)}
        examples, rows = hellaswag_rows(shape.rows, shape.shots)
        end = hellaswag(examples)
        texts = [(examples + row["context"], row["endings"]) for row in rows]
        prompts = [prompts_of(engine.tokenizer, text, endings) for text, endings in texts]
        prompt_tokens = fill(engine, [chain.from_iterable(prompts)]).tokens
        prompt_passes = fill(engine, prompts).passes
        return {
            "abcd_rows": len(asked),
            "abcd_extra_tokens": letters[2].tokens - filled.tokens,
            "abcd_extra_passes": letters[2].passes - filled.passes,
            "abcd_o0_extra_tokens": letters[0].tokens - filled.tokens,
            "abcd_o0_extra_passes": letters[0].passes - filled.passes,
            "hellaswag_rows": len(rows),
            "hellaswag_inner_nodes": sum(inner_nodes(engine.tokenizer, text, endings) for text, endings in texts),
            "hellaswag_scored": choose(engine, end, rows, 2).tokens - prompt_tokens,
            "hellaswag_o0_scored": choose(engine, end, rows, 0).tokens - prompt_tokens,
            "hellaswag_extra_passes": choose(engine, end, rows, 2, concurrency=1).passes - prompt_passes,
        }


def choose(
    engine: Engine, program: SglFunction, rows: Sequence[Row], level: int, concurrency: int | None = None
) -> Cost:
    """Return what a batch costs from an empty cache."""
    _forget(engine)
    _checked(program.run_batch(rows, backend=engine, optimize=level, concurrency=concurrency))
    return Cost.of(engine)


def fill(engine: Engine, batches: Iterable[Iterable[Sequence[int]]]) -> Cost:
    """Return what prompts cost that are asked nothing, batch after batch, from an empty cache."""
    _forget(engine)
    for prompts in batches:
        complete(engine, [Job(tokens, FILL) for tokens in prompts])
    return Cost.of(engine)


def sequences_of(tokenizer: Tokenizer, text: str, choices: Sequence[str]) -> list[tuple[tuple[int, ...], int]]:
    """Return the tokens of a text with each choice behind it, and how many of them are wholly inside the text."""
    found = []
    for choice in choices:
        ids, ends = tokenizer.encode_with_ends(text + choice, at_start=True)
        first = next(place for place, end in enumerate(ends) if end > len(text))
        found.append(((*tokenizer.prefix, *ids), len(tokenizer.prefix) + first))
    return found


def prompts_of(tokenizer: Tokenizer, text: str, choices: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the tokens wholly inside a text, in each way that the choices behind it bring about."""
    return [*dict.fromkeys(tokens[:first] for tokens, first in sequences_of(tokenizer, text, choices))]


def inner_nodes(tokenizer: Tokenizer, text: str, choices: Sequence[str]) -> int:
    """Return how many beginnings of choices there are that are longer than the prompt and shorter than the choice."""
    nodes = set()
    for tokens, first in sequences_of(tokenizer, text, choices):
        prompt = hash(tokens[:first])
        nodes |= {(prompt, tokens[first:end]) for end in range(first + 1, len(tokens))}
    return len(nodes)


def _forget(engine: Engine) -> None:
    engine.flush_cache()
    engine.reset_counters()


def _checked(states: Iterable[ProgramState]) -> list[ProgramState]:
    """Return the states. Raises the first error of a row."""
    states = list(states)
    for state in states:
        state.row.raise_for_error()
    return states


# Comparing


def exact(shape: Shape) -> Figures:
    """Return how far decisions and log-probabilities are from those of the reference, all methods together."""
    examples, rows = hellaswag_rows(shape.exact_rows, shape.exact_shots)
    mismatches, error = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = data.gpt2()
        checkpoint = save_checkpoint("llama", Path(folder), vocab_size=tokenizer.vocab_size)
        model = partial(Engine, checkpoint, tokenizer=tokenizer, dtype="float64", kv_tokens=1 << 14)
        with closing(model()) as engine, closing(model(cache=False, max_running=1)) as reference:
            for method in METHODS.values():
                end = hellaswag(examples, method)
                found = _checked(end.run_batch(rows, backend=engine, optimize=2))
                wanted = _checked(end.run_batch(rows, backend=reference, eager=True, concurrency=1))
                for one, two in zip(found, wanted, strict=True):
                    mismatches += one["ending"] != two["ending"]
                    pairs = zip(_logprobs(one), _logprobs(two), strict=True)
                    error = max(error, *(abs(a - b) for a, b in pairs))
    return {"decision_mismatches": mismatches, "logprob_error": error, "decisions": len(METHODS) * len(rows)}


def _logprobs(state: ProgramState) -> list[float]:
    meta = state.get_meta_info("ending")
    scores = meta["input_token_logprobs"] + meta.get("unconditional_token_logprobs", [])
    return [entry.logprob or 0.0 for score in scores for entry in score]


# Timing


def times(shape: Shape, options: Options) -> tuple[Figures, str]:
    """Return the seconds of all sides, run in turns, and a note on vLLM. Nobody remembers anything of a run before."""
    runs = options.runs or (1 if options.quick else 3)
    examples, rows = hellaswag_rows(shape.rows, shape.shots)
    seconds: dict[int, list[float]] = {2: [], 0: []}
    with tempfile.TemporaryDirectory() as folder, torch_threads(shape.threads):
        vocab = -(-data.gpt2().vocab_size // 64) * 64  # a multiple, for fast products
        checkpoint = alone(partial(save_llama, Path(folder), shape.hidden, shape.layers, vocab))
        for number in range(runs):
            for level, found in seconds.items():
                found.append(seconds_of(checkpoint, shape, examples, rows, level))
            told = ", ".join(f"-O{level} {found[-1]:.2f} s" for level, found in seconds.items())
            say(f"run {number + 1} of {runs}: {told}")
        ours = {level: median(found) for level, found in seconds.items()}
        theirs, note = vllm_seconds(checkpoint, shape, examples, rows, options)
    figures: Figures = {
        "hellaswag_o2_seconds": ours[2],
        "hellaswag_o0_seconds": ours[0],
        "hellaswag_speedup": ours[0] / ours[2],
    }
    for name, value in theirs.items():
        figures |= {f"hellaswag_{name}_seconds": value, f"hellaswag_o2_vs_{name}": value / ours[2]}
    return figures | {"runs": runs}, note


def seconds_of(checkpoint: Path, shape: Shape, examples: str, rows: Sequence[Row], level: int) -> float:
    """Return how long a batch takes on a fresh engine, after two rows that do not count."""
    model = Engine(checkpoint, tokenizer=data.gpt2(), dtype="bfloat16", kv_tokens=shape.kv_tokens)
    with closing(model) as engine:
        _checked(hellaswag("").run_batch(rows[:2], backend=engine, optimize=level))
        engine.flush_cache()
        end = hellaswag(examples)
        started = perf_counter()
        states = end.run_batch(rows, backend=engine, optimize=level)
        seconds = perf_counter() - started
        _checked(states)
    return seconds


def vllm_seconds(
    checkpoint: Path, shape: Shape, examples: str, rows: Sequence[Row], options: Options
) -> tuple[dict[str, float], str]:
    """Return the seconds of vLLM by itself and told to reuse its cache, as far as it is there, and a note on it."""
    tokenizer = data.gpt2()
    asked = [
        (tokens, first)
        for row in rows
        for tokens, first in sequences_of(tokenizer, examples + row["context"], row["endings"])
    ]
    few = asked[: shape.vllm_rows * len(rows[0]["endings"])]
    found: dict[str, float] = {}
    with Column("vllm", checkpoint, options, kv_tokens=shape.kv_tokens, threads=shape.threads) as column:
        score_choices(column, *_columns(asked[:4]))  # does not count
        whole = score_choices(column, *_columns(few))
        if whole is not None:
            found["vllm"] = whole[0] * len(asked) / len(few)
        reused = score_choices(column, *_columns(asked), reuse=True)
        if reused is not None:
            found["vllm_reuse"] = reused[0]
        return found, column.note


def _columns(asked: Sequence[tuple[tuple[int, ...], int]]) -> tuple[list[list[int]], list[int]]:
    return [[*tokens] for tokens, _ in asked], [first for _, first in asked]
