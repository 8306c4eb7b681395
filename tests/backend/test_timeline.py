"""A timeline has every step and request of a run, and becomes a trace that Perfetto reads."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

import sglc
from sglc.backend.timeline import Timeline
from sglc.backend.trace_events import to_trace

PHASES = {"waiting", "prefill", "decode"}


@sglc.function
def watched(s, topic: str):
    s += "About " + topic + ":"
    forks = s.fork(2)
    for fork in forks:
        fork += sglc.gen("part", max_tokens=6)
    forks.join()
    s += sglc.call(slowly, " and ".join(s["part"])) + sglc.select("grade", choices=["good", "good enough", "bad"])


def slowly(text: str) -> str:
    """Return the same, late."""
    time.sleep(0.002)
    return text


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[Timeline, sglc.Engine, float]]:
    """The timeline of a run on a small engine, and how long the run took."""
    rows = [{"topic": f"number {number % 3}"} for number in range(8)]
    with contextlib.closing(sglc.Engine("replay:hash", kv_tokens=200, max_step_tokens=40)) as engine:
        timeline = engine.observer = Timeline()
        began = time.perf_counter()
        states = watched.run_batch(rows, backend=engine)
        assert all(state.error is None for state in states)
        yield timeline, engine, time.perf_counter() - began


def test_it_counts_what_the_engine_counts(run: tuple[Timeline, sglc.Engine, float]) -> None:
    timeline, engine, _ = run
    counters = engine.counters
    assert len(timeline.steps) >= counters.forward_passes > 0
    assert sum(step.decoded for step in timeline.steps) == counters.decoded
    assert len(timeline.spans) == counters.requests
    for name in ("prompt", "filled", "relogit", "refilled", "cached", "decoded"):
        assert sum(getattr(span, name) for span in timeline.spans) == getattr(counters, name), name
    assert sum(step.filled for step in timeline.steps) >= counters.filled + counters.relogit
    assert len(timeline.calls) == 8


def test_every_request_has_its_course(run: tuple[Timeline, sglc.Engine, float]) -> None:
    timeline, _, seconds = run
    for span in timeline.spans:
        assert span.began is not None and span.filled_at is not None and span.ended is not None
        assert timeline.began <= span.asked <= span.began <= span.filled_at <= span.ended <= timeline.began + seconds
        assert span.location is not None and span.location.file == __file__
        assert 0 <= span.row < 8
    assert {span.kind for span in timeline.spans} == {"decode", "score"}
    for earlier, later in zip(timeline.steps, timeline.steps[1:], strict=False):
        assert earlier.began <= earlier.ended <= later.began


def test_the_trace_is_one_that_perfetto_reads(run: tuple[Timeline, sglc.Engine, float]) -> None:
    """The Trace Event Format: complete events nest on their track, counters are numbers, names are metadata."""
    timeline, _, _ = run
    trace = json.loads(json.dumps(to_trace(timeline)))
    assert trace.keys() == {"traceEvents", "displayTimeUnit"}
    events: list[dict[str, Any]] = trace["traceEvents"]
    assert {event["ph"] for event in events} == {"X", "C", "M"}
    named: set[tuple[int, int]] = set()
    tracks: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in events:
        assert isinstance(event["name"], str) and isinstance(event["pid"], int) and isinstance(event["tid"], int)
        track = event["pid"], event["tid"]
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            named.add(track)
            continue
        assert event["ts"] >= 0
        if event["ph"] == "C":
            assert all(isinstance(value, int) for value in event["args"].values())
        else:
            assert event["dur"] >= 0
            tracks.setdefault(track, []).append((event["ts"], event["ts"] + event["dur"]))
    assert tracks.keys() <= named
    for spans in tracks.values():
        open_ends: list[float] = []
        for began, ended in sorted(spans, key=lambda span: (span[0], -span[1])):
            while open_ends and open_ends[-1] <= began + 0.2:
                open_ends.pop()
            assert not open_ends or ended <= open_ends[-1] + 0.2  # times are rounded to tenths of a microsecond
            open_ends.append(ended)


def test_rows_have_tracks_of_their_own(run: tuple[Timeline, sglc.Engine, float]) -> None:
    timeline, _, _ = run
    events = to_trace(timeline)["traceEvents"]
    names = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {f"row {number}" for number in range(8)} | {"steps"} <= names
    assert "row 0, 2 at a time" in names  # its branches run side by side
    kinds = {event["cat"] for event in events if event["ph"] == "X"}
    assert kinds == {"step", "call", "score"} | PHASES
    outer = [event for event in events if event["ph"] == "X" and event["name"].startswith("decode test_timeline.py:")]
    assert len(outer) == sum(span.kind == "decode" for span in timeline.spans)


def test_an_engine_without_an_observer_tells_nobody() -> None:
    with contextlib.closing(sglc.Engine("replay:hash")) as engine:
        assert engine.observer is None
        assert watched.run(topic="nothing", backend=engine).error is None
