"""When KV is used next, as far as the requests that wait tell: they are uses to come, in the order of their turns."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from sglc.backend.radix import shared_length

if TYPE_CHECKING:
    from sglc.backend.eviction import Order
    from sglc.backend.step import Ints

_MOST_OVER = 1_000


class Use:
    """A use to come of the KV of `tokens` and of each of their prefixes."""

    __slots__ = ("order", "tokens")

    def __init__(self, order: Order, tokens: Ints) -> None:
        self.order = order
        self.tokens = tokens


class _Run:
    """Tokens that the same uses have in common, below those of its parent. `uses` is a heap, the soonest first."""

    __slots__ = ("children", "tokens", "uses")

    def __init__(self, tokens: Ints, uses: list[tuple[Order, int, Use]]) -> None:
        self.tokens = tokens  # a view of those of a use
        self.uses = uses
        self.children: dict[int, _Run] = {}


class Outlook:
    """Uses to come, as a prefix tree of their tokens.

    It costs nothing before it is first asked; then an addition takes time in proportion to the tokens, and a question
    to those of the path.
    """

    def __init__(self) -> None:
        self._uses: dict[Use, None] = {}
        self._new: list[Use] = []
        self._root = _Run(np.empty(0, np.int64), [])
        self._over = 0  # uses in the tree that are over
        self._numbers = count()

    def add(self, order: Order, tokens: Ints) -> Use:
        """Expect a use; return it, to be removed when it begins or will never come."""
        use = Use(order, tokens)
        self._uses[use] = None
        self._new.append(use)
        return use

    def remove(self, use: Use) -> None:
        """Expect a use no more."""
        del self._uses[use]
        self._over += 1
        if not self._uses or self._over > _MOST_OVER + len(self._uses):
            self._root.children.clear()
            self._new = [*self._uses]
            self._over = 0

    def next_use(self, path: Ints) -> tuple[Order | None, int]:
        """Return when all of a path is used next, and how many of its tokens are used earlier than that.

        None where no use of the whole path is known; the number is then that of its tokens with a known use.
        """
        if self._new:
            for use in self._new:
                if use in self._uses:
                    self._insert(use)
            self._new = []
        run, at, earlier = self._root, 0, 0
        next_use: Use | None = None
        while at < len(path):
            child = run.children.get(path.item(at))
            soonest = self._soonest(child) if child is not None else None
            if child is None or soonest is None:
                return None, at
            if soonest is not next_use:
                next_use, earlier = soonest, at
            shared = shared_length(child.tokens, path, at)
            at += shared
            if shared < len(child.tokens) and at < len(path):
                return None, at
            run = child
        return (next_use.order if next_use is not None else None), earlier

    def _soonest(self, run: _Run) -> Use | None:
        """Return the next use of a run, None where all are over."""
        uses = run.uses
        while uses:
            use = uses[0][2]
            if use in self._uses:
                return use
            heappop(uses)
        return None

    def _insert(self, use: Use) -> None:
        tokens, run, at = use.tokens, self._root, 0
        entry = (use.order, next(self._numbers), use)
        while at < len(tokens):
            first = tokens.item(at)
            child = run.children.get(first)
            if child is None or not child.uses:
                run.children[first] = _Run(tokens[at:], [entry])
                return
            shared = shared_length(child.tokens, tokens, at)
            if shared < len(child.tokens):
                child = run.children[first] = _split(child, shared)
            heappush(child.uses, entry)
            run = child
            at += shared


def _split(run: _Run, at: int) -> _Run:
    """Return a new run of the first `at` tokens of another, which keeps the rest below it."""
    upper = _Run(run.tokens[:at], run.uses.copy())
    run.tokens = run.tokens[at:]
    upper.children[run.tokens.item(0)] = run
    return upper
