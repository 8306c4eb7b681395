"""Essays judged by forks of one state and a verdict on all they said, against vLLM fed the same calls."""

from __future__ import annotations

from benchmarks.peers.comparison import Workload, compare
from benchmarks.registry import Options, Result
from benchmarks.workloads import judge

ESSAYS, TOKENS = 8, 24


def run(options: Options) -> Result:
    """Run it with judgements of so many tokens."""
    essays, tokens = (2, 6) if options.quick else (ESSAYS, TOKENS)
    rows = sorted(judge.rows(), key=lambda row: len(row["essay"]))[-essays:]  # the longest: 800 to 900 tokens
    return compare(Workload("judge", judge.judge, [row | {"max_tokens": tokens} for row in rows]), options)
