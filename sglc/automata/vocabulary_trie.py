"""The distinct tokens of a vocabulary as a trie, flattened so that numpy walks all of one length at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

ROOT = 0
"""The node of the empty prefix, which no token ends at."""


@dataclass(frozen=True, slots=True, eq=False)
class VocabularyTrie:
    """Each prefix of a token is a node [N]. Nodes are in order of length, then of bytes: siblings lie side by side."""

    last_byte: npt.NDArray[np.uint8]  # [N]
    first_child: Ints  # [N]
    children: Ints  # [N] how many
    node_of_text: Ints  # [T] where each text that it was built of ends
    is_text: npt.NDArray[np.bool_]  # [N] whether one ends there

    def below(self, nodes: Ints) -> Ints:
        """Return the children of nodes, in the order of their parents."""
        return spans(self.first_child[nodes], self.children[nodes])

    def walk(self, node: int, text: bytes) -> int | None:
        """Return the node after some bytes more, None where no token has these."""
        for byte in text:
            first = int(self.first_child[node])
            siblings = self.last_byte[first : first + int(self.children[node])]
            place = int(np.searchsorted(siblings, byte))
            if place == len(siblings) or siblings[place] != byte:
                return None
            node = first + place
        return node


def build_trie(texts: Sequence[bytes]) -> VocabularyTrie:
    """Return the trie of distinct, non-empty texts in ascending order."""
    lengths: Ints = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    offsets = np.cumsum(lengths) - lengths
    data = np.frombuffer(b"".join(texts), dtype=np.uint8)
    shared = _shared_with_the_one_before(data, offsets, lengths)
    new = lengths - shared  # every text brings the nodes that it does not share with the one before
    text = np.repeat(np.arange(len(texts)), new)
    depth = spans(shared + 1, new)
    in_order = np.argsort(depth, kind="stable")
    parent = _parents(depth, in_order)
    place = np.empty_like(in_order)
    place[in_order] = np.arange(len(in_order))
    children = np.bincount(parent, minlength=len(in_order) + 1)
    ends = 1 + place[np.cumsum(new) - 1]
    is_text = np.zeros(len(children), dtype=np.bool_)
    is_text[ends] = True
    return VocabularyTrie(
        last_byte=np.concatenate([np.zeros(1, np.uint8), data[offsets[text] + depth - 1][in_order]]),
        first_child=1 + np.cumsum(children) - children,
        children=children,
        node_of_text=ends,
        is_text=is_text,
    )


def spans(starts: Ints, lengths: Ints) -> Ints:
    """Return starts[0], starts[0] + 1, … `lengths[0]` of them, then those from starts[1] on, and so forth."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - ends + lengths, lengths)


def _shared_with_the_one_before(data: npt.NDArray[np.uint8], offsets: Ints, lengths: Ints) -> Ints:
    """Return how many first bytes each text has in common with the one before it."""
    shared = np.zeros_like(lengths)
    open_pairs = np.arange(1, len(lengths))
    depth = 0
    while len(open_pairs):
        open_pairs = open_pairs[np.minimum(lengths[open_pairs], lengths[open_pairs - 1]) > depth]
        equal = data[offsets[open_pairs] + depth] == data[offsets[open_pairs - 1] + depth]
        open_pairs = open_pairs[equal]
        depth += 1
        shared[open_pairs] = depth
    return shared


def _parents(depth: Ints, in_order: Ints) -> Ints:
    """Return the parent of each node but the root, which are met in depth-first order and numbered by `in_order`."""
    parents = np.zeros_like(in_order)
    levels = np.cumsum(np.bincount(depth, minlength=1))
    for low, middle, high in zip(levels, levels[1:], levels[2:], strict=False):
        before = np.searchsorted(in_order[low:middle], in_order[middle:high])
        parents[middle:high] = low + before  # nodes are numbered from 1 on, the last one met before is the parent
    return parents
