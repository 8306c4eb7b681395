"""An engine that notes what it was asked and what it drew, in the order it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sglc.backend.claim import Claim
from sglc.backend.engine import Engine
from sglc.backend.request import Completion, Event, Request, Sink


@dataclass(slots=True)
class Exchange:
    """One generation: the prompt's ids and all ids drawn, those that a stop cut off included."""

    prompt: list[int]
    output: list[int] = field(default_factory=list)

    @property
    def with_kv(self) -> list[int]:
        """The tokens whose KV was computed: all but the last one drawn."""
        return [*self.prompt, *self.output[:-1]]


class RecordingEngine(Engine):
    """Requests must ask for log-probabilities: it is in these that a completion names every token it drew."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.exchanges: list[Exchange] = []

    def submit(self, requests: Sequence[Request], dropped: Sequence[Claim] = ()) -> None:
        """Queue requests as `Engine` does, and note them."""
        for request in requests:
            if not request.params.return_logprob:
                raise ValueError("found a request without log-probabilities; wanted return_logprob=True")
            exchange = Exchange(request.tokens.tolist())
            self.exchanges.append(exchange)
            request.sink = _noting(exchange, request.sink)
        super().submit(requests, dropped=dropped)


def _noting(exchange: Exchange, sink: Sink) -> Sink:
    def note(events: Sequence[tuple[Request, Event]]) -> None:
        for _, event in events:
            if isinstance(event, Completion):
                exchange.output = [entry.token_id for entry in event.output_logprobs]
        sink(events)

    return note
