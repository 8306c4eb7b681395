"""A vocabulary as a trie of its tokens' bytes, laid out level by level so that numpy can walk it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Level:
    """All prefixes of one length. N prefixes, of which some are whole tokens (K, equal tokens counted apart)."""

    parents: _Ints  # [N] index into the level before; in the first level 0, the empty prefix
    last_bytes: npt.NDArray[np.uint8]  # [N]
    token_ids: _Ints  # [K]
    token_prefixes: _Ints  # [K] index of each token among the N prefixes


class TokenTrie:
    """The non-empty tokens of a vocabulary; immutable. `token_bytes[i]` is token i, empty for special tokens."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self.token_bytes = tuple(token_bytes)
        self.levels = tuple(_levels(self.token_bytes))


def _levels(token_bytes: tuple[bytes, ...]) -> list[Level]:
    lengths = np.fromiter(map(len, token_bytes), dtype=np.int64, count=len(token_bytes))
    offsets = np.cumsum(lengths) - lengths
    text = np.frombuffer(b"".join(token_bytes), dtype=np.uint8)
    prefixes = np.zeros(len(token_bytes), dtype=np.int64)  # of each token, its prefix of the present length
    levels = []
    for depth in range(int(lengths.max(initial=0))):
        longer: _Ints = np.flatnonzero(lengths > depth)
        keys = prefixes[longer] * 256 + text[offsets[longer] + depth]
        distinct, prefixes[longer] = np.unique(keys, return_inverse=True)
        ending = longer[lengths[longer] == depth + 1]
        levels.append(Level(distinct // 256, (distinct % 256).astype(np.uint8), ending, prefixes[ending]))
    return levels


_recent: dict[int, tuple[Any, TokenTrie]] = {}
_KEPT = 4


def trie_of(token_bytes: Sequence[bytes]) -> TokenTrie:
    """Return the trie of a vocabulary, the same one for the same sequence object, which must not change.

    The last few are kept, each with its sequence, so that no other object can come to the same id.
    """
    known = _recent.pop(id(token_bytes), None)
    if known is None:
        known = (token_bytes, TokenTrie(token_bytes))
    _recent[id(token_bytes)] = known
    while len(_recent) > _KEPT:
        _recent.pop(next(iter(_recent)), None)
    return known[1]
