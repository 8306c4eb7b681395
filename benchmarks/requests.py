"""Requests handed to an engine directly, as token ids: for what programs would only stand in the way of."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from sglc.backend.engine import Engine
from sglc.backend.request import DEFAULT_KEY, Completion, Event, Request
from sglc.ir.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Job:
    """A prompt and what is wanted of it; the fields of a `Request` that a benchmark sets."""

    tokens: Sequence[int]
    params: SamplingParams
    stream_key: int = DEFAULT_KEY
    score_from: int | None = None


def complete(engine: Engine, jobs: Sequence[Job]) -> list[Completion]:
    """Run the jobs at once and return their completions in order. Raises the first error that one of them met."""
    arrived: queue.SimpleQueue[Sequence[tuple[Request, Event]]] = queue.SimpleQueue()
    requests = [
        Request(
            tokens=np.asarray(job.tokens, np.int64),
            params=job.params,
            sink=arrived.put,
            stream_key=job.stream_key,
            score_from=job.score_from,
            priority=(number,),
        )
        for number, job in enumerate(jobs)
    ]
    engine.submit(requests)
    completions: dict[Request, Completion] = {}
    while len(completions) < len(jobs):
        for request, event in arrived.get():
            if isinstance(event, Exception):
                raise event
            if isinstance(event, Completion):
                completions[request] = event
    return [completions[request] for request in requests]


def cold_run(engine: Engine, jobs: Sequence[Job]) -> tuple[float, list[Completion]]:
    """Return the seconds that jobs take from an empty cache and with counters at zero, and their completions."""
    engine.flush_cache()
    engine.reset_counters()
    started = perf_counter()
    completions = complete(engine, jobs)
    return perf_counter() - started, completions
