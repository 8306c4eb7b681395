"""Asking an engine directly: requests, what came back of them, and a look at each of its steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from sglc.backend.engine import Engine
from sglc.backend.random_stream import stream_key
from sglc.backend.request import Completion, Delta, Event, Request
from sglc.backend.step import Logits, Step
from sglc.errors import EngineError
from sglc.ir.sampling import SamplingParams

WAIT_SECONDS = 20.0


class Mailbox:
    """A sink that keeps what came, by request."""

    def __init__(self) -> None:
        self.deltas: dict[int, list[Delta]] = {}
        self.ends: dict[int, Completion | Exception] = {}
        self._arrived = threading.Condition()

    def __call__(self, events: Sequence[tuple[Request, Event]]) -> None:
        with self._arrived:
            for request, event in events:
                if isinstance(event, Delta):
                    assert id(request) not in self.ends
                    self.deltas.setdefault(id(request), []).append(event)
                else:
                    assert id(request) not in self.ends, "an end came twice"
                    self.ends[id(request)] = event
            self._arrived.notify_all()

    def wait(self, requests: Sequence[Request]) -> list[Completion | Exception]:
        """Return how each request ended, once all have."""
        with self._arrived:
            wanted = {id(request) for request in requests}
            assert self._arrived.wait_for(lambda: wanted <= self.ends.keys(), WAIT_SECONDS), "no end came"
            return [self.ends[id(request)] for request in requests]

    def streamed(self, request: Request) -> str:
        """Return the deltas of a request, joined."""
        return "".join(delta.text for delta in self.deltas.get(id(request), []))


def request(mailbox: Mailbox, tokens: Sequence[int], age: int = 0, **given: Any) -> Request:
    """Return a request; what is no field of `Request` is a sampling parameter."""
    own = {field.name: given.pop(field.name) for field in fields(Request) if field.name in given}
    own.setdefault("stream_key", stream_key(0, 0, ":0"))
    params = SamplingParams(**{"temperature": 0.0, "max_new_tokens": 8, **given})
    return Request(np.array(tokens, np.int64), params, mailbox, **{"priority": (age,), **own})


def ask(engine: Engine, prompts: Sequence[Sequence[int]], **given: Any) -> list[Completion]:
    """Return the completions of prompts that are submitted together, oldest first. Raises the first error."""
    mailbox = Mailbox()
    requests = [request(mailbox, tokens, age, **given) for age, tokens in enumerate(prompts)]
    engine.submit(requests)
    completions = []
    for end in mailbox.wait(requests):
        if isinstance(end, Exception):
            raise end
        completions.append(end)
    return completions


def watch(engine: Engine, look: Callable[[Step], None]) -> None:
    """Call `look` with each step of the engine before its model computes it, on the engine's thread."""
    forward = engine.model.forward

    def watched(step: Step) -> Logits:
        look(step)
        return forward(step)

    engine.model.forward = watched  # type: ignore[method-assign]


def assert_withdrawn(engine: Engine) -> None:
    """Check that an engine has soon nothing to do although its requests had not finished."""
    limit = time.monotonic() + 3.0
    while engine._scheduler.busy and time.monotonic() < limit:
        time.sleep(0.01)
    running = [sequence.request for sequence in engine._scheduler._running]
    for each in running:
        each.cancelled = True
    assert not running, f"{len(running)} requests go on that nobody waits for"


def assert_idle(engine: Engine) -> None:
    """Check that an engine without requests holds no KV but what its cache can give up."""
    engine._scheduler.check()
    assert not engine._scheduler.busy
    tree = engine._scheduler._tree
    assert engine._pool.used == (tree.size if tree is not None else 0)
    assert tree is None or tree.protected == 0


def error_of(engine: Engine, tokens: list[int], **given: object) -> EngineError:
    """Return the error that a request ends with."""
    mailbox = Mailbox()
    asked = request(mailbox, tokens, **given)
    engine.submit([asked])
    (end,) = mailbox.wait([asked])
    assert isinstance(end, EngineError)
    return end
