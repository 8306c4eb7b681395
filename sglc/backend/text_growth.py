"""How much a tokenizer's normalizer can lengthen a text: what bounds the tokens of texts that nobody has seen."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import tokenizers

_FORMS = {"NFC": 3, "NFD": 3, "NFKC": 11, "NFKD": 11}
"""The most bytes of UTF-8 that one becomes (Unicode's FAQ on normalization)."""

_SHORTENING = frozenset({"Prepend", "Strip", "StripAccents"})  # what Prepend puts before a text counts as its beginning
_LONGEST_CASE = 3
_UNSURE = 11


def most_tokens_of_a_byte(backend: tokenizers.Tokenizer, vocabulary: Collection[str]) -> int:
    """Return how many tokens a byte of text can become, one at the beginning left out."""
    normalizer = backend.normalizer
    return _growth(json.loads(normalizer.__getstate__()), vocabulary) if normalizer is not None else 1


def _growth(part: dict[str, Any], vocabulary: Collection[str]) -> int:
    kind = part["type"]
    if kind == "Sequence":
        product = 1
        for each in part["normalizers"]:
            product *= _growth(each, vocabulary)
        return product
    if kind == "Replace" and "String" in part["pattern"]:
        old, new = part["pattern"]["String"], part["content"]
        grown = len(new.encode()) if new not in vocabulary else 1
        return max(1, -(-grown // max(1, len(old.encode()))))
    if kind == "Lowercase":
        return _LONGEST_CASE
    return 1 if kind in _SHORTENING else _FORMS.get(kind, _UNSURE)
