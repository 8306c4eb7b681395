"""How many states and how much time one language may cost before it is worked out on demand, or refused."""

from __future__ import annotations

from time import thread_time

MAX_STATES = 50_000
"""States of one automaton, deterministic or not."""

MAX_SECONDS = 3.0
"""CPU seconds of the thread that compiles one language, its parts included."""


class OverBudget(Exception):
    """More states or seconds than the budget has; always caught where a language is compiled."""


class Budget:
    """The limits of one compilation, shared by all parts of a language; the clock starts with it."""

    __slots__ = ("_end", "seconds", "states")

    def __init__(self, states: int = MAX_STATES, seconds: float = MAX_SECONDS) -> None:
        self.states = states
        self.seconds = seconds
        self._end = thread_time() + seconds

    def check(self, states: int) -> None:
        """Raise OverBudget when an automaton has this many states already and more are to come, or time is up."""
        if states > self.states or thread_time() > self._end:
            raise OverBudget
