"""What plans come to on an engine, for cases of passes on plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from random import Random
from typing import Any

import sglc
from sglc.backend.plan import Plan
from sglc.codegen.lower import lower
from sglc.ir.graph import Graph
from sglc.ir.sampling import SamplingParams
from sglc.language.state import ProgramState
from tests.passes.meaning import WORDS
from tests.plans import observed, run_plan

_COSTS = ("costs", "streams")
"""What of a row passes may change."""


@sglc.function
def elsewhere(s: ProgramState, **given: Any) -> None:
    """Stand for the program where rows leave their plan."""
    raise LookupError("left the plan")


def observe(
    graph: Graph, rows: Sequence[Mapping[str, Any]], engine: sglc.Engine, params: SamplingParams
) -> list[Mapping[str, Any]]:
    """Return all of the states in which rows end that passes keep."""
    plan = Plan(lower(graph) if graph.level == "program" else graph, _functions(graph))
    usual = SamplingParams()
    given = {each.name: getattr(params, each.name) for each in fields(SamplingParams)}
    sampling = {name: value for name, value in given.items() if value != getattr(usual, name)}
    states = run_plan(plan, elsewhere, rows, engine, **sampling)
    return [{name: seen for name, seen in observed(state).items() if name not in _COSTS} for state in states]


def _functions(graph: Graph) -> Mapping[str, Callable[..., Any]]:
    """Return host functions that return the same for the same."""

    def host(name: str) -> Callable[..., Any]:
        return lambda *given, **named: Random(f"{name}{given}{named}").choice(WORDS)

    return {op.attributes["fn"]: host(op.attributes["fn"]) for op in graph.ops() if op.name == "call"}
