"""Searches of a tree of thought, asked again level by level, against vLLM fed the same calls."""

from __future__ import annotations

from benchmarks.peers.comparison import Workload, compare
from benchmarks.registry import Options, Result
from benchmarks.workloads import tree_of_thought

PUZZLES = 4
STEPS_TOKENS, VALUE_TOKENS = 32, 4


def run(options: Options) -> Result:
    """Run it with answers of so many tokens."""
    rows = tree_of_thought.rows(1 if options.quick else PUZZLES)
    lengths = {"steps_tokens": STEPS_TOKENS, "value_tokens": VALUE_TOKENS}
    return compare(Workload("tot", tree_of_thought.search, [row | lengths for row in rows]), options)
