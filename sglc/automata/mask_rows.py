"""Packed rows of allowed tokens, kept while there is room."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock

import numpy as np
import numpy.typing as npt

from sglc.automata.token_states import PackedRow

MAX_BYTES = 64 << 20
"""How much the rows of one table may take."""


def packed(allowed: npt.NDArray[np.bool_], width: int) -> PackedRow:
    """Return the bits of the first tokens, those of all others 0."""
    row = np.zeros(-(-width // 8), dtype=np.uint8)
    bits = np.packbits(allowed, bitorder="little")
    row[: len(bits)] = bits
    row.flags.writeable = False
    return row


class MaskRows:
    """A bounded cache of packed rows, the oldest of which make room. Threads may share it."""

    def __init__(self, width: int, max_bytes: int = MAX_BYTES) -> None:
        self._most = max(1, max_bytes // -(-max(width, 1) // 8))
        self._rows: dict[Hashable, PackedRow] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Hashable, make: Callable[[], PackedRow]) -> PackedRow:
        """Return the row of a key, made if it is not there."""
        row = self._rows.get(key)
        if row is None:
            row = make()
            with self._lock:
                if len(self._rows) >= self._most:
                    self._rows.pop(next(iter(self._rows)), None)
                self._rows[key] = row
        return row
