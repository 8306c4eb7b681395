"""The encodings used last, up to a number of characters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock

Key = tuple[str, bool]
"""A text, and whether it begins a prompt."""


CAPACITY = 4_000_000
"""Characters of text that a memo remembers unless told otherwise."""


def is_kept(text: str, capacity: int = CAPACITY) -> bool:
    """Whether a text is short enough to be remembered."""
    return len(text) * 16 <= capacity


class EncodeMemo:
    """A least-recently-used memo of token ids, safe to use from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """`capacity` is in characters of text; a text longer than a sixteenth of it is not kept."""
        self._capacity = capacity
        self._size = 0
        self._entries: OrderedDict[Key, list[int]] = OrderedDict()
        self._lock = Lock()

    def get_many(self, keys: Iterable[Key]) -> dict[Key, list[int]]:
        """Return what is remembered; the lists belong to the memo."""
        entries, found = self._entries, {}
        with self._lock:
            for key in keys:
                ids = entries.get(key)
                if ids is not None:
                    entries.move_to_end(key)
                    found[key] = ids
        return found

    def put_many(self, encodings: Mapping[Key, list[int]]) -> None:
        """Remember these, and forget the least recently used beyond the capacity."""
        with self._lock:
            for key, ids in encodings.items():
                if is_kept(key[0], self._capacity) and key not in self._entries:
                    self._entries[key] = ids
                    self._size += len(key[0])
            while self._size > self._capacity:
                (text, _), _ = self._entries.popitem(last=False)
                self._size -= len(text)

    def copy(self) -> EncodeMemo:
        """Return a memo that remembers the same."""
        with self._lock:
            other = EncodeMemo(self._capacity)
            other._entries = self._entries.copy()
            other._size = self._size
        return other
