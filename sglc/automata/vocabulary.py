"""The tokens that a model may say, as bytes, and what compiling a constraint wants to know of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from sglc.automata.vocabulary_trie import ROOT, Ints, VocabularyTrie, build_trie


class TokenizerLike(Protocol):
    """What `Vocabulary.from_tokenizer` asks of a tokenizer."""

    @property
    def token_bytes(self) -> Sequence[bytes]:
        """What each id adds to a text; b"" for special tokens and for ids without a token."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text that goes on from another, without special tokens."""


class Vocabulary:
    """A list of byte strings. Immutable; equal ones are equal keys."""

    tokens: tuple[bytes, ...]
    """What each id adds to a text; b"" where it is never allowed."""

    width: int
    """How many logits there are; ids from `len(tokens)` on are never allowed."""

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        special: Iterable[int] = (),
        width: int | None = None,
        *,
        encode: Callable[[str], Sequence[int]] | None = None,
    ) -> None:
        """Take over tokens; `None`, empty and special entries (ids in `special`) are never allowed.

        `encode` says how the tokenizer writes a text that goes on from another. Raises ValueError for a width below the
        number of tokens or a special id that is none.
        """
        width = len(tokens) if width is None else width
        if width < len(tokens):
            raise ValueError(f"width: found {width}; wanted at least the {len(tokens)} tokens")
        texts = [token or b"" for token in tokens]
        for token_id in special:
            if not 0 <= token_id < len(texts):
                raise ValueError(f"special: found the id {token_id}; wanted one from 0 to {len(texts) - 1}")
            texts[token_id] = b""
        self.tokens = tuple(texts)
        self.width = width
        self.encode = encode

    @classmethod
    def from_tokenizer(cls, tokenizer: TokenizerLike, width: int | None = None) -> Vocabulary:
        """Return the vocabulary of a tokenizer, which is asked for texts while constraints are compiled only."""
        return cls(tokenizer.token_bytes, width=width, encode=tokenizer.encode)

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self is other or (self.width, self.fingerprint) == (other.width, other.fingerprint)

    def __hash__(self) -> int:
        return hash((self.width, self.fingerprint))

    @cached_property
    def fingerprint(self) -> str:
        """A short text that is equal for equal tokens."""
        lengths = np.fromiter(map(len, self.tokens), dtype=np.int64, count=len(self.tokens))
        return hashlib.sha256(lengths.tobytes() + b"".join(self.tokens)).hexdigest()[:16]

    @cached_property
    def texts(self) -> Sequence[bytes]:
        """The distinct byte strings of the tokens, in ascending order."""
        return sorted(set(self.tokens) - {b""})

    @cached_property
    def trie(self) -> VocabularyTrie:
        """All prefixes of `texts`."""
        return build_trie(self.texts)

    @cached_property
    def node_of_token(self) -> Ints:
        """Where each token ends in the trie [tokens]; ROOT for one that is never allowed. Read-only."""
        nodes = {b"": ROOT} | dict(zip(self.texts, self.trie.node_of_text.tolist(), strict=True))
        found = np.fromiter(map(nodes.__getitem__, self.tokens), dtype=np.int64, count=len(self.tokens))
        found.flags.writeable = False
        return found

    def prepare(self) -> None:
        """Work out now what is otherwise worked out when a constraint is first compiled."""
        _ = self.node_of_token
