"""What a program means, by definition: run eagerly, without a cache, one request at a time.

Everything else that runs programs is checked against this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sglc.backend.engine import Engine
from sglc.language.function import SglFunction
from sglc.language.state import ProgramState


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run of a program on one row says; equal for equal meaning."""

    text: str
    variables: dict[str, Any]
    finish: dict[str, str]
    error: str | None

    @staticmethod
    def of(state: ProgramState) -> Outcome:
        """Return the outcome of a finished state."""
        error = None if state.error is None else f"{type(state.error).__name__}: {state.error}"
        text = state.text() if state.error is None else ""
        return Outcome(text, state.variables(), state.finish(), error)


def reference_engine(spec: str | Path, **options: Any) -> Engine:
    """Return an engine that shares nothing: no cache, one request at a time, prompts in one piece."""
    return Engine(spec, cache=False, max_running=1, max_step_tokens=1 << 20, **options)


def reference_run(
    program: SglFunction, rows: Iterable[Any], engine: Engine, indices: Iterable[int] | None = None, **sampling: Any
) -> list[Outcome]:
    """Run a program over rows, one row at a time, on a `reference_engine`; `indices` are the row numbers."""
    states = program.run_batch(rows, backend=engine, concurrency=1, indices=indices, **sampling)
    return [Outcome.of(state) for state in states]
