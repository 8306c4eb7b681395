"""What rows that generate read alone: a copy on a seat, to which each step appends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sglc.backend.kv_copies import Append, Bank, Changes, Seat
from sglc.backend.partial_softmax import minus_infinity
from sglc.backend.seats import Seats
from sglc.backend.step import Ints
from sglc.backend.work_list import Index, as_index, as_tensor

_KIND = 0


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A row about to compute one token: positions from `begin` on are its alone, `table` has the slots of all."""

    number: int
    token: int  # place of its token in the step
    begin: int
    table: Ints

    @property
    def length(self) -> int:
        """Positions that it reads alone, the new one included."""
        return len(self.table) - self.begin


@dataclass(frozen=True, slots=True)
class Suffix:
    """The rows on the first seats of a bank, each reading its own."""

    bank: Bank
    count: int
    queries: Index  # token of the step by seat
    hidden: torch.Tensor | None  # [count, 1, 1, n] of the last n positions, -inf beyond a row's end


class Suffixes:
    """The suffixes of rows, for the layers that one plan serves. A row keeps its seat while it is in every step."""

    def __init__(self, device: torch.device, seats: Seats) -> None:
        self._device = device
        self._seats = seats
        self._ranges: dict[int, tuple[int, int]] = {}  # row → first position on its seat, first one that is not there

    def clear(self) -> None:
        """Forget all rows."""
        self._ranges.clear()

    def seat(self, rows: Sequence[Running], join: int, changes: Changes) -> list[Running]:
        """Seat rows, keep those that go on, forget all others; return who found no seat and has to be gathered.

        A row that would leave less than `join` positions of a wider seat empty takes it instead of a narrower one.
        """
        going = {row.number: row for row in rows if self._ranges.get(row.number) == (row.begin, len(row.table) - 1)}
        outgrown: list[tuple[Running, Seat]] = []
        for number in list(self._ranges):
            row, seat = going.get(number), self._seats.of(number)
            assert seat is not None
            if row is None or row.length > seat[0][1]:
                del self._ranges[number]
                self._seats.leave(number)
                if row is not None:
                    outgrown.append((row, seat))
        outgrown.sort(key=lambda pair: -pair[0].length)  # who takes over a seat finds its row copied already
        for row, before in outgrown:
            after = self._take(row, join)
            if after is not None:
                changes.take_over(before, after)
        left: list[Running] = []
        entries: list[tuple[Seat, Ints]] = []
        for row in rows:
            if row.number not in self._ranges:
                seat = self._take(row, join)
                if seat is None:
                    left.append(row)
                else:
                    entries.append((seat, row.table[row.begin :]))  # the new position, too: it is written already
        changes.fill(entries, self._device)
        return left

    def _take(self, row: Running, join: int) -> Seat | None:
        seat = self._seats.take(row.number, _KIND, row.length, join)
        if seat is not None:
            self._ranges[row.number] = row.begin, len(row.table)
        return seat

    def pieces(self, rows: Sequence[Running], changes: Changes) -> list[Suffix]:
        """Append a position for each row that is seated, once seats are settled; return what is to be read."""
        by_number = {row.number: row for row in rows}
        found = []
        for bank, names in self._seats.members(_KIND).items():
            members = [by_number[name] for name in names]  # type: ignore[index]
            ends = np.array([row.length - 1 for row in members])
            for row in members:
                self._ranges[row.number] = row.begin, len(row.table)
            tokens = as_index(np.array([row.token for row in members]), self._device)
            equal = bool((ends == ends[0]).all())
            places = int(ends[0]) if equal else as_tensor(ends, self._device)
            changes.appends.append(Append(bank, torch.arange(len(members), device=self._device), tokens, places))
            hidden = None
            if ends.min() < bank[1] - 1:
                beyond = np.arange(ends.min() + 1, bank[1]) > ends[:, None, None, None]
                hidden = minus_infinity(as_tensor(beyond, self._device))
            found.append(Suffix(bank, len(members), tokens, hidden))
        return found
