"""The benchmarks there are, in the order a person would want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module

Figures = dict[str, int | float]

BENCHMARKS = {
    "overhead": "the cost of everything but the model: programs per second, engine time per sequence-step, start-up",
    "cases": "the program cases of tests/cases: how many there are, how many of their clauses fail",
    "capture": "the same cases compiled: how many run without an eager region, where the others have one, and why",
    "parity": "tokens and log-probabilities against transformers in float64, however requests are batched and cached",
    "traces": "recorded agent runs replayed: outputs equal the record, tokens filled against a serial LRU radix cache, "
    "and by plans at -O1 against -O0, the trie's edges and the optimal eviction",
    "planning": "what passes and planning take, and what is lost where nothing can be won",
    "fewshot": "64 prompts that share 1,024 tokens, against transformers' batched generate and vLLM",
    "decode": "one stream, a token and a long prompt: against vLLM, llama.cpp and transformers, and on three models",
    "attention": "rows that generate, behind a shared prefix and not, against grouped products over dense KV",
    "gsm8k": "questions behind the same examples: seconds at -O2, at -O0, and of vLLM fed the same calls",
    "judge": "essays judged by six forks each and a verdict: seconds at -O2, at -O0, and of vLLM fed the same calls",
    "self_consistency": "questions answered 16 times: seconds at -O2, at -O0, and of vLLM fed the same calls",
    "tot": "searches of a tree of thought, level by level: seconds at -O2, at -O0, and of vLLM fed the same calls",
    "agents": "short calls of a small town's agents: seconds at -O2, at -O0, and of vLLM fed the same calls",
    "select": "choices: what they cost beside their prompts, seconds at -O2, at -O0 and of vLLM scoring each choice",
    "reorder": "unordered sections: what rows share in the order found, against the order written and GGR's",
    "masks": "token masks: compiling a language, a token and the next row; against xgrammar, llguidance, outlines-core",
    "ragged": "one long prompt among many short ones: no padding to the longest",
}
"""Name → what it measures. Each is a module of this package with `run(Options) -> Result`."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a benchmark: `quick` for seconds instead of minutes; `runs` of what is timed, None for its own.

    With `install_peers`, engines that a benchmark compares with are installed where they are missing.
    """

    quick: bool = False
    runs: int | None = None
    install_peers: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark found. `notes` say what its figures were measured on, for the environment."""

    figures: Figures
    notes: Mapping[str, str] = field(default_factory=dict)


def find(name: str) -> Callable[[Options], Result]:
    """Return the benchmark of that name. Raises KeyError for one that is not in the registry."""
    if name not in BENCHMARKS:
        raise KeyError(f"found the benchmark {name!r}; wanted one of {', '.join(BENCHMARKS)}")
    run: Callable[[Options], Result] = import_module(f"benchmarks.{name}").run
    return run
