"""Classes of characters as Python's `re` reads them: categories and the other case, ASCII or Unicode."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module

from sglc.automata.regular import CharSet, Range, char_set, complement

_IGNORECASE = int(re.IGNORECASE)  # a mere number: this is asked of every character of a pattern
_simple_lower: Callable[[int], int] = import_module("_sre").unicode_tolower
_EXTRA_CASES: dict[int, tuple[int, ...]] = import_module("re._casefix")._EXTRA_CASES

_ASCII: dict[str, CharSet] = {
    "DIGIT": char_set([(0x30, 0x39)]),
    "SPACE": char_set([(0x09, 0x0D), (0x20, 0x20)]),
    "WORD": char_set([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]),
}
_UNICODE: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda char: char.isalnum() or char == "_",
}
# Whatever ECMAScript or Python counts as white space, in any alphabet.
_ALL_SPACE = [(0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)]
_ALL_SPACE += [(0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)]


def category(name: str, flags: int, negated: bool = False) -> CharSet:
    r"""Return the characters of `\d`, `\w` or `\s` (DIGIT, WORD, SPACE), or with NOT_ those that are not among them.

    `negated`: the class will be negated. Without `re.ASCII` and `re.UNICODE` the categories are ASCII, but white space
    of any alphabet is not in `\S` and `[^\s]`.
    """
    excludes = name.startswith("NOT_")
    kind = name.removeprefix("NOT_")
    members = _unicode(kind) if flags & re.UNICODE else _ASCII[kind]
    if kind == "SPACE" and excludes != negated and not flags & (re.ASCII | re.UNICODE):
        members = char_set(_ALL_SPACE)
    return complement(members) if excludes else members


def folded(ranges: Iterable[Range], flags: int) -> CharSet:
    """Return the characters of some ranges, and under `re.IGNORECASE` those that differ from them by case only."""
    ranges = list(ranges)
    if not flags & _IGNORECASE:
        return char_set(ranges)
    if flags & re.UNICODE:
        cased = _same_but_case()
        return char_set(
            [*ranges, *((other, other) for code in cased if _within(code, ranges) for other in cased[code])]
        )
    for first, distance in ((0x41, 32), (0x61, -32)):  # A–Z moves up to a–z, a–z down to A–Z
        cut = [(max(low, first), min(high, first + 25)) for low, high in ranges[:]]
        ranges += [(low + distance, high + distance) for low, high in cut if low <= high]
    return char_set(ranges)


def _within(code: int, ranges: Iterable[Range]) -> bool:
    return any(low <= code <= high for low, high in ranges)


@cache
def _unicode(kind: str) -> CharSet:
    is_member = _UNICODE[kind]
    return char_set((code, code) for code in range(sys.maxunicode + 1) if is_member(chr(code)))


@cache
def _same_but_case() -> dict[int, list[int]]:
    """Return each character that has another case → all that Python takes for the same under IGNORECASE."""
    by_lower: dict[int, list[int]] = {}
    for code in range(sys.maxunicode + 1):
        lower = _simple_lower(code)
        if lower != code or lower in _EXTRA_CASES:
            by_lower.setdefault(lower, [lower]).append(code)
    groups = {
        lower: [code for key in (lower, *_EXTRA_CASES.get(lower, ())) for code in by_lower.get(key, [key])]
        for lower in by_lower
    }
    return {code: groups[lower] for lower, codes in by_lower.items() for code in codes}
