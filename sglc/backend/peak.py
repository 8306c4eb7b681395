"""The most KV that will be needed at one time, as far as it can be foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Course(NamedTuple):
    """What a row does from now on, part by part: it takes so many slots at once, and then one in each of so many steps.

    In the end it gives back all of them and `own`, those that it alone has now.
    """

    own: float
    parts: Sequence[tuple[float, float]]

    @property
    def steps(self) -> float:
        """How long it takes."""
        return sum(steps for _, steps in self.parts)


def peak(courses: Sequence[Course]) -> float:
    """Return the most slots that rows take at one time beyond those taken now.

    It is less than the sum of what each takes at most: while some grow, others end.
    """
    times: list[float] = []
    ends: list[bool] = []  # whether a row ends then: others take what they do at that time first
    taken: list[float] = []  # at once, at each of these times
    faster: list[float] = []  # how many more a step from then on
    for own, parts in courses:
        time = total = 0.0
        for at_once, steps in parts:
            times += (time, time + steps)
            ends += (False, False)
            taken += (at_once, 0.0)
            faster += (1.0, -1.0)
            time += steps
            total += at_once + steps
        times.append(time)
        ends.append(True)
        taken.append(-own - total)
        faster.append(0.0)
    order = np.lexsort((ends, times))
    changes = np.array(faster)[order]
    speed = np.cumsum(changes) - changes  # before each time
    grown = np.cumsum(speed * np.diff(np.array(times)[order], prepend=0.0))
    return float((grown + np.cumsum(np.array(taken)[order])).max(initial=0.0))
