"""What the scheduler keeps for those who are not running: claims of rows, and pins."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sglc.backend.claim import Claim, Pin
    from sglc.backend.eviction import Order
    from sglc.backend.radix import Node, RadixTree

logger = logging.getLogger("sglc")

_PATIENCE = 64
"""Steps for which others wait for a row that has claimed KV and asks for nothing."""


class Kept:
    """The claims and pins on one radix tree, None where nothing is shared: then nothing is kept."""

    def __init__(self, tree: RadixTree | None) -> None:
        self._tree = tree
        self.claims: dict[Claim, None] = {}
        self._pins: list[Pin] = []

    @property
    def ahead(self) -> int:
        """How many tokens may still follow behind the claims whose rows have not gone on."""
        return sum(claim.ahead for claim in self.claims if not claim.taken)

    def claim(self, claim: Claim, node: Node, order: Order, step: int) -> None:
        """Make a claim good, unless it was dropped meanwhile."""
        if self._tree is not None and not claim.dropped:
            claim.order, claim.since = order, step
            self.claims[claim] = None
            self._tree.claim(node, claim)

    def drop(self, claims: Iterable[Claim]) -> None:
        """Let go what is claimed, or would be."""
        for claim in claims:
            claim.dropped = True
            self._let_go(claim)

    def lapse(self, step: int) -> None:
        """Let go what was claimed long ago: somebody waits for the room, and the row is in no hurry."""
        for claim in [c for c in self.claims if c.since + _PATIENCE < step and not c.awaited]:
            self._let_go(claim)

    def pin(self, pin: Pin) -> None:
        """Keep prompts from when they are computed."""
        if self._tree is not None:
            self._pins.append(pin)
            self.extend_pins()

    def release(self, pin: Pin) -> None:
        """Undo `pin`; nothing if it was undone before."""
        if pin in self._pins:
            self._pins.remove(pin)
            self._unlock(pin)

    def extend_pins(self) -> None:
        """Lock what there is now of pinned prompts."""
        tree = self._tree
        if tree is None:
            return
        for pin in self._pins:
            for i, (prefix, node) in enumerate(zip(pin.prefixes, pin.nodes, strict=True)):
                locked = node.depth if node is not None else 0
                if locked < len(prefix) and (found := tree.match(prefix)).depth > locked:
                    tree.lock(found)
                    if node is not None:
                        tree.unlock(node)
                    pin.nodes[i] = found

    def give_way(self) -> bool:
        """Release the youngest pin; return whether there was one."""
        if not self._pins:
            return False
        pin = self._pins.pop()
        logger.info("pinned prompts of %d tokens give way: the pool is too small", sum(map(len, pin.prefixes)))
        self._unlock(pin)
        return True

    def forget(self) -> None:
        """Let go everything; what is pinned is kept again from when it is computed."""
        for claim in [*self.claims]:
            self._let_go(claim)
        for pin in self._pins:
            self._unlock(pin)

    def _let_go(self, claim: Claim) -> None:
        if claim in self.claims:
            assert self._tree is not None
            del self.claims[claim]
            self._tree.drop_claim(claim)

    def _unlock(self, pin: Pin) -> None:
        for i, node in enumerate(pin.nodes):
            if node is not None and self._tree is not None:
                self._tree.unlock(node)
                pin.nodes[i] = None
