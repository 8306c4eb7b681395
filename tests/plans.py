"""Running hand-written graphs by the executor, beside the same program run eagerly on the reference engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

import sglc
from sglc.backend.plan import Plan
from sglc.codegen.lower import lower
from sglc.ir.parser import parse
from sglc.language.function import SglFunction, params_of
from sglc.language.loop import ProgramLoop
from sglc.language.row import Row
from sglc.language.state import ProgramState

Functions = Mapping[str, Callable[..., Any]]


def plan_of(text: str, functions: Functions | None = None) -> Plan:
    """Return the plan of a program's text, ready to run."""
    return Plan(lower(parse(text)), functions)


def always() -> bool:
    """Say that nothing has changed."""
    return True


def run_plan(
    plan: Plan,
    program: SglFunction,
    rows: Iterable[Mapping[str, Any]],
    engine: sglc.Engine,
    still_holds: Callable[[], bool] = always,
    **sampling: Any,
) -> list[ProgramState]:
    """Run rows by a plan, all at once; `program` is what they go on with where they leave it."""
    finished: list[Row] = []
    with closing(ProgramLoop(engine, finished.append)) as loop:
        started: list[Row] = []
        for index, given in enumerate(rows):
            arguments = program.arguments((), given)
            row = Row(loop, program.func, arguments, params_of(sampling), index, streamed=False)
            begin(row, plan, still_holds)
            started.append(row)
        loop.run_until(lambda: len(finished) == len(started))
    return [row.state for row in started]


def begin(row: Row, plan: Plan, still_holds: Callable[[], bool]) -> None:
    """Let a row run by a plan, or in Python where that can't be run on its engine."""
    row.bound, row.still_holds = plan.bind(row.engine, row.params), still_holds
    row.begin()


class Side:
    """The same model in two engines: one as users have it, audited, and the reference."""

    def __init__(self, **options: Any) -> None:
        options = {"kv_tokens": 8192, **options}
        self.engine = sglc.Engine("replay:hash", check=True, **options)
        self.reference = sglc.Engine("replay:hash", cache=False, max_running=1, **options)

    def compare(
        self,
        text: str,
        program: SglFunction,
        rows: Iterable[Mapping[str, Any]],
        functions: Functions | None = None,
        left: int = 0,
        **sampling: Any,
    ) -> list[ProgramState]:
        """Run rows by the graph and eagerly, check that all that can be seen is equal, and return the former's states.

        `left` is how many rows have to leave the graph.
        """
        rows = list(rows)
        plan = plan_of(text, functions)
        states = run_plan(plan, program, rows, self.engine, **sampling)
        wanted = program.run_batch(rows, backend=self.reference, concurrency=1, eager=True, **sampling)
        for state, expected in zip(states, wanted, strict=True):
            assert observed(state) == observed(expected)
        assert sum(type(state) is ProgramState for state in states) == left
        return states

    def close(self) -> None:
        """Close both engines."""
        self.engine.close()
        self.reference.close()


def observed(state: ProgramState) -> dict[str, Any]:
    """Return all of a finished state that does not depend on what an engine had in its cache."""
    error = state.error
    if error is not None:
        return {"error": type(error), "message": str(error), "cause": repr(error.__cause__)}
    return {
        "text": state.text(),
        "messages": state.messages(),
        "variables": list(state.variables().items()),
        "finish": state.finish(),
        "reports": {name: report(state.get_meta_info(name)) for name in state.variables()},
        "returned": state.ret_value,
        "tokens": state.prompt.tokens.tolist(),
        "tail": state.prompt.tail,
        "streams": {name: [*state.text_iter(name)] for name in (None, *state.variables())},
        "index": state.index,
        "costs": (state.counters.requests, state.counters.prompt, state.counters.decoded),
    }


def report(meta: dict[str, Any]) -> dict[str, Any]:
    """Return what is reported of a generation and its samples but for what was in the cache."""
    samples = [report(each) for each in meta.get("samples", ())]
    return {**meta, "cached_tokens": None, "samples": samples}
