"""What happened when in a run: the engine's steps, and for every request when it waited, was filled and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sglc.backend.asking import Asking
    from sglc.backend.request import Request
    from sglc.backend.scheduler import Work
    from sglc.errors import Location


@dataclass(frozen=True, slots=True)
class Step:
    """A forward pass: when it was, and what it did.

    `rows` are sequences, `filled` the prompt positions computed, for the first time or again, `decoded` tokens drawn.
    """

    began: float
    ended: float
    rows: int
    filled: int
    decoded: int


@dataclass(slots=True)
class Span:
    """A request on its way: when it was asked, first computed, filled and over. Counts are those of `Counters`.

    `row` is the number of its input row, `location` that of the statement that asks, `kind` "decode" or "score".
    """

    row: int
    location: Location | None
    kind: str
    prompt: int
    asked: float
    began: float | None = None
    filled_at: float | None = None
    ended: float | None = None
    filled: int = 0
    relogit: int = 0
    refilled: int = 0
    cached: int = 0
    decoded: int = 0


@dataclass(frozen=True, slots=True)
class CallSpan:
    """A call of host code: of which row, and when."""

    row: int
    began: float
    ended: float


class Timeline:
    """Takes down what an engine does: set it as `Engine.observer` before a run."""

    def __init__(self) -> None:
        self.began = perf_counter()
        self.steps: list[Step] = []
        self.spans: list[Span] = []
        self.calls: list[CallSpan] = []
        self._open: dict[Request, Span] = {}

    def asked(self, asking: Asking, requests: Sequence[Request]) -> None:
        """Learn that a program asks the engine something."""
        now, row = perf_counter(), asking.origin.row
        for request in requests:
            kind = "decode" if request.params.max_new_tokens else "score"
            span = Span(row, asking.location, kind, len(request.tokens), now)
            self._open[request] = span
            self.spans.append(span)

    def stepped(self, works: Sequence[Work], began: float, ended: float) -> None:
        """Learn what was computed in a step."""
        filled = decoded = 0
        for work in works:
            sequence = work.sequence
            span = self._open.get(sequence.request)
            filled += max(0, min(work.end, sequence.prompt_length) - work.start)
            drawn = len(sequence.output)
            just_drawn = 1 + work.accepted
            decoded += just_drawn if drawn and work.end == sequence.prompt_length + drawn - just_drawn else 0
            if span is None:
                continue
            if span.began is None:
                span.began = began
            if span.filled_at is None and (drawn or work.end == sequence.target):
                span.filled_at = ended
            span.ended = ended
            span.filled, span.relogit, span.refilled = sequence.filled, sequence.relogit, sequence.refilled
            span.cached, span.decoded = sequence.cached or 0, drawn
        self.steps.append(Step(began, ended, len(works), filled, decoded))

    def called(self, row: int, began: float, ended: float) -> None:
        """Learn that a row's call of host code has returned."""
        self.calls.append(CallSpan(row, began, ended))
