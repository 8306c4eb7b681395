"""The reference runs a program as it is defined: nothing shared, nothing at the same time, the same meaning."""

from __future__ import annotations

import sglc
from sglc.language.state import ProgramState
from tests.reference import Outcome, reference_engine, reference_run


@sglc.function
def guess(s: ProgramState, number: int) -> None:
    """Generate, and fail on one row."""
    s += f"Number {number} is" + sglc.gen("what", max_tokens=5)
    if number == 2:
        raise ValueError("found two; wanted another")


def test_it_shares_nothing_and_says_what_any_engine_says() -> None:
    rows = [{"number": number} for number in range(4)] * 2
    with reference_engine("replay:hash", kv_tokens=64) as engine:
        right = reference_run(guess, rows, engine, seed=3)
        assert engine.counters.cached == 0
        assert engine.counters.sequence_steps == engine.counters.forward_passes
    with sglc.Engine("replay:hash") as engine:
        assert [Outcome.of(state) for state in guess.run_batch(rows, backend=engine, seed=3)] == right
    assert [outcome.error for outcome in right[:4]] == [None, None, "ValueError: found two; wanted another", None]


def test_row_numbers_select_the_random_streams() -> None:
    with reference_engine("replay:hash") as engine:
        whole = reference_run(guess, [{"number": 1}] * 3, engine)
        assert reference_run(guess, [{"number": 1}], engine, indices=[2]) == whole[2:]
        assert whole[0] != whole[2]
