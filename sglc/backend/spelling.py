"""How a tokenizer takes text apart, as the passes ask it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import tokenizers
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

_OPTIONS = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "byte_fallback",
    "ignore_merges",
)


class TokenizerSpelling:
    """What `passes.splitters.Spelling` asks for, read off a tokenizer of the library."""

    def __init__(self, backend: tokenizers.Tokenizer, vocabulary: Mapping[str, int]) -> None:
        self._backend = backend
        self.vocabulary = vocabulary

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """`normalizer`, `pre_tokenizer`, `model` and `added_tokens` as `tokenizer.json` has them."""
        backend = self._backend
        model = {name: getattr(backend.model, name) for name in _OPTIONS if hasattr(backend.model, name)}
        added = [
            {
                name: getattr(token, name)
                for name in ("content", "special", "normalized", "single_word", "lstrip", "rstrip")
            }
            for token in backend.get_added_tokens_decoder().values()
        ]
        return {
            "normalizer": _serialized(backend.normalizer),
            "pre_tokenizer": _serialized(backend.pre_tokenizer),
            "model": {"type": type(backend.model).__name__, **model},
            "added_tokens": added,
        }

    def matching(self, pattern: str, characters: str) -> Collection[str]:
        """Return which characters a pattern of one character matches, as the tokenizer's library sees it."""
        left = Split(Regex(pattern), "removed").pre_tokenize_str(characters)
        return {*characters}.difference(*(piece for piece, _ in left))


def _serialized(part: Any) -> Mapping[str, Any] | None:
    """Return a normalizer or pre-tokenizer as JSON."""
    return json.loads(part.__getstate__()) if part is not None else None
