"""One stream: what a token takes behind a prompt of 512 tokens, and what a prompt of 1,024 takes.

sglc, vLLM, llama.cpp and transformers run the same random Llama in turns, each from an empty cache. A token's time is
that of the prompt with 64 tokens, without that of the prompt with one, over 63; a prompt's is that until its first
token. Then sglc alone on a Qwen3 of that size, and beside transformers on a GPT-2.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.checkpoint import save_gpt2, save_llama, save_qwen3
from benchmarks.peers.engines import Column
from benchmarks.peers.protocol import Call
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.requests import Job, cold_run
from benchmarks.threads import alone, torch_threads, wait_for_engines
from sglc.backend.engine import Engine
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.sampling import SamplingParams

THREADS = 2
KV_TOKENS = 1 << 14
MODELS = {"llama": save_llama, "qwen3": save_qwen3, "gpt2": save_gpt2}
PEERS = {"llama": ("vllm", "llama.cpp", "transformers"), "qwen3": (), "gpt2": ("transformers",)}
"""Model → who runs it beside sglc."""

Ask = Callable[[Sequence[int], int], tuple[float, list[int]] | None]
"""A prompt and how many tokens are wanted → the seconds and the tokens; None from a peer that is not there."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How long the prompts are, how many tokens are decoded, and the models' size."""

    prompt: int = 512
    tokens: int = 64
    long_prompt: int = 1024
    hidden: int = 768
    layers: int = 12
    vocab: int = 32_000


QUICK = Shape(prompt=64, tokens=8, long_prompt=128, hidden=96, layers=2, vocab=1000)


@dataclass(slots=True)
class Side:
    """Who answers, the milliseconds of each turn, and the tokens said last."""

    ask: Ask
    decode: list[float] = field(default_factory=list)
    prefill: list[float] = field(default_factory=list)
    said: list[int] = field(default_factory=list)

    def take_turn(self, shape: Shape) -> None:
        """Measure once, after an answer that does not count; note nothing of a peer that is not there."""
        prompt, long_prompt = prompts(shape)
        self.ask(long_prompt, 2)
        whole, first, long = self.ask(prompt, shape.tokens), self.ask(prompt, 1), self.ask(long_prompt, 1)
        if whole is None or first is None or long is None:
            return
        self.decode.append(1000 * (whole[0] - first[0]) / (shape.tokens - 1))
        self.prefill.append(1000 * long[0])
        self.said = whole[1]


def run(options: Options) -> Result:
    """Time all sides of all models in turns."""
    shape = QUICK if options.quick else Shape()
    runs = options.runs or (1 if options.quick else 5)
    notes: dict[str, str] = {"data": "synthetic", "dtype": "bfloat16", "threads": str(THREADS)}
    sides: dict[tuple[str, str], Side] = {}
    columns: dict[tuple[str, str], Column] = {}
    loads = []
    with ExitStack() as stack:
        stack.enter_context(torch_threads(THREADS))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for model, save in MODELS.items():
            checkpoint = alone(partial(save, folder / model, shape.hidden, shape.layers, shape.vocab))
            engine = partial(Engine, checkpoint, tokenizer=Tokenizer.packaged(), dtype="bfloat16", kv_tokens=KV_TOKENS)
            sides[model, "sglc"] = Side(partial(_ask_engine, stack.enter_context(alone(engine))))
            for name in PEERS[model]:
                column = Column(name, checkpoint, options, kv_tokens=KV_TOKENS, threads=THREADS)
                columns[model, name] = stack.enter_context(column)
                sides[model, name] = Side(partial(_ask_peer, column))
        for number in range(runs):
            loads.append(os.getloadavg()[0])
            for side in sides.values():
                wait_for_engines()
                side.take_turn(shape)
            told = [f"{model} {name} {s.decode[-1]:.1f} ms a token" for (model, name), s in sides.items() if s.decode]
            say(f"run {number + 1} of {runs}: {', '.join(told)}")
    for (model, name), column in columns.items():
        notes[f"peer_{_prefix(model)}{name}"] = column.note
    notes["load_averages"] = " ".join(f"{load:.2f}" for load in loads)
    return Result(_figures(sides, shape, runs), notes)


def prompts(shape: Shape) -> tuple[list[int], list[int]]:
    """Return the prompt behind which tokens are decoded, and the long one."""
    source = np.random.default_rng(5)
    short, long = (source.integers(10, shape.vocab, length).tolist() for length in (shape.prompt, shape.long_prompt))
    return short, long


def _ask_engine(engine: Engine, tokens: Sequence[int], count: int) -> tuple[float, list[int]]:
    params = SamplingParams(max_new_tokens=count, temperature=0.0, ignore_eos=True)
    seconds, (completion,) = cold_run(engine, [Job(tokens, params)])
    return seconds, completion.tokens.tolist()


def _ask_peer(column: Column, tokens: Sequence[int], count: int) -> tuple[float, list[int]] | None:
    answers = column.generate([Call(tokens, count)])
    return None if answers is None else (answers.seconds, answers.outputs[0])


def _figures(sides: Mapping[tuple[str, str], Side], shape: Shape, runs: int) -> Figures:
    """Return the medians, and ours over the others', of those that were there until the end."""
    whole = {key: side for key, side in sides.items() if len(side.decode) == runs}
    decode = {key: median(side.decode) for key, side in whole.items()}
    prefill = {key: median(side.prefill) for key, side in whole.items()}
    figures: Figures = {}
    for key in whole:
        model, name = key[0], key[1].replace(".", "")
        ours = (model, "sglc")
        figures[f"{_prefix(model)}decode_ms_{name}"] = decode[key]
        figures[f"{_prefix(model)}prefill{shape.long_prompt}_ms_{name}"] = prefill[key]
        if key != ours:
            figures[f"{_prefix(model)}decode_vs_{name}"] = decode[ours] / decode[key]
            figures[f"{_prefix(model)}prefill_vs_{name}"] = prefill[ours] / prefill[key]
            same = sum(a == b for a, b in zip(sides[ours].said, sides[key].said, strict=True))
            figures[f"{_prefix(model)}equal_tokens_{name}"] = same
    llama, qwen3 = ("llama", "sglc"), ("qwen3", "sglc")
    figures["qwen3_decode_vs_llama"] = decode[qwen3] / decode[llama]
    figures["qwen3_prefill_vs_llama"] = prefill[qwen3] / prefill[llama]
    return figures | {"tokens": shape.tokens, "runs": runs}


def _prefix(model: str) -> str:
    """Return what the figures of a model begin with; those of Llama have no name."""
    return "" if model == "llama" else f"{model}_"
