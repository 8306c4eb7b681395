"""The outlook says what a look at every use to come says."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest

from sglc.backend import outlook as module
from sglc.backend.eviction import Order
from sglc.backend.outlook import Outlook
from sglc.backend.step import Ints


def ints(tokens: list[int]) -> Ints:
    return np.array(tokens, np.int64)


def next_use(uses: Mapping[Order, list[int]], path: list[int]) -> tuple[tuple[int, ...] | None, int]:
    """Return what `Outlook.next_use` should, by comparing with every use."""

    def soonest(length: int) -> tuple[int, ...] | None:
        found = [order for order, tokens in uses.items() if tokens[:length] == path[:length]]
        return min(found, default=None)

    orders = [soonest(length) for length in range(1, len(path) + 1)]
    return orders[-1], orders.index(orders[-1])


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_a_look_at_all_uses(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_OVER", 5)
    rng = random.Random(seed)
    outlook, uses, over = Outlook(), dict[Order, list[int]](), dict[Order, list[int]]()

    def tokens() -> list[int]:
        return [rng.randint(0, 1) for _ in range(rng.randint(1, 9))]

    for number in range(150):
        if rng.random() < 0.4:
            if over and rng.random() < 0.2:  # it is expected again, and has grown
                order, given = over.popitem()
                given = given + tokens()
            else:
                order, given = (rng.randint(0, 99), number), tokens()
            uses[order] = given
            outlook.add(order, ints(given))
        elif uses and rng.random() < 0.6:
            order = rng.choice([*uses])
            over[order] = uses.pop(order)
            outlook.remove(order)
        else:
            path = tokens()
            assert outlook.next_use(ints(path)) == next_use(uses, path)


def test_nothing_is_known_without_uses() -> None:
    outlook = Outlook()
    assert outlook.next_use(ints([1, 2])) == (None, 0)
    outlook.add((3,), ints([1, 2, 3]))
    assert outlook.next_use(ints([1, 2])) == ((3,), 0)
    assert outlook.next_use(ints([1, 2, 3, 4])) == (None, 3)
    outlook.remove((3,))
    assert outlook.next_use(ints([1, 2])) == (None, 0)


def test_a_later_use_begins_where_the_sooner_one_parts() -> None:
    outlook = Outlook()
    outlook.add((1,), ints([1, 2, 3]))
    outlook.add((2,), ints([1, 2, 4, 5]))
    assert outlook.next_use(ints([1, 2, 4, 5])) == ((2,), 2)
