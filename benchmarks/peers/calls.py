"""What an engine was asked, in the shape in which another engine can be asked the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.peers.protocol import Call
from sglc.backend.engine import Engine
from sglc.backend.request import Completion, Event, Request, Sink


@dataclass(slots=True)
class _Asked:
    """A call that may still be running; its `max_new_tokens` are then those it may take, later those it took."""

    call: Call
    done: bool = False


class CallEngine(Engine):
    """An engine that notes its calls: each is of a row's group, one level above those that ended before it began.

    So the calls of one level are those that a client can send together, and each has to be as long as it was. Of rows
    that are run without passes: they ask as soon as they can, and nothing of it is merged.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._asked_of_rows: dict[int, list[_Asked]] = {}

    @property
    def asked(self) -> list[Call]:
        """The calls since `forget`, row by row. A scoring is none."""
        return [asked.call for row in self._asked_of_rows.values() for asked in row]

    def forget(self) -> None:
        """Forget all calls."""
        self._asked_of_rows = {}

    def submit(self, requests: Sequence[Request], *more: Any, **options: Any) -> None:
        """Queue requests as `Engine` does, and note them."""
        for request in requests:
            if request.score_from is None:
                request.sink = _noting(self._note(request), request.sink)
        super().submit(requests, *more, **options)

    def _note(self, request: Request) -> _Asked:
        group = request.priority[0]
        row = self._asked_of_rows.setdefault(group, [])
        level = 1 + max((asked.call.level for asked in row if asked.done), default=-1)
        params = request.params
        asked = _Asked(Call(request.tokens.tolist(), params.max_new_tokens, group, level, params.temperature))
        row.append(asked)
        return asked


def _noting(asked: _Asked, sink: Sink) -> Sink:
    def note(events: Sequence[tuple[Request, Event]]) -> None:
        for _, event in events:
            if isinstance(event, Completion):
                asked.call = replace(asked.call, max_new_tokens=event.completion_tokens)
                asked.done = True
        sink(events)

    return note
