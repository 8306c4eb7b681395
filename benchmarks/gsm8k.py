"""Questions of grade-school mathematics behind the same examples, against vLLM fed the same calls."""

from __future__ import annotations

from benchmarks.peers.comparison import Workload, compare
from benchmarks.registry import Options, Result
from benchmarks.workloads import few_shot

QUESTIONS, TOKENS = 64, 32


def run(options: Options) -> Result:
    """Run it with answers of so many tokens."""
    rows = few_shot.rows(8 if options.quick else QUESTIONS)
    return compare(Workload("gsm8k", few_shot.answer, [row | {"max_tokens": TOKENS} for row in rows]), options)
