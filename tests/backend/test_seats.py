"""Seats move within a step as often as need be, and what lies on them goes along."""

from __future__ import annotations

import torch

from sglc.backend.kv_copies import Changes, LayerCopies
from sglc.backend.seats import Seats


def test_a_bank_that_is_joined_and_left_in_one_step_is_there_for_it() -> None:
    """Four of 32 positions join one of 64, and in the same step all five need 96."""
    names = ["a", "b", "c", "d", "wide"]
    seats, changes, copies = Seats(5000), Changes(), LayerCopies()
    pool = torch.zeros(2, 10, 4)
    for name in names:
        assert seats.take(name, 0, 60 if name == "wide" else 20, 0)
    seats.settle(changes)
    copies.change(changes, (pool, pool), (pool, pool))
    for number, name in enumerate(names):
        bank, place = seats.of(name) or ((0, 0), 0)
        for side in copies.read(bank, slice(place, place + 1)):
            side[:] = number + 1

    changes = Changes()
    seats.join(64, changes)
    assert {bank for bank, _ in map(seats.of, names)} == {(0, 64)}  # type: ignore[misc]
    for name in names:
        before = seats.leave(name)
        after = seats.take(name, 0, 90, 0)
        assert after is not None
        changes.take_over(before, after)
    seats.settle(changes)
    seats.check()
    copies.change(changes, (pool, pool), (pool, pool))
    for number, name in enumerate(names):
        bank, place = seats.of(name) or ((0, 0), 0)
        assert bank == (0, 96)
        for side in copies.read(bank, slice(place, place + 1)):
            assert (side[:, :20] == number + 1).all() and (side[:, 64:] == 0).all()

    changes = Changes()
    seats.settle(changes)
    assert [*changes.capacity] == [(0, 96)]
