"""Hashes of contexts kept by slot are those that an audit of whole contexts finds."""

from __future__ import annotations

import pytest

import sglc
from sglc.backend.context_hashes import ContextHashes
from sglc.backend.replay import ReplayModel
from sglc.backend.step import Logits, Step


@sglc.function
def branching(s, topic: str):
    s += "Something about " + topic + ", in many words and then in few.\n"
    forks = s.fork(3)
    for number, fork in enumerate(forks):
        fork += f"Part {number}:" + sglc.gen("part", max_tokens=5)
    forks.join()
    s += "All: " + " ".join(s["part"])
    s += sglc.select("grade", choices=["good", "good enough", "bad"])
    s += sglc.gen("end", max_tokens=5, temperature=0, return_logprob=True, logprob_start_len=2)


@pytest.mark.parametrize(
    "options",
    [{}, {"kv_tokens": 300}, {"max_step_tokens": 9, "max_running": 3}, {"cache": False}],
    ids=str,
)
def test_they_are_those_of_an_audit(options: dict[str, int]) -> None:
    engine = sglc.Engine("replay:hash", check=True, **options)  # type: ignore[arg-type]
    model = engine.model
    assert isinstance(model, ReplayModel)
    hashes = ContextHashes()
    hashes.allocate(engine.kv_tokens + 1)
    forward, steps = model.forward, 0

    def compared(step: Step) -> Logits:
        nonlocal steps
        steps += 1
        logits = forward(step)
        assert hashes.of(step).tolist() == model.contexts(step).tolist()
        return logits

    model.forward = compared  # type: ignore[method-assign]
    rows = [{"topic": topic} for topic in ("clocks", "clocks and bells", "rain", "clocks")]
    for level in (0, 2):
        states = branching.run_batch(rows, backend=engine, optimize=level)
        assert [state.error for state in states] == [None] * len(rows)
    assert steps > 20
    engine.close()
