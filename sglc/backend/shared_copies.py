"""What several rows that generate read together: a copy of each shared run, and those of a width read at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch

from sglc.backend.kv_copies import Bank, Changes, Seat
from sglc.backend.partial_softmax import minus_infinity
from sglc.backend.seats import Seats
from sglc.backend.step import Ints
from sglc.backend.work_list import Index, as_index, as_tensor

_KIND = 1

_FULLNESS = 0.6
"""Least share of queries that count, where groups of different sizes are computed at once."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Runs on some seats of a bank, each read by as many queries; where a group has fewer, others are repeated."""

    bank: Bank
    seats: slice
    asked: torch.Tensor  # [runs · height] tokens of the step, run by run
    answers: torch.Tensor | None  # [n] which of these count; None: all
    queries: Index  # [n] distinct tokens
    hidden: torch.Tensor | None  # [runs, 1, 1, n] of the last n positions, -inf beyond a run's end


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    length: int
    tokens: Ints


class SharedCopies:
    """Copies for the layers that one plan serves. A run is known by a row that read it in the step before."""

    def __init__(self, device: torch.device, seats: Seats) -> None:
        self._device = device
        self._seats = seats
        self._numbers = count()
        self._known: dict[tuple[int, int, int], int] = {}  # (row, start, stop) of the last step → run
        self._seen: dict[tuple[int, int, int], int] = {}
        self._runs: dict[int, _Run] = {}
        self._entries: list[tuple[Seat, Ints]] = []  # seats to be filled

    def clear(self) -> None:
        """Forget all runs."""
        self._known.clear()

    def begin(self) -> None:
        """Begin a step."""
        self._seen, self._runs, self._entries = {}, {}, []

    def add(self, rows: Sequence[int], tokens: Ints, start: int, slots: Ints, join: int) -> bool:
        """Have `tokens`, of which `rows` generate, read positions from `start` on together; False if there is no room.

        What a row has at a position never changes while it runs, so one row that was there before is enough.
        """
        names = [(row, start, start + len(slots)) for row in rows]
        number = next((self._known[name] for name in names if name in self._known), None)
        if number is None or number in self._runs:
            number = next(self._numbers)
            seat = self._seats.take(("run", number), _KIND, len(slots), join)
            if seat is None:
                return False
            self._entries.append((seat, slots))
        self._seen.update(dict.fromkeys(names, number))
        self._runs[number] = _Run(len(slots), tokens)
        return True

    def end(self, changes: Changes) -> None:
        """Have new runs copied, and forget those that nobody asked for."""
        changes.fill(self._entries, self._device)
        for number in {*self._known.values()} - {*self._runs}:
            self._seats.leave(("run", number))
        self._known = self._seen

    def pieces(self) -> list[Shared]:
        """Return what is to be read, once seats are settled. No token asks twice in a piece."""
        found: list[Shared] = []
        for bank, names in self._seats.members(_KIND).items():
            runs = [self._runs[name[1]] for name in names]  # type: ignore[index]
            first = 0
            for place in range(1, len(runs) + 1):
                if place == len(runs) or not _go_together(runs[first : place + 1]):
                    found.append(self._piece(bank, first, runs[first:place]))
                    first = place
        return found

    def _piece(self, bank: Bank, place: int, runs: Sequence[_Run]) -> Shared:
        height = max(len(run.tokens) for run in runs)
        asked = np.concatenate([np.resize(run.tokens, height) for run in runs])
        lengths = np.array([run.length for run in runs])
        hidden = np.arange(lengths.min(), bank[1]) >= lengths[:, None, None, None]
        answers = np.concatenate([i * height + np.arange(len(run.tokens)) for i, run in enumerate(runs)])
        return Shared(
            bank,
            slice(place, place + len(runs)),
            as_tensor(asked, self._device),
            None if len(answers) == len(asked) else as_tensor(answers, self._device),
            as_index(asked[answers], self._device),
            minus_infinity(as_tensor(hidden, self._device)) if hidden.size else None,
        )


def _go_together(runs: Sequence[_Run]) -> bool:
    sizes = [len(run.tokens) for run in runs]
    distinct = len(np.unique(np.concatenate([run.tokens for run in runs]))) == sum(sizes)
    return distinct and sum(sizes) >= _FULLNESS * max(sizes) * len(sizes)
