"""Copies of KV that a layer keeps from step to step, in the order in which attention reads it.

Rows that generate side by side have their newest positions in slots that alternate; reading these from the pool means
gathering them for every layer of every step. And a stretch of the pool is no dense matrix for each head, so that a
batched product copies it first. So what is read in step after step is copied once, to a seat: a stretch of memory of a
fixed width, beside others that are read at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from sglc.backend.step import Ints
from sglc.backend.work_list import Index, as_tensor, at_places

Bank = tuple[int, int]
"""Seats side by side: what they are for, and their width in positions."""

Seat = tuple[Bank, int]
"""A bank and the place of a seat in it."""

Pair = tuple[torch.Tensor, torch.Tensor]
"""Keys and values."""


@dataclass(frozen=True, slots=True)
class Append:
    """New positions of the rows on seats 0 .. count - 1 of a bank."""

    bank: Bank
    seats: torch.Tensor  # [count]
    tokens: Index  # of the step, by seat
    ends: torch.Tensor | int  # [count] where on its seat each goes, or one place for all


@dataclass(frozen=True, slots=True)
class Fill:
    """What new seats of a bank begin with: for each `width` slots, behind its own positions any that were written."""

    bank: Bank
    places: torch.Tensor  # [n]
    slots: torch.Tensor  # [n · width]


@dataclass(slots=True)
class Changes:
    """What every layer has to do to its copies in a step, in this order.

    A seat is `taken_over` before anybody writes to the one it was.
    """

    capacity: dict[Bank, int] = field(default_factory=dict)  # seats to have, by bank; of other banks none
    taken_over: list[tuple[Seat, Seat, int]] = field(default_factory=list)  # from, to, so many neighbours
    fills: list[Fill] = field(default_factory=list)
    moved: list[tuple[Seat, Seat]] = field(default_factory=list)  # from the end to where others left
    appends: list[Append] = field(default_factory=list)

    def take_over(self, before: Seat, after: Seat) -> None:
        """Have what is on a seat copied to a wider one."""
        if self.taken_over:
            (bank, place), (wider, target), count = self.taken_over[-1]
            if (before, after) == ((bank, place + count), (wider, target + count)):
                self.taken_over[-1] = (bank, place), (wider, target), count + 1
                return
        self.taken_over.append((before, after, 1))

    def fill(self, entries: Sequence[tuple[Seat, Ints]], device: torch.device) -> None:
        """Have copies of slots, at least one each, put on seats."""
        by_bank: dict[Bank, list[tuple[int, Ints]]] = {}
        for (bank, place), slots in entries:
            by_bank.setdefault(bank, []).append((place, slots))
        for bank, members in by_bank.items():
            wide = np.concatenate([np.pad(slots, (0, bank[1] - len(slots)), mode="edge") for _, slots in members])
            places = np.array([place for place, _ in members])
            self.fills.append(Fill(bank, as_tensor(places, device), as_tensor(wide, device)))


class LayerCopies:
    """The copies of one layer."""

    def __init__(self) -> None:
        self._banks: dict[Bank, Pair] = {}  # [seats, H, width, D]

    def read(self, bank: Bank, seats: slice) -> Pair:
        """Return the keys and values [n · H, width, D] on some seats of a bank."""
        keys, values = self._banks[bank]
        return keys[seats].flatten(0, 1), values[seats].flatten(0, 1)

    def change(self, changes: Changes, new: Pair, pool: Pair) -> None:
        """Do what a step asks for. `new` has the step's own keys and values [T, H, D], `pool` all [H, slots, D]."""
        self._resize(changes.capacity, pool)
        for side in (0, 1):
            for (bank, place), (wider, target), count in changes.taken_over:
                seats = self._banks[wider][side][target : target + count]
                seats[:, :, : bank[1]] = self._banks[bank][side][place : place + count]
                seats[:, :, bank[1] :] = 0  # read with weight 0
            for fill in changes.fills:
                copied = pool[side].index_select(1, fill.slots).unflatten(1, (len(fill.places), -1))
                self._banks[fill.bank][side].index_copy_(0, fill.places, copied.transpose(0, 1))
            for (bank, source), (_, place) in changes.moved:
                seats = self._banks[bank][side]
                seats[place] = seats[source]
            for append in changes.appends:
                seats, positions = self._banks[append.bank][side], at_places(new[side], 0, append.tokens)
                if isinstance(append.ends, int):
                    seats[: len(positions), :, append.ends] = positions
                else:
                    seats[append.seats, :, append.ends] = positions
        for bank in self._banks.keys() - changes.capacity.keys():
            del self._banks[bank]

    def _resize(self, capacity: dict[Bank, int], pool: Pair) -> None:
        """Have so many seats in each bank, with what is on those that stay."""
        for bank, count in capacity.items():
            known = self._banks.get(bank)
            if known is not None and len(known[0]) == count:
                continue
            made = [side.new_empty(count, len(side), bank[1], side.shape[-1]) for side in pool]
            if known is not None:
                for seats, before in zip(made, known, strict=True):
                    seats[: min(count, len(before))] = before[:count]
            self._banks[bank] = made[0], made[1]
