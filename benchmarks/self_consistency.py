"""Questions answered 16 times each at a temperature, behind the same examples, against vLLM fed the same calls."""

from __future__ import annotations

from benchmarks.peers.comparison import Workload, compare
from benchmarks.registry import Options, Result
from benchmarks.workloads import few_shot

QUESTIONS, TOKENS, TEMPERATURE = 8, 64, 0.8


def run(options: Options) -> Result:
    """Run it with answers of so many tokens; the sides draw different ones, so their number is what is the same."""
    rows = few_shot.rows(2 if options.quick else QUESTIONS)
    tokens = 4 if options.quick else TOKENS
    arguments = [row | {"max_tokens": tokens} for row in rows]
    return compare(Workload("self_consistency", few_shot.sample_answers, arguments, TEMPERATURE), options)
