"""The KV pool: which of a model's KV slots are free and which are taken."""

from __future__ import annotations

import numpy as np

from sglc.backend.step import Ints
from sglc.errors import EngineError

_LOOK_AHEAD = 8192
"""How many free slots are searched for an unbroken run; a bound on the time of one allocation (about 10 µs)."""


class KvPool:
    """Slots 1 .. capacity, each with room for the keys and values of one token; slot 0 is `SCRATCH_SLOT`.

    A slot belongs to whoever allocated it until it is released. Slots are handed out in ascending order until
    none is left, then those that came back meanwhile are sorted and handed out in turn. So neighbours that were
    released at different times join again into long runs, and each slot is sorted once per use. An empty pool begins
    at its lowest slots again: memory that nobody has touched yet costs more.
    """

    def __init__(self, capacity: int) -> None:
        """Make a pool of `capacity` free slots, at least 1."""
        if capacity < 1:
            raise EngineError(f"found a KV pool of {capacity} slots; wanted at least 1")
        self.capacity = capacity
        self.used = 0
        self.peak = 0
        self._taken = np.zeros(capacity + 1, np.bool_)
        self._ready: Ints = np.arange(1, capacity + 1, dtype=np.int64)  # ascending; free from _next on
        self._next = 0
        self._returned: Ints = np.empty(capacity, np.int64)  # the first _returns are free, in no order
        self._returns = 0

    @property
    def free(self) -> int:
        """Number of slots that can be allocated now."""
        return self.capacity - self.used

    def allocate(self, count: int) -> Ints:
        """Return `count` free slots in ascending order, as one unbroken run where one is near.

        Raises EngineError when fewer are free, and then takes none.
        """
        if count > self.capacity - self.used:
            raise EngineError(f"found {self.free} free KV slots of {self.capacity}; wanted {count}")
        if count > len(self._ready) - self._next:
            self._take_back()
        start = self._next
        slots = self._ready[start : start + count]
        if count > 1 and slots.item(count - 1) - slots.item(0) >= count:
            self._bring_forward(count)
            slots = self._ready[start : start + count]
        self._next = start + count
        self._taken[slots] = True
        self.used += count
        if self.used > self.peak:
            self.peak = self.used
        return slots.copy()  # a view would keep all of _ready alive

    def release(self, slots: Ints) -> None:
        """Give `slots` back, in any order. Raises EngineError, and takes none back, if one of them is free."""
        count = len(slots)
        if not count:
            return
        if not self._taken[slots].all():
            free = slots[~self._taken[slots]]
            raise EngineError(f"found free KV slots {free[:8].tolist()} in a release; wanted slots in use")
        self._taken[slots] = False
        start = self._returns
        self._returned[start : start + count] = slots
        self._returns = start + count
        self.used -= count
        if not self.used and self._next > _LOOK_AHEAD:
            self._take_back()

    def check(self) -> None:
        """Raise EngineError unless every slot is either taken once or free once."""
        ready = self._ready[self._next :]
        if (np.diff(ready) <= 0).any():
            raise EngineError("found free KV slots out of order; wanted them ascending")
        free = np.sort(np.concatenate((ready, self._returned[: self._returns])))
        if not np.array_equal(free, np.flatnonzero(~self._taken[1:]) + 1):
            raise EngineError(f"found {len(free)} free KV slots that differ from the {self.free} not taken")
        if len(free) != self.free or self._taken[0] or not self.used <= self.peak <= self.capacity:
            raise EngineError(f"found {self.used} KV slots in use; wanted {self.capacity - len(free)}")

    def _take_back(self) -> None:
        """Make the returned slots ready again."""
        self._ready = np.concatenate((self._ready[self._next :], self._returned[: self._returns]))
        self._ready.sort()
        self._next = self._returns = 0

    def _bring_forward(self, count: int) -> None:
        """Move the nearest unbroken run of `count` ready slots before the fragments in front of it, if there is one."""
        ready = self._ready[self._next : self._next + _LOOK_AHEAD + count]
        whole = ready[count - 1 :] - ready[: len(ready) - count + 1] == count - 1
        skipped = int(whole.argmax())
        if not whole[skipped]:
            return
        run = ready[skipped : skipped + count].copy()
        ready[count : skipped + count] = ready[:skipped]
        ready[:count] = run
