"""Where a tokenizer's tokens end for certain, in a text that more stands before and behind."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from sglc.passes.split_pattern import UnknownPattern, read_pattern

Part = Mapping[str, Any]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""The pattern of the `ByteLevel` pre-tokenizer."""

_BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")


class Spelling(Protocol):
    """What passes ask about how a tokenizer takes text apart."""

    @property
    def description(self) -> Part:
        """`normalizer`, `pre_tokenizer`, `model` and `added_tokens` as `tokenizer.json` has them."""

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Every token as the vocabulary writes it → its id."""

    def matching(self, pattern: str, characters: str) -> Collection[str]:
        """Return which characters a pattern of one character matches, as the tokenizer's library sees it."""


class Unsure(Exception):
    """A tokenizer about which nothing is certain here; it says what is in the way."""


class Splitter(Protocol):
    """Finds certain ends of tokens."""

    def boundaries(self, text: str, unsure: Collection[str] = ()) -> list[int]:
        """Return the places inside a text that no token reaches across, whatever is before the text and behind it.

        A character of those that are `unsure` may be another, or part of another, once something is before it.
        """


class _Step(NamedTuple):
    """What a character does: whether one part may take it and the one before it, and which positions it has reached.

    `ends_alike`: a part that ends with it does so whatever is behind it.
    """

    joins: bool
    ends_alike: bool
    reached: int


class PatternSplitter:
    """A splitter for tokenizers that split text by a pattern before they look at the vocabulary.

    No part reaches across a place if no way through the pattern takes the character before it and then the one behind.
    All ways at once are a set of positions; what is before the text may have led to any of them. Where text ends the
    pattern may see that nothing is behind it: then a part of one character is the only one that is surely the same.
    """

    def __init__(self, pattern: str, spelling: Spelling) -> None:
        """Raises Unsure for a pattern that is not understood."""
        try:
            self._pattern = read_pattern(pattern)
        except UnknownPattern as unknown:
            raise Unsure(f"{unknown}") from None
        self._spelling = spelling
        self._all = (1 << len(self._pattern.classes)) - 1
        self._taking: dict[str, int] = {}  # a character → the positions that take it
        self._steps: dict[tuple[int, int], _Step] = {}

    def boundaries(self, text: str, unsure: Collection[str] = ()) -> list[int]:
        """Return the places inside a text that no token reaches across, whatever is before the text and behind it."""
        self._look_at(text)
        found: list[int] = []
        taking, steps, alone = self._taking, self._steps, self._pattern.alone
        reached, ends_alike = self._all, False
        for place, character in enumerate(text):
            here = taking[character]
            if character in unsure or not here & alone:
                reached, ends_alike = self._all, False
                continue
            step = steps.get((reached, here)) or self._step(reached, here)
            if ends_alike and not step.joins:
                found.append(place)
            ends_alike, reached = step.ends_alike, step.reached
        return found

    def _step(self, reached: int, here: int) -> _Step:
        """Find out what a character does that is taken `here`, behind one that was taken where `reached` is."""
        pattern = self._pattern
        joined = 0
        for position, following in enumerate(pattern.following):
            joined |= following & here if reached >> position & 1 else 0
        peeks = any(
            joined & pattern.peeking & 1 << position and not pattern.excused.get(position, 0) & here
            for position in range(len(pattern.following))
        )
        step = self._steps[reached, here] = _Step(bool(joined), not peeks, joined | pattern.first & here)
        return step

    def _look_at(self, text: str) -> None:
        """Find out which positions take the characters of a text."""
        new = "".join({*text}.difference(self._taking))
        if not new:
            return
        self._taking.update(dict.fromkeys(new, 0))
        for position, source in enumerate(self._pattern.classes):
            for character in self._spelling.matching(source, new):
                self._taking[character] |= 1 << position


class VocabularySplitter:
    """A splitter for tokenizers whose vocabulary alone decides: no token has the two characters side by side."""

    def __init__(self, spelling: Spelling, marks: Mapping[str, str], splits_at: str = "") -> None:
        """`marks` are characters that the vocabulary writes differently; a part begins at each `splits_at`."""
        model = spelling.description["model"]
        vocabulary = spelling.vocabulary
        bytes_known = model.get("byte_fallback") and all(f"<0x{byte:02X}>" in vocabulary for byte in range(256))
        if any(
            _BYTE_TOKEN.search(token) and not _BYTE_TOKEN.fullmatch(token) for token in vocabulary if "<0x" in token
        ):
            raise Unsure("a vocabulary that puts bytes together")
        self._marks = str.maketrans(dict(marks))
        self._splits_at = splits_at
        self._joined = {pair for token in vocabulary for pair in pairwise(token)}
        self._known = None if bytes_known else {token for token in vocabulary if len(token) == 1}

    def boundaries(self, text: str, unsure: Collection[str] = ()) -> list[int]:
        """Return the places inside a text that no token reaches across, whatever is before the text and behind it."""
        text = text.translate(self._marks)
        joined, known, splits_at = self._joined, self._known, self._splits_at
        found: list[int] = []
        for place, pair in enumerate(pairwise(text), 1):
            before, character = pair
            if character in unsure or before in unsure:
                continue
            if character == splits_at or (
                pair not in joined and (known is None or (before in known and character in known))
            ):
                found.append(place)
        return found


def splitter_of(spelling: Spelling) -> PatternSplitter | VocabularySplitter:
    """Return what finds certain ends of tokens. Raises Unsure for a tokenizer that it does not understand."""
    description = spelling.description
    model = description["model"]
    if model.get("type") != "BPE":
        raise Unsure(f"a tokenizer of type {model.get('type')}")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(option):
            raise Unsure(f"a tokenizer with {option}")
    marks = dict(_replaced(description["normalizer"]))
    pattern: str | None = None
    splits_at = ""
    for step in _steps(description["pre_tokenizer"], "pretokenizers"):
        match step:
            case {"type": "Split", "pattern": {"Regex": found}, "behavior": behavior, "invert": invert} if (
                pattern is None and (behavior, invert) in (("Isolated", False), ("Removed", True))
            ):
                pattern = found
            case {"type": "ByteLevel", "use_regex": True} if pattern is None:
                pattern = GPT2
            case {"type": "ByteLevel", "use_regex": False, "add_prefix_space": False} if pattern is not None:
                pass
            case {"type": "Metaspace", "replacement": mark, "split": splits} if pattern is None:
                marks[" "] = mark
                splits_at = mark if splits else splits_at
            case {"type": "Split", "pattern": {"String": text}} if text in marks:
                pass  # none is left
            case _:
                raise Unsure(f"a tokenizer with the pre-tokenizer {step['type']}")
    if pattern is None:
        return VocabularySplitter(spelling, marks, splits_at)
    if marks:
        raise Unsure("a tokenizer with a pattern that changes characters")
    return PatternSplitter(pattern, spelling)


def _replaced(normalizer: Part | None) -> Iterable[tuple[str, str]]:
    """Yield the characters that a normalizer puts in the place of others. Raises Unsure for one that does more."""
    for step in _steps(normalizer, "normalizers"):
        match step:
            case {"type": "Replace", "pattern": {"String": old}, "content": new} if len(old) == len(new) == 1:
                yield old, new
            case {"type": "Prepend"} | {"type": "NFC"}:  # at the start alone; what `Seams` sees to
                pass
            case _:
                raise Unsure(f"a tokenizer with the normalizer {step['type']}")


def _steps(part: Part | None, several: str) -> Iterable[Part]:
    """Yield a normalizer or pre-tokenizer, or the parts of a sequence of them."""
    if part is None:
        return
    if part["type"] != "Sequence":
        yield part
        return
    for each in part[several]:
        yield from _steps(each, several)
