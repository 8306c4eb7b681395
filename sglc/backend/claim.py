"""Claims and pins: KV that somebody wants kept, softly or firmly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sglc.backend.radix import Node
    from sglc.backend.step import Ints


class Claim:
    """That a row will go on from the KV of a request, once that has finished: it goes after all that nobody claims.

    Made by whoever asks, one a request, and dropped by it (`Engine.drop_claims`). `ahead` is how many tokens may still
    follow along the longest way from here on. `prompts` is its maker's: how many of them go on from it.

    The rest is the engine's: `node` is where the claimed path ends (None before the request has finished, and once it
    was let go), `order` is the request's, `since` the step in which it finished. A request waits to go on from an
    `awaited` claim, or did; from a `taken` one it has gone on, and what was ahead is its own now.
    """

    __slots__ = ("ahead", "awaited", "dropped", "node", "order", "prompts", "since", "taken")

    def __init__(self, ahead: int = 0) -> None:
        self.ahead = ahead
        self.prompts = 1
        self.node: Node | None = None
        self.order: tuple[int, ...] = ()
        self.since = 0
        self.awaited = self.taken = self.dropped = False


class Pin:
    """Prompts whose KV, once it is computed, stays until the pin is released.

    It gives way where the oldest request could not run otherwise, and is none from then on.
    """

    __slots__ = ("_released", "nodes", "prefixes")

    def __init__(self, prefixes: Sequence[Ints], released: Callable[[Pin], None]) -> None:
        self.prefixes = tuple(prefixes)
        self.nodes: list[Node | None] = [None] * len(self.prefixes)  # how far each is locked: the engine's thread's
        self._released = released

    def release(self) -> None:
        """Let the KV go, from any thread; a second time is nothing."""
        self._released(self)


class Hold(NamedTuple):
    """What a question of a planned row tells the scheduler beside what it asks: see `Request`.

    `turn` is its place among those of the row.
    """

    turn: int
    claim: Claim | None
    behind: Claim | None
    ahead: int
