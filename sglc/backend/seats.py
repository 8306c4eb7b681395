"""Who sits where: the places in dense memory that copies of KV have, side by side with others of the same width."""

from __future__ import annotations

from collections.abc import Hashable

from sglc.backend.kv_copies import Bank, Changes, Seat

_STEP = 32
"""Least difference of two widths; for long ones it is a 16th, so that little is read that is nobody's."""


class Seats:
    """A bank is a row of seats of one width, of which the first so many are taken between any two steps."""

    def __init__(self, positions: int) -> None:
        """Give room for so many positions in all."""
        self._positions = positions
        self._seats: dict[Hashable, Seat] = {}
        self._banks: dict[Bank, list[Hashable | None]] = {}  # who is on each seat
        self._capacity: dict[Bank, int] = {}

    def clear(self) -> None:
        """Forget everybody."""
        self._seats.clear()
        self._banks.clear()
        self._capacity.clear()

    def of(self, name: Hashable) -> Seat | None:
        """Return somebody's seat."""
        return self._seats.get(name)

    def members(self, kind: int) -> dict[Bank, list[Hashable]]:
        """Return who is on the seats of each bank of a kind, in order, when there is no gap."""
        return {bank: [n for n in names if n is not None] for bank, names in self._banks.items() if bank[0] == kind}

    def leave(self, name: Hashable) -> Seat:
        """Free somebody's seat and return it."""
        bank, place = seat = self._seats.pop(name)
        self._banks[bank][place] = None
        return seat

    def take(self, name: Hashable, kind: int, length: int, join: int) -> Seat | None:
        """Give somebody a seat of at least so many positions; None if there is no room.

        Seats wider by less than `join` positions are joined rather than a new bank begun.
        """
        width = seat_width(length)
        joined = (known for of, known in self._banks if of == kind and width <= known < width + join)
        bank = (kind, min(joined, default=width))
        names = self._banks.get(bank, [])
        place = names.index(None) if None in names else len(names)
        if place == self._capacity.get(bank, 0) and not self._grow(bank):
            return None
        if place == len(names):
            names.append(None)
        names[place] = name
        self._banks[bank] = names
        self._seats[name] = bank, place
        return bank, place

    def join(self, positions: int, changes: Changes) -> None:
        """Begin a step: let everybody of a bank move to the next wider one that is wider by less than `positions`."""
        for bank in sorted(self._banks, reverse=True):  # so that none grows that was left before
            kind, width = bank
            wider = min(
                (known for known in self._banks if (kind, width) < known < (kind, width + positions)), default=None
            )
            if wider is None:
                continue
            names = [name for name in self._banks[bank] if name is not None]
            while self._capacity[wider] < len(self._banks[wider]) + len(names) and self._grow(wider):
                pass
            if self._capacity[wider] < len(self._banks[wider]) + len(names):
                continue
            for name in names:
                before, after = self.leave(name), (wider, len(self._banks[wider]))
                self._banks[wider].append(name)
                self._seats[name] = after
                changes.take_over(before, after)

    def settle(self, changes: Changes) -> None:
        """Move those at the end of each bank to seats that are free, and forget banks that nobody is on.

        A bank that was left in the step in which it was joined is there for that step.
        """
        passed = {bank: self._capacity[bank] for _, (bank, _), _ in changes.taken_over}
        for bank, names in list(self._banks.items()):
            for place in [place for place, name in enumerate(names) if name is None]:
                while names and names[-1] is None:
                    names.pop()
                if place >= len(names):
                    break
                changes.moved.append(((bank, len(names) - 1), (bank, place)))
                name = names[place] = names.pop()
                self._seats[name] = bank, place
            if not names:
                del self._banks[bank], self._capacity[bank]
        changes.capacity = passed | self._capacity

    def check(self) -> None:
        """Raise AssertionError unless banks are full from the front, and everybody has one seat."""
        for bank, names in self._banks.items():
            assert names and None not in names and len(names) <= self._capacity[bank]
            assert all(self._seats[name] == (bank, place) for place, name in enumerate(names))
        assert sum(map(len, self._banks.values())) == len(self._seats)
        assert sum(width * count for (_, width), count in self._capacity.items()) <= self._positions

    def _grow(self, bank: Bank) -> bool:
        capacity = self._capacity.get(bank, 0)
        used = sum(width * count for (_, width), count in self._capacity.items()) - bank[1] * capacity
        most = (self._positions - used) // bank[1]
        if most <= capacity:
            return False
        self._capacity[bank] = min(most, max(4, capacity * 3 // 2))
        return True


def seat_width(length: int) -> int:
    """Return the width of seats for so many positions."""
    step = max(_STEP, (1 << length.bit_length() - 1) // 16)
    return -(-length // step) * step
