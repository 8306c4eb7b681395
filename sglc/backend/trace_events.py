"""A timeline in the form that Perfetto and chrome://tracing read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from sglc.backend.timeline import CallSpan, Span, Timeline

_ENGINE, _ROWS = 1, 2

Event = dict[str, Any]


def to_trace(timeline: Timeline) -> dict[str, Any]:
    """Return a trace: the engine is a process with a track of its steps, the rows are one with tracks of theirs.

    What a row does at the same time is on several tracks. Times are microseconds from the timeline's beginning.
    """
    events = [*_names(_ENGINE, "engine", {0: "steps"}), *_steps(timeline)]
    tracks: dict[int, str] = {}
    for track, name, spans in _tracks(timeline):
        tracks[track] = name
        for span in spans:
            events += _events(timeline, track, span)
    return {"traceEvents": [*events, *_names(_ROWS, "rows", tracks)], "displayTimeUnit": "ms"}


def _steps(timeline: Timeline) -> Iterator[Event]:
    for number, step in enumerate(timeline.steps):
        args = {"rows": step.rows, "filled": step.filled, "decoded": step.decoded}
        yield _slice(timeline, f"step {number}", "step", _ENGINE, 0, step.began, step.ended, args)
        counts = {"filled": step.filled, "decoded": step.decoded}
        at = _microseconds(timeline, step.began)
        yield {"name": "tokens", "ph": "C", "ts": at, "pid": _ENGINE, "tid": 0, "args": counts}


def _tracks(timeline: Timeline) -> Iterator[tuple[int, str, list[Span | CallSpan]]]:
    """Yield tracks on which nothing overlaps: their numbers, names and spans."""
    by_row: dict[int, list[Span | CallSpan]] = {}
    run: list[Span | CallSpan] = [span for span in timeline.spans if span.ended is not None]
    for each in [*run, *timeline.calls]:
        by_row.setdefault(each.row, []).append(each)
    track = 0
    for row, spans in sorted(by_row.items()):
        lanes: list[list[Span | CallSpan]] = []
        for span in sorted(spans, key=_start):
            lane = next((lane for lane in lanes if (lane[-1].ended or 0.0) <= _start(span)), None)
            if lane is None:
                lanes.append([span])
            else:
                lane.append(span)
        for number, lane in enumerate(lanes, start=1):
            track += 1
            yield track, f"row {row}" + (f", {number} at a time" if number > 1 else ""), lane


def _events(timeline: Timeline, track: int, span: Span | CallSpan) -> Iterator[Event]:
    if isinstance(span, CallSpan):
        yield _slice(timeline, "call", "call", _ROWS, track, span.began, span.ended, {})
        return
    assert span.began is not None and span.ended is not None  # those that never ran are on no track
    place = f"{PurePath(span.location.file).name}:{span.location.line}" if span.location else ""
    counts = {name: getattr(span, name) for name in ("prompt", "cached", "filled", "relogit", "refilled", "decoded")}
    name = f"{span.kind} {place}".rstrip()
    yield _slice(timeline, name, span.kind, _ROWS, track, span.asked, span.ended, counts)
    filled_at = span.filled_at if span.filled_at is not None else span.ended
    parts = [("waiting", span.asked, span.began), ("prefill", span.began, filled_at)]
    if span.kind == "decode":
        parts.append(("decode", filled_at, span.ended))
    for part, began, ended in parts:
        if ended > began:
            yield _slice(timeline, part, part, _ROWS, track, began, ended, {})


def _slice(
    timeline: Timeline, name: str, category: str, process: int, track: int, began: float, ended: float, args: Event
) -> Event:
    start = _microseconds(timeline, began)
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": start,
        "dur": max(0.0, _microseconds(timeline, ended) - start),
        "pid": process,
        "tid": track,
        "args": args,
    }


def _names(process: int, name: str, tracks: dict[int, str]) -> Iterator[Event]:
    yield {"name": "process_name", "ph": "M", "pid": process, "tid": 0, "args": {"name": name}}
    for track, called in tracks.items():
        yield {"name": "thread_name", "ph": "M", "pid": process, "tid": track, "args": {"name": called}}
        yield {"name": "thread_sort_index", "ph": "M", "pid": process, "tid": track, "args": {"sort_index": track}}


def _microseconds(timeline: Timeline, at: float) -> float:
    return round((at - timeline.began) * 1e6, 1)


def _start(span: Span | CallSpan) -> float:
    return span.asked if isinstance(span, Span) else span.began
