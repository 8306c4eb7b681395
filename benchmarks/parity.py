"""The engine against transformers in float64: same tokens, same log-probabilities, however requests are run.

Small random checkpoints of four architectures; every prompt alone through transformers is the truth. The engine runs
the prompts in batches of 1 to 64, with and without a cache, in chunks and whole, in a pool that is large and in one
that the longest path just fits, where sequences must be preempted.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.oracle import Answer, answers
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.requests import Job, complete
from benchmarks.sampled_parity import sampled_figures
from benchmarks.threads import torch_threads
from sglc.backend.engine import Engine
from sglc.backend.request import Completion
from sglc.backend.step import Floats
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.sampling import SamplingParams
from tests.checkpoints import save_checkpoint
from tests.reference import reference_engine

FAMILIES = ("llama", "qwen3", "gemma", "gpt2")
LONGEST, NEW_TOKENS = 600, 12
BATCHES = (1, 2, 3, 5, 9, 16, 28, 64, 40, 32)
QUICK_BATCHES = (1, 2, 7)
CHUNKS = {"chunk 32": 32, "whole": 1 << 20}
_LARGE = 1 << 16
_SCORED_EVERY = 4
"""One prompt in so many also wants the log-probabilities of its own tokens."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run the prompts."""

    cache: bool
    max_step_tokens: int
    kv_tokens: int

    def __str__(self) -> str:
        cache = "cache" if self.cache else "no cache"
        return f"{cache}, steps of {self.max_step_tokens:,}, {self.kv_tokens:,} KV tokens"


def run(options: Options) -> Result:
    """Compare greedy and sampled runs of all families."""
    with torch_threads(1):  # the checkpoints are so small that a second thread only has to be waited for
        return _run(options)


def _run(options: Options) -> Result:
    started = perf_counter()
    batches = QUICK_BATCHES if options.quick else BATCHES
    families = FAMILIES[:2] if options.quick else FAMILIES
    figures: Figures = {
        "token_mismatches": 0,
        "reference_mismatches": 0,
        "max_logprob_error": 0.0,
        "sampled_mismatches": 0,
        "float32_rounding_tokens": 0,
        "preemptions": 0,
        "sampled_preemptions": 0,
        "prompts": sum(batches),
        "architectures": len(families),
        "settings": 0,
        "tokens_compared": 0,
        "logprobs_compared": 0,
    }
    tokenizer = Tokenizer.packaged()
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = save_checkpoint(family, Path(folder), vocab_size=tokenizer.vocab_size, eos=end_ids(tokenizer))
            _greedy(family, checkpoint, tokenizer, batches, figures)
            sampled_figures(family, checkpoint, tokenizer, figures, quick=options.quick)
    figures["seconds"] = perf_counter() - started
    return Result(figures, {"data": "synthetic", "dtype": "float64"})


def end_ids(tokenizer: Tokenizer) -> list[int]:
    """Return enough end tokens that some generations end by one: the tokenizer's and every hundredth id."""
    return sorted({*tokenizer.eos_ids, *range(99, tokenizer.vocab_size, 100)})


def prompts(count: int, vocab_size: int, longest: int = LONGEST) -> list[list[int]]:
    """Return random prompts of 1 to `longest` tokens, many of them short; every other one begins like one before it."""
    source = np.random.default_rng(5)
    found: list[list[int]] = []
    for number in range(count):
        length = {0: 1, 1: longest}.get(number, round(longest ** float(source.random())))
        ids = source.integers(0, vocab_size, length).tolist()
        if number % 2 and number > 1:
            earlier = found[int(source.integers(number))]
            shared = int(source.integers(0, min(length, len(earlier)) + 1))
            ids[:shared] = earlier[:shared]
        found.append(ids)
    return found


def settings(just_enough: int) -> Iterator[Setting]:
    """Yield every way to run the prompts."""
    for cache, chunk, kv_tokens in itertools.product((True, False), CHUNKS.values(), (_LARGE, just_enough)):
        yield Setting(cache, chunk, kv_tokens)


def _greedy(family: str, checkpoint: Path, tokenizer: Tokenizer, batches: Sequence[int], figures: Figures) -> None:
    """Run the prompts greedily in every setting and add to the figures."""
    asked = prompts(sum(batches), tokenizer.vocab_size)
    right = answers(checkpoint, asked, NEW_TOKENS, end_ids(tokenizer))
    just_enough = max(len(prompt) + len(answer.tokens) for prompt, answer in zip(asked, right, strict=True)) - 1
    with reference_engine(checkpoint, tokenizer=tokenizer, dtype="float64", kv_tokens=_LARGE) as engine:
        reference = [complete(engine, [job])[0] for job in jobs(asked)]
    _compare(asked, reference, right, figures)
    for setting in settings(just_enough):
        began = perf_counter()
        with Engine(
            checkpoint,
            tokenizer=tokenizer,
            dtype="float64",
            cache=setting.cache,
            max_step_tokens=setting.max_step_tokens,
            kv_tokens=setting.kv_tokens,
        ) as engine:
            found = in_batches(engine, jobs(asked), batches)
            preemptions = engine.counters.preemptions
        wrong = _compare(asked, found, right, figures)
        figures["reference_mismatches"] += sum(drawn(f) != drawn(r) for f, r in zip(found, reference, strict=True))
        figures["preemptions"] += preemptions
        figures["settings"] += 1
        say(f"{family}, {setting}: {wrong} wrong, {preemptions} preemptions, {perf_counter() - began:.1f} s")
    _float32(checkpoint, tokenizer, asked, batches, figures)


def jobs(asked: Sequence[Sequence[int]]) -> list[Job]:
    """Return a greedy job for each prompt."""
    params = SamplingParams(max_new_tokens=NEW_TOKENS, temperature=0.0, return_logprob=True)
    return [Job(ids, params, score_from=None if i % _SCORED_EVERY else 0) for i, ids in enumerate(asked)]


def in_batches(engine: Engine, given: Sequence[Job], batches: Sequence[int]) -> list[Completion]:
    """Run jobs in batches of these sizes, one batch after the other."""
    found: list[Completion] = []
    for size in batches:
        found += complete(engine, given[len(found) : len(found) + size])
    return found


def drawn(completion: Completion) -> list[int]:
    """Return every token that was drawn, an end token too."""
    return [entry.token_id for entry in completion.output_logprobs]


def _compare(
    asked: Sequence[Sequence[int]], found: Sequence[Completion], right: Sequence[Answer], figures: Figures
) -> int:
    """Add what differs from the truth to the figures; return the number of tokens that do."""
    wrong = 0
    for prompt, completion, answer in zip(asked, found, right, strict=True):
        tokens = drawn(completion)
        differing = sum(a != b for a, b in itertools.zip_longest(tokens, answer.tokens))
        wrong += differing
        figures["tokens_compared"] += len(answer.tokens)
        if differing:
            continue
        mine = [entry.logprob for entry in completion.output_logprobs]
        theirs = answer.logprobs[len(prompt) - 1 :]
        if completion.input_logprobs:
            mine = [entry.logprob for entry in completion.input_logprobs[1:]] + mine
            theirs = answer.logprobs
        error = relative_error(np.array(mine, float), theirs)
        figures["logprobs_compared"] += len(theirs)
        figures["max_logprob_error"] = max(figures["max_logprob_error"], error)
    figures["token_mismatches"] += wrong
    return wrong


def relative_error(found: Floats, right: Floats) -> float:
    """Return the greatest |found - right| / |right|; infinite where `found` is no number."""
    errors = np.abs(found - right) / np.maximum(np.abs(right), np.finfo(float).tiny)
    return float(np.nan_to_num(errors, nan=np.inf).max(initial=0.0))


def _float32(
    checkpoint: Path, tokenizer: Tokenizer, asked: Sequence[Sequence[int]], batches: Sequence[int], figures: Figures
) -> None:
    """Count the tokens that rounding changes between float32 runs, batched and one at a time."""
    with Engine(checkpoint, tokenizer=tokenizer, dtype="float32", kv_tokens=_LARGE) as engine:
        batched = in_batches(engine, jobs(asked), batches)
    with reference_engine(checkpoint, tokenizer=tokenizer, dtype="float32", kv_tokens=_LARGE) as engine:
        alone = [complete(engine, [job])[0] for job in jobs(asked)]
    pairs = ((drawn(a), drawn(b)) for a, b in zip(batched, alone, strict=True))
    figures["float32_rounding_tokens"] += sum(a != b for one, two in pairs for a, b in itertools.zip_longest(one, two))
