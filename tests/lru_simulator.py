"""An oracle for the radix cache: one request at a time, one trie edge a token, the least recently used leaf goes first.

Shares no code with sglc, and is as simple as can be.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

ROOT = 0


class SerialLru:
    """A token trie of at most `capacity` edges, of which one request at a time makes use.

    `_recency` lists the edges from the least to the most recently used. A path is always touched from its end up
    to the root, so an edge comes after all edges below it: the first of the list is a leaf, and the right one to
    evict. The path of the running request has been touched last, so it needs no lock.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._ids: dict[tuple[int, int], int] = {}  # (id of the parent, token) → id of the edge
        self._recency: OrderedDict[int, tuple[int, int]] = OrderedDict()  # id of the edge → its key in _ids
        self._last_id = ROOT

    def __len__(self) -> int:
        """Number of edges."""
        return len(self._recency)

    def request(self, prompt: Sequence[int], output: Sequence[int]) -> int:
        """Serve one request; return how many tokens of the prompt had no KV.

        The request owns room for the rest of the prompt and for all of the output but its last token (whose KV
        is never computed) until it ends, even if the cache has the same output already.
        """
        path = self._match(prompt)
        filled = len(prompt) - len(path)
        own = filled + max(len(output) - 1, 0)
        if len(path) + own > self.capacity:
            raise ValueError(f"found a request of {len(path) + own} tokens; wanted at most {self.capacity}")
        self._touch(path)
        while len(self) + own > self.capacity:
            _, key = self._recency.popitem(last=False)
            del self._ids[key]
        self._touch(self._insert([*prompt, *output[:-1]]))
        return filled

    def holds(self, tokens: Sequence[int]) -> int:
        """Return how many of the first `tokens` are in the trie, and change nothing."""
        return len(self._match(tokens))

    def _match(self, tokens: Sequence[int]) -> list[int]:
        path: list[int] = []
        edge = ROOT
        for token in tokens:
            key = (edge, token)
            if key not in self._ids:
                break
            edge = self._ids[key]
            path.append(edge)
        return path

    def _insert(self, tokens: Sequence[int]) -> list[int]:
        path: list[int] = []
        edge = ROOT
        for token in tokens:
            key = (edge, token)
            if key not in self._ids:
                self._last_id += 1
                self._ids[key] = self._last_id
                self._recency[self._last_id] = key
            edge = self._ids[key]
            path.append(edge)
        return path

    def _touch(self, path: list[int]) -> None:
        for edge in reversed(path):
            self._recency.move_to_end(edge)


def trie_edges(sequences: Iterable[Sequence[int]]) -> int:
    """Count the edges of the token trie of `sequences`: the tokens that have to be computed at least once."""
    ids: dict[tuple[int, int], int] = {}
    for sequence in sequences:
        edge = ROOT
        for token in sequence:
            edge = ids.setdefault((edge, token), len(ids) + 1)
    return len(ids)
