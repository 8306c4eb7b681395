"""Made-up text, where recorded text is missing."""

from __future__ import annotations

import random

_SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "xu", "za"]


_WORDS = [syllable + (" " if number < 6 else "") for number in range(16) for syllable in _SYLLABLES]


def words(source: bytes) -> str:
    """Return made-up words, a syllable a byte."""
    return "".join([_WORDS[byte] for byte in source])


def sentence(source: random.Random, words: int) -> str:
    """Return that many made-up words, the first with a capital."""
    return " ".join("".join(source.choices(_SYLLABLES, k=source.randint(1, 4))) for _ in range(words)).capitalize()
