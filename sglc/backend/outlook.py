"""When KV is used next, as far as the requests that wait tell: they are uses to come, in the order of their turns."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sglc.backend.eviction import Order
    from sglc.backend.step import Ints

_MOST_OVER = 1_000

_TOKEN = np.dtype(np.int64).itemsize
"""Bytes of a token: runs of them are compared as bytes, which is faster than as arrays where they are short."""


class _Run:
    """Tokens that the same uses have in common, below those of its parent. `uses` is a heap, the soonest first."""

    __slots__ = ("children", "tokens", "uses")

    def __init__(self, tokens: bytes, uses: list[Order]) -> None:
        self.tokens = tokens
        self.uses = uses
        self.children = _NO_CHILDREN


_NO_CHILDREN: dict[bytes, _Run] = {}
"""Those of a run that has none; others know theirs by the first token of each."""


class Outlook:
    """Uses to come of the KV of tokens and of each of their prefixes, as a prefix tree. No two have the same order.

    It costs nothing before it is first asked; then an addition takes time in proportion to the tokens, and a question
    to those of the path.
    """

    def __init__(self) -> None:
        self._uses: dict[Order, Ints] = {}
        self._new: list[Order] = []
        self._root = _Run(b"", [])
        self._over = 0  # uses in the tree that are over

    def add(self, order: Order, tokens: Ints) -> None:
        """Expect a use until it begins or will never come. One that is expected again has the same tokens, or more."""
        self._uses[order] = tokens
        self._new.append(order)

    def remove(self, order: Order) -> None:
        """Expect a use no more."""
        del self._uses[order]
        self._over += 1
        if not self._uses or self._over > _MOST_OVER + len(self._uses):
            self._root.children = _NO_CHILDREN
            self._new = [*self._uses]
            self._over = 0

    def next_use(self, path: Ints) -> tuple[Order | None, int]:
        """Return when all of a path is used next, and how many of its tokens are used earlier than that.

        None where no use of the whole path is known; the number is then that of its tokens with a known use.
        """
        if self._new:
            for order in self._new:
                if order in self._uses:
                    self._insert(order, self._uses[order].tobytes())
            self._new = []
        tokens, run, at, earlier = path.tobytes(), self._root, 0, 0
        next_use: Order | None = None
        while at < len(tokens):
            child = run.children.get(tokens[at : at + _TOKEN])
            soonest = self._soonest(child.uses) if child is not None else None
            if child is None or soonest is None:
                return None, at // _TOKEN
            if soonest != next_use:
                next_use, earlier = soonest, at // _TOKEN
            if tokens.startswith(child.tokens, at):
                at += len(child.tokens)
            else:
                at += _shared_length(child.tokens, tokens, at)
                if at < len(tokens):
                    return None, at // _TOKEN
            run = child
        return next_use, earlier

    def _soonest(self, uses: list[Order]) -> Order | None:
        """Return the next of a run's uses, None where all are over."""
        while uses:
            if uses[0] in self._uses:
                return uses[0]
            heappop(uses)
        return None

    def _insert(self, order: Order, tokens: bytes) -> None:
        run, at = self._root, 0
        while at < len(tokens):
            first = tokens[at : at + _TOKEN]
            child = run.children.get(first)
            if child is None or not child.uses:
                if run.children is _NO_CHILDREN:
                    run.children = {}
                run.children[first] = _Run(tokens[at:], [order])
                return
            shared = _shared_length(child.tokens, tokens, at)
            if shared < len(child.tokens):
                child = run.children[first] = _split(child, shared)
            heappush(child.uses, order)
            run = child
            at += shared


def _shared_length(run: bytes, tokens: bytes, start: int) -> int:
    """Return how many bytes of whole tokens `run` and `tokens[start:]` begin with; the first token is the same."""
    if tokens.startswith(run, start):
        return len(run)
    same, other = _TOKEN, min(len(run), len(tokens) - start) + _TOKEN  # so many bytes are; so many are not
    while other - same > _TOKEN:
        middle = (same + other) // (2 * _TOKEN) * _TOKEN
        if tokens.startswith(run[same:middle], start + same):
            same = middle
        else:
            other = middle
    return same


def _split(run: _Run, at: int) -> _Run:
    """Return a new run of the first `at` bytes of another, which keeps the rest below it."""
    upper = _Run(run.tokens[:at], run.uses.copy())
    run.tokens = run.tokens[at:]
    upper.children = {run.tokens[:_TOKEN]: run}
    return upper
