"""The calls of a small town's agents, a short generation each, against vLLM fed the same calls."""

from __future__ import annotations

from benchmarks.peers.comparison import Workload, compare
from benchmarks.registry import Options, Result
from benchmarks.workloads import agents

CALLS = 300


def run(options: Options) -> Result:
    """Run the first calls of the record."""
    return compare(Workload("agents", agents.agent_call, agents.rows(20 if options.quick else CALLS)), options)
