"""Foretelling runs, and counting them: what a prediction has to equal, and a bound has to reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sglc
from sglc.backend.bound import bound
from sglc.backend.prediction import Prediction, predict
from sglc.backend.recording import recorded
from sglc.backend.tape import Tape
from sglc.language.function import SglFunction, params_of
from sglc.language.options import run_options
from sglc.language.planned_rows import planned_rows
from sglc.language.state import ProgramState

WITH_CALLS = ("requests", "decoded")
"""What does not depend on when host code returns."""


def check_predictions(
    program: SglFunction,
    rows: Sequence[Any],
    engine: sglc.Engine,
    optimize: int = 2,
    outputs: Sequence[str] | None = None,
    **sampling: Any,
) -> Tape | None:
    """Run rows on an engine like this one; what was foretold has to be what is counted, and no more than the bound.

    Returns the run's tape; None where not all of the program is captured, so that nothing is foretold.
    """
    given = [program.arguments((), row) if isinstance(row, Mapping) else program.arguments((*row,), {}) for row in rows]
    options = run_options(optimize, outputs, eager=False)
    planned = planned_rows(program, given, params_of(sampling), engine, options)
    if not planned.wholly_captured:
        return None
    most = bound(planned.plans, engine)

    in_python = False

    def run(engine: sglc.Engine) -> None:
        nonlocal in_python
        states = program.run_batch(rows, backend=engine, optimize=optimize, outputs=outputs, **sampling)
        in_python |= any(type(state) is ProgramState for state in states)  # some have left their graphs

    tape = Tape()
    with recorded(engine, tape) as recorder:
        run(recorder)
    cost = Prediction.of(recorder.counters)
    assert not most.exceeded_by(cost), (most, cost)
    foretold = predict(run, engine, tape)
    if not in_python:
        names = cost.as_dict().keys() if not tape.calls else WITH_CALLS
        assert [getattr(foretold, name) for name in names] == [getattr(cost, name) for name in names]
    return tape
