"""How many states and how much time one language may cost before it is worked out on demand, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import thread_time
from typing import TypeVar

MAX_STATES = 50_000
"""States of one automaton, deterministic or not."""

MAX_SECONDS = 3.0
"""CPU seconds of the thread that compiles one language, its parts included."""

_PACE = 256

_Item = TypeVar("_Item")


class OverBudget(Exception):
    """More states or seconds than the budget has; always caught where a language is compiled.

    Its message is the place where it ended, if there is one to tell.
    """


class Budget:
    """The limits of one compilation, shared by all parts of a language; the clock starts with it."""

    __slots__ = ("_end", "seconds", "states")

    def __init__(self, states: int = MAX_STATES, seconds: float = MAX_SECONDS) -> None:
        self.states = states
        self.seconds = seconds
        self._end = thread_time() + seconds

    def part(self, states: int, seconds: float) -> Budget:
        """Return the narrower limits of one question on the way, whose time ends with this budget's."""
        part = Budget(min(states, self.states), seconds)
        part._end = min(part._end, self._end)
        return part

    def check(self, states: int, place: str = "") -> None:
        """Raise OverBudget when an automaton has this many states already and more are to come, or time is up."""
        if states > self.states or thread_time() > self._end:
            raise OverBudget(place)

    def paced(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield items of quick work. Raises OverBudget when time is up, which is looked at now and then."""
        for number, item in enumerate(items):
            if number % _PACE == 0:
                self.check(0)
            yield item
