"""What goes next when KV has to go: the leaves of a radix tree, in the order in which they are missed least."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from sglc.backend.radix import Node
    from sglc.backend.step import Ints

Order = tuple[int, ...]
"""When something comes: the least first."""

Entry = tuple[Any, int, "Node"]
"""(priority within its heap, the least first; a distinct number; leaf)."""

_MOST_STALE = 64


class Outlook(Protocol):
    """What is known of the use of KV to come."""

    def next_use(self, path: Ints) -> tuple[Order | None, int]:
        """Return when all of a path is used next, and how many of its tokens are used earlier than that.

        None where no use of the whole path is known; the number is then that of its tokens with a known use.
        """


class EvictionQueue:
    """Leaves of a radix tree that nobody locks. Each operation takes amortized O(log n) time.

    First go tokens without a known use, the least recently used leaf first, then those that are used last; then those
    that somebody claims, the latest first. A leaf goes from its end, as far as that holds. Without an outlook and
    claims that is: the least recently used leaf first.

    Nothing is moved when a leaf is used, locked, given a child or expected: an entry that puts a leaf too early is
    corrected once it is at the top. What lets a leaf go earlier than before takes a new entry (`put`).
    """

    def __init__(self) -> None:
        self.outlook: Outlook | None = None
        self.heaps: tuple[list[Entry], list[Entry], list[Entry]] = ([], [], [])  # unused, used and claimed leaves
        self._numbers = count()
        self._stale = 0  # entries that another has taken the place of

    def put(self, leaf: Node) -> None:
        """Take a leaf that can be evicted, or that may go earlier now."""
        before = leaf.queued
        if before is not None:
            if type(before[0]) is int:  # it is among the unused ones already
                return
            leaf.queued = None
            self._stale += 1
            if self._stale > _MOST_STALE + sum(map(len, self.heaps)) // 2:
                self._sweep()
        entry = leaf.queued = (leaf.last_use, next(self._numbers), leaf)
        heappush(self.heaps[0], entry)

    def first(self, spared: Order | None = None) -> tuple[Node, int] | None:
        """Return the leaf to evict next, and down to which depth; None if all is locked.

        What is claimed with an order before `spared` counts as locked.
        """
        unused, used, claimed = self.heaps
        while heap := unused or used or claimed:
            entry = heap[0]
            priority, number, leaf = entry
            if leaf.queued is not entry:
                heappop(heap)
                self._stale -= 1
            elif leaf.locks or leaf.children:
                heappop(heap)
                leaf.queued = None
            else:
                right, now, depth = self._place(leaf)
                if right is heap and now == priority:
                    early = spared is not None and heap is claimed and now > _latest_first(spared)
                    return None if early else (leaf, depth)
                heappop(heap)
                entry = leaf.queued = (now, number, leaf)
                heappush(right, entry)
        return None

    def remove_first(self) -> None:
        """Take out the leaf that `first` returned."""
        heappop(self.heaps[0] or self.heaps[1] or self.heaps[2])[2].queued = None

    def clear(self) -> None:
        """Take out all leaves, which are not known to be queued then."""
        for heap in self.heaps:
            heap.clear()
        self._stale = 0

    def entries(self) -> list[Entry]:
        """Return the entries that count."""
        return [entry for heap in self.heaps for entry in heap if entry[2].queued is entry]

    def _place(self, leaf: Node) -> tuple[list[Entry], Any, int]:
        """Return the heap of a leaf, its priority there, and the depth from which on that holds."""
        unused, used, claimed = self.heaps
        above = leaf.depth - len(leaf.tokens)
        if leaf.claims:
            assert leaf.holders  # what claims a leaf ends there
            return claimed, _latest_first(min(claim.order for claim in leaf.holders)), above
        if self.outlook is None:
            return unused, leaf.last_use, above
        order, earlier = self.outlook.next_use(_path(leaf))
        if order is None:
            return unused, leaf.last_use, max(above, earlier)
        return used, _latest_first(order), max(above, earlier)

    def _sweep(self) -> None:
        for heap in self.heaps:
            heap[:] = [entry for entry in heap if entry[2].queued is entry]
            heapify(heap)
        self._stale = 0


def _latest_first(order: Order) -> Order:
    return tuple([-number for number in order])


def _path(node: Node) -> Ints:
    """Return the tokens from the root to the end of a node."""
    runs = [node.tokens]
    while node.parent is not None:
        node = node.parent
        runs.append(node.tokens)
    runs.reverse()
    return np.concatenate(runs)
