"""Seams between texts: how much of a text is in tokens for good, whatever stands before it or follows."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from weakref import WeakKeyDictionary

from sglc.passes.splitters import Part, PatternSplitter, Spelling, Unsure, VocabularySplitter, splitter_of

FOLLOWING: Mapping[str, str] = {
    "a letter": "aAsStTrRvVmMlLdDeE\u00e9\u4e2d\u02b0\u01c5",
    "a digit": "7\u00b2\u2167",
    "a space": " ",
    "a newline": "\n\r",
    "other blanks": "\t\u00a0\u3000",
    "an apostrophe": "'",
    "a combining mark": "\u0301",
    "punctuation": '.!/"({-_',
    "a symbol": "\u20ac\U0001f642",
    "nothing": "",
}
"""What a text may begin with → characters that stand for it, each treated in its own way by some tokenizer."""


class Seams:
    """What is certain about the tokens of one tokenizer where texts meet.

    Nothing here tokenizes: a place is certain if no token can reach across it and no character that is not known can
    change where the tokens around it end.
    """

    def __init__(self, spelling: Spelling) -> None:
        """Raises Unsure for a tokenizer that is not understood."""
        self._splitter: PatternSplitter | VocabularySplitter = splitter_of(spelling)
        description = spelling.description
        self._composes = "NFC" in _types(description["normalizer"])
        self._recognized = _recognized(description)
        self._crossing: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for content in self._recognized:
            for cut, pair in enumerate(pairwise(content), 1):
                self._crossing.setdefault(pair, []).append((content[:cut], content[cut:]))

    def boundaries(self, text: str) -> list[int]:
        """Return the places inside a text where a token ends for certain, whatever is before the text and behind it."""
        unsure: Collection[str] = ()
        if self._composes:
            if not unicodedata.is_normalized("NFC", text):
                return []
            unsure = {character for character in {*text} if _joins(character)}
        found = self._splitter.boundaries(text, unsure)
        return [place for place in found if not self._recognized_across(text, place)] if self._crossing else found

    def settled(self, text: str, following: str | None = None) -> int:
        """Return how many characters of a text, which begins where a token does, no text behind it can change.

        `following` is the character that comes next if that is known, "" where nothing follows.
        """
        if following == "":
            return len(text)
        known = self.boundaries(text)
        if following is not None:
            known += [place for place in self.boundaries(text + following) if place <= len(text)]
        return max(known, default=0)

    def synchronized(self, text: str) -> int:
        """Return the first place of a text from which on its tokens do not depend on what is before, else its end."""
        return next(iter(self.boundaries(text)), len(text))

    def table(self, text: str) -> dict[str, int]:
        """Return for what a text behind this one may begin with how many characters of this one it leaves settled."""
        return {
            name: min((self.settled(text, each) for each in characters), default=len(text))
            for name, characters in FOLLOWING.items()
        }

    def _recognized_across(self, text: str, place: int) -> bool:
        """Whether a token that is recognized before text is split can reach across a place."""
        for left, right in self._crossing.get((text[place - 1], text[place]), ()):
            before, behind = text[:place], text[place:]
            if (before.endswith(left) or left.endswith(before)) and (
                behind.startswith(right) or right.startswith(behind)
            ):
                return True
        return False


def seams_of(spelling: Spelling) -> Seams:
    """Return the seams of a tokenizer, found once for all programs. Raises Unsure."""
    known = _KNOWN.get(spelling)
    if known is None:
        try:
            known = Seams(spelling)
        except Unsure as unsure:
            known = unsure
        _KNOWN[spelling] = known
    if isinstance(known, Unsure):
        raise known.with_traceback(None)
    return known


_KNOWN: WeakKeyDictionary[Spelling, Seams | Unsure] = WeakKeyDictionary()


def _recognized(description: Part) -> list[str]:
    """Return what is recognized in a text before it is split. Raises Unsure where that depends on what is around it."""
    added = description["added_tokens"]
    ordinary = [token for token in added if not token["special"]]
    if not ordinary:
        return []
    for option in ("single_word", "lstrip", "rstrip"):
        if any(token[option] for token in ordinary):
            raise Unsure(f"a tokenizer with added tokens that are {option}")
    normalizer = _types(description["normalizer"])
    if normalizer and any(token["normalized"] for token in ordinary):
        raise Unsure("a tokenizer with added tokens that are normalized")
    if "Prepend" in normalizer or _prefixes(description["pre_tokenizer"]):
        raise Unsure("a tokenizer that begins anew behind added tokens")
    return [token["content"] for token in added]


def _types(part: Part | None) -> list[str]:
    """Return the types of a normalizer or pre-tokenizer and of its parts."""
    return [each["type"] for each in _parts(part)]


def _parts(part: Part | None) -> Iterator[Part]:
    if part is None:
        return
    yield part
    for each in (*part.get("normalizers", ()), *part.get("pretokenizers", ())):
        yield from _parts(each)


def _prefixes(pre_tokenizer: Part | None) -> bool:
    """Whether a pre-tokenizer puts a space before each stretch of text."""
    return any(
        part.get("prepend_scheme") == "always" or part.get("add_prefix_space", False) for part in _parts(pre_tokenizer)
    )


def _joins(character: str) -> bool:
    """Whether NFC may make one character of this one and one before it, or is not known to leave it alone."""
    category = unicodedata.category(character)
    return (
        category[0] == "M"
        or category == "Cn"
        or "\u1160" <= character <= "\u11ff"  # vowels and final consonants of Hangul
        or "\ud7b0" <= character <= "\ud7ff"
    )
