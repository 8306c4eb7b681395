"""An engine as a user has it beside the reference that defines what programs mean: no cache, one request at a time."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sglc
from sglc.errors import Location
from sglc.language.function import SglFunction
from sglc.language.state import ProgramState
from tests.cases.recorder import RECORDER
from tests.predictions import check_predictions

MOST_FORETOLD = 50
"""Rows of a case whose cost is foretold."""


@dataclass(frozen=True)
class Models:
    """One model in two engines. `scripted` says whether it says what is planted."""

    engine: sglc.Engine
    reference: sglc.Engine
    scripted: bool

    def run(
        self, program: SglFunction, rows: Iterable[Any], *, failing: bool = False, **sampling: Any
    ) -> list[ProgramState]:
        """Run rows as one batch and return their states; each must have come out as it does on the reference.

        What they cost on the replay model must be what was foretold. Raises the first row's error that there is, unless
        `failing` says that some are expected.
        """
        rows = list(rows)
        states: list[ProgramState] = program.run_batch(rows, backend=self.engine, **sampling)
        alone = program.run_batch(rows, backend=self.reference, concurrency=1, eager=True, **sampling)
        for state, expected in zip(states, alone, strict=True):
            if state.error is not None and not failing:
                raise state.error
            RECORDER.compare(outcome(state), outcome(expected))
            assert outcome(state) == outcome(expected)
        if self.scripted and not failing:
            check_predictions(program, rows[:MOST_FORETOLD], self.engine, **sampling)
        return states

    def run_one(self, program: SglFunction, sampling: Mapping[str, Any] | None = None, **row: Any) -> ProgramState:
        """Run one row as `run` does and return its state."""
        (state,) = self.run(program, [row], **(sampling or {}))
        return state

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a whole prompt that is this text."""
        tokenizer = self.engine.tokenizer
        return [*tokenizer.prefix, *tokenizer.encode(text, at_start=True)]

    def start_cold(self) -> None:
        """Forget cached KV and start to count."""
        self.engine.flush_cache()
        self.engine.reset_counters()

    def close(self) -> None:
        """Close both engines."""
        self.engine.close()
        self.reference.close()


def outcome(state: ProgramState) -> dict[str, Any]:
    """Return all of a finished state that the reference fixes."""
    error = state.error
    if error is not None:
        return {"error": type(error), "message": error.message if isinstance(error, sglc.SglcError) else str(error)}
    return {
        "text": state.text(),
        "messages": state.messages(),
        "variables": state.variables(),
        "finish": state.finish(),
        "returned": state.ret_value,
    }


def distinct_positions(prompts: Iterable[list[int]]) -> int:
    """Return how many positions have to be computed for these prompts when none is computed twice."""
    return len({tuple(ids[:end]) for ids in prompts for end in range(1, len(ids) + 1)})


def line_marked(program: SglFunction, mark: str) -> Location:
    """Return the line of a program that ends with the comment `# mark`."""
    lines, first = inspect.getsourcelines(program.func)
    (at,) = [i for i, line in enumerate(lines) if line.rstrip().endswith(f"# {mark}")]
    return Location(program.file, first + at)
