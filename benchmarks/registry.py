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
    "traces": "recorded agent runs replayed: outputs equal the record, tokens filled against a serial LRU radix cache",
    "fewshot": "64 prompts that share 1,024 tokens, against transformers' batched generate with a prefilled cache",
    "ragged": "one long prompt among many short ones: no padding to the longest",
}
"""Name → what it measures. Each is a module of this package with `run(Options) -> Result`."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a benchmark: `quick` for seconds instead of minutes; `runs` of what is timed, None for its own."""

    quick: bool = False
    runs: int | None = None


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
