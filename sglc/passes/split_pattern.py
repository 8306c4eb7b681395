"""The regular expression by which a pre-tokenizer splits text: which characters can stand side by side in one part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class UnknownPattern(Exception):
    """A pattern with something in it that is not read here; it says what."""


@dataclass(frozen=True, slots=True)
class SplitPattern:
    """A pattern as its positions, the places in it that take one character each; sets of them are bits of an int.

    `classes` are the positions as patterns of one character, in the dialect of the tokenizer's library. `first` can
    begin a match and `following[p]` can come behind p in one: what lookaheads forbid and what alternatives before
    win is in there, too. A character of those `alone` is matched wherever it stands, by itself if not with others.

    Whether a match ends at one of `peeking` may depend on what is behind it: not where its last character is also one
    of those `excused` at that position, for another alternative then matches the same in its place.
    """

    classes: tuple[str, ...]
    first: int
    following: tuple[int, ...]
    alone: int
    peeking: int
    excused: Mapping[int, int]


def read_pattern(pattern: str) -> SplitPattern:
    """Read a pattern in the dialect of Oniguruma. Raises UnknownPattern.

    What it looks ahead at is one character at most, and it never looks back: so a part depends on the text from
    where it begins to one character behind its end.
    """
    return _Reader(pattern).read()


class _Part(NamedTuple):
    """A piece of a pattern: whether it can be empty, what it begins and ends with, and what is all of it alone.

    `conditional`: whether it matches depends on more than the characters that it takes.
    """

    empty: bool
    first: int = 0
    last: int = 0
    alone: int = 0
    conditional: bool = False


_NOTHING = _Part(True)
_CONDITION = _Part(True, conditional=True)
_CLASS_ESCAPE = re.compile(r"\\(?:[sSdDwWrntf]|[pP]\{\^?\w+\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[^0-9A-Za-z])")
_CLASS = re.compile(r"\[\^?(?:\\.(?:\{\^?\w+\})?|[^\[\]\\&])+\]")
_ONE = rf"({_CLASS_ESCAPE.pattern}|{_CLASS.pattern})"
_RUN_UP_TO = re.compile(rf"{_ONE}\*{_ONE}\+?")
_RUN_IF = re.compile(rf"{_ONE}\+(?:\(\?[!=]{_ONE}\)|\$|\\z)")
_RUN_AT_END = re.compile(rf"{_ONE}\+\\z")
_REPEAT = re.compile(r"([?*+])([?+]?)|\{(\d*)(,?)(\d*)\}([?+]?)")


class _Reader:
    """Reads one pattern, from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._classes: list[str] = []
        self._following: list[int] = []
        self._peeking = 0

    def read(self) -> SplitPattern:
        """Return the pattern as positions."""
        parts: list[_Part] = []
        ways: list[_Way] = []
        while not parts or self._take("|"):
            begin, position = self._at, len(self._classes)
            parts.append(self._sequence(ignore_case=False))
            ways.append(_Way(self._pattern[begin : self._at], position))
        whole = self._united(parts)
        if self._at < len(self._pattern):
            raise self._unknown()
        if whole.empty:
            raise UnknownPattern("a pattern that matches nothing at all")
        excused = _excused(ways)
        return SplitPattern(
            tuple(self._classes), whole.first, tuple(self._following), whole.alone, self._peeking, excused
        )

    def _alternatives(self, ignore_case: bool) -> _Part:
        parts = [self._sequence(ignore_case)]
        while self._take("|"):
            parts.append(self._sequence(ignore_case))
        return self._united(parts)

    def _united(self, parts: Sequence[_Part]) -> _Part:
        """Return alternatives as one part."""
        empty = conditional = False
        first = last = alone = 0
        for part in parts:
            empty, conditional = empty or part.empty, conditional or part.conditional
            first, last, alone = first | part.first, last | part.last, alone | part.alone
        return _Part(empty, first, last, alone, conditional)

    def _sequence(self, ignore_case: bool) -> _Part:
        whole = _NOTHING
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            whole = self._behind(whole, self._repeated(self._atom(ignore_case)))
        return whole

    def _behind(self, one: _Part, other: _Part) -> _Part:
        for position in _bits(one.last):
            self._following[position] |= other.first
        self._peeking |= one.last if other.conditional else 0
        alone = one.alone if other.empty and not other.conditional else 0
        alone |= other.alone if one.empty and not one.conditional else 0
        return _Part(
            one.empty and other.empty,
            one.first | (other.first if one.empty else 0),
            other.last | (one.last if other.empty else 0),
            alone,
            one.conditional or other.conditional,
        )

    def _repeated(self, part: _Part) -> _Part:
        found = _REPEAT.match(self._pattern, self._at)
        if found is None:
            return part
        sign, mood, low, comma, high, _ = found.groups()
        if "+" in (mood, found[6]):  # gives nothing back, or repeats once more, depending on what it stands behind
            raise self._unknown()
        self._at = found.end()
        least = {"?": 0, "*": 0, "+": 1}[sign] if sign else int(low or 0)
        once = sign == "?" or (not sign and (high or (low if not comma else "")) in ("0", "1"))
        if not once:
            for position in _bits(part.last):
                self._following[position] |= part.first
            self._peeking |= part.last if part.conditional else 0
        return part._replace(empty=part.empty or least == 0, alone=part.alone if least <= 1 else 0)

    def _atom(self, ignore_case: bool) -> _Part:
        if self._take("(?:"):
            return self._closed(self._alternatives(ignore_case))
        if self._take("(?i:"):
            return self._closed(self._alternatives(ignore_case=True))
        if self._take("(?!") or self._take("(?="):
            self._one_character()
            return self._closed(_CONDITION)
        if self._take("$") or self._take("\\z"):
            return _CONDITION
        if not self._pattern.startswith("(?", self._at) and self._take("("):
            return self._closed(self._alternatives(ignore_case))
        source = self._one_character()
        self._classes.append(f"(?i:{source})" if ignore_case else source)
        self._following.append(0)
        position = 1 << (len(self._classes) - 1)
        return _Part(False, position, position, position)

    def _one_character(self) -> str:
        for known in (_CLASS_ESCAPE, _CLASS):
            found = known.match(self._pattern, self._at)
            if found is not None:
                self._at = found.end()
                return found[0]
        literal = self._pattern[self._at : self._at + 1]
        if not literal or literal in "\\[](){}?*+^$.|":
            raise self._unknown()
        self._at += 1
        return re.escape(literal)

    def _closed(self, part: _Part) -> _Part:
        if not self._take(")"):
            raise self._unknown()
        return part

    def _take(self, text: str) -> bool:
        taken = self._pattern.startswith(text, self._at)
        self._at += len(text) if taken else 0
        return taken

    def _unknown(self) -> UnknownPattern:
        return UnknownPattern(f"a pattern with {self._pattern[self._at : self._at + 12]!r} in it")


class _Way(NamedTuple):
    """An alternative of a whole pattern: its text, and the number of its first position."""

    text: str
    position: int


def _excused(ways: Sequence[_Way]) -> dict[int, int]:
    """Return for positions that peek those whose characters make it all the same what is behind them.

    Such are the newlines in `\\s*[\\r\\n]+|\\s+(?!\\S)`. A run of blanks that ends with one of these is matched by the
    first alternative, whatever follows. In front of it an alternative for the very end of a text may stand, `\\s+\\z`,
    which matches the same there.
    """
    excused: dict[int, int] = {}
    for place, (text, position) in enumerate(ways):
        ending = _RUN_UP_TO.fullmatch(text)
        if ending is None:
            continue
        newline = 1 << (position + 1)
        for before in reversed(ways[:place]):
            found = _RUN_AT_END.fullmatch(before.text)
            if found is None or found[1] != ending[1]:
                break
            excused[before.position] = newline
        for behind in ways[place + 1 :]:
            found = _RUN_IF.fullmatch(behind.text)
            if found is not None and found[1] == ending[1]:
                excused[behind.position] = excused.get(behind.position, 0) | newline
    return excused


def _bits(positions: int) -> Iterator[int]:
    """Yield the numbers of the positions of a set."""
    while positions:
        lowest = positions & -positions
        yield lowest.bit_length() - 1
        positions ^= lowest
