"""Where a generation ends: stop strings and stop patterns, found in text as it grows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

regex_parser: Any = import_module("re._parser")  # the only place that knows match lengths; typeshed has no stubs for it

UNBOUNDED = 10_000
"""Longest match, in characters, that a stop pattern is credited with before it counts as unbounded."""


@dataclass(frozen=True, slots=True)
class Match:
    """A stop that was found: where it begins in the text, and the stop string or pattern itself."""

    start: int
    stop: str


class StopMatcher:
    """Finds the first stop in a growing text, looking at each character a bounded number of times."""

    __slots__ = ("_patterns", "_window", "strings")

    def __init__(self, strings: Sequence[str], patterns: Sequence[str]) -> None:
        self.strings = tuple(strings)
        self._patterns = [(pattern, re.compile(pattern)) for pattern in patterns]
        lengths = [len(s) for s in strings]
        lengths += [_longest(pattern) for pattern in patterns]
        longest = max(lengths, default=0)
        self._window: int | None = None if longest > UNBOUNDED else longest

    def find(self, text: str, old: int) -> Match | None:
        """Return the leftmost stop in `text`, of which the first `old` characters held none before."""
        window = self._window
        start = 0 if window is None else max(0, old - window + 1)
        best: Match | None = None
        for stop in self.strings:
            at = text.find(stop, start)
            if at >= 0 and (best is None or at < best.start):
                best = Match(at, stop)
        for pattern, compiled in self._patterns:
            found = next((match for match in compiled.finditer(text, start) if match.group()), None)
            if found and (best is None or found.start() < best.start):
                best = Match(found.start(), pattern)
        return best

    def safe_length(self, text: str) -> int:
        """Return how many characters of a text without a stop can't become part of one."""
        if self._patterns:
            return 0 if self._window is None else max(0, len(text) - self._window + 1)
        held = 0
        for stop in self.strings:
            for size in range(min(len(stop) - 1, len(text)), held, -1):
                if text.endswith(stop[:size]):
                    held = size
                    break
        return len(text) - held


def _longest(pattern: str) -> int:
    """Return the most characters that decide whether a pattern matches at a place, lookbehind apart."""
    if "(?=" in pattern or "(?!" in pattern:
        return UNBOUNDED + 1
    width = int(regex_parser.parse(pattern).getwidth()[1])
    return width + 1 if re.search(r"\\[bB]", pattern) else width  # a boundary depends on the character behind it


@lru_cache(maxsize=1024)
def stop_matcher(strings: tuple[str, ...], patterns: tuple[str, ...]) -> StopMatcher | None:
    """Return the matcher for these stops, or None where there are none."""
    return StopMatcher(strings, patterns) if strings or patterns else None
