"""A number for each context that a model is asked about, at a cost in proportion to the tokens that are new."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sglc.backend.replay_logits import mix
from sglc.backend.step import SCRATCH_SLOT, Ints, Step

Hashes = npt.NDArray[np.uint64]


def token_marks(tokens: Ints, positions: Ints) -> Hashes:
    """Return the hash of each (token, position); a context's hash is made of their sum."""
    return mix((tokens.astype(np.uint64) << np.uint64(32)) ^ positions.astype(np.uint64))


class ContextHashes:
    """Hashes of contexts, by the KV slot of their last token.

    A slot that is in use belongs to one context: it has the sum of the marks of all tokens up to its own. What is found
    is what `ReplayModel.contexts` finds, which reads whole contexts to audit them.
    """

    def __init__(self) -> None:
        self._sums: Hashes = np.empty(0, np.uint64)
        self._is_new = np.empty(0, np.bool_)

    def allocate(self, slots: int) -> None:
        """Make room for `slots` slots, and forget what was there."""
        self._sums = np.zeros(slots, np.uint64)
        self._is_new = np.zeros(slots, np.bool_)

    def of(self, step: Step) -> Hashes:
        """Take the new tokens of a step; return the hash of each logit row's context [R]."""
        self._extend(step)
        row_of = np.repeat(np.arange(len(step.lengths)), step.lengths)
        tables = step.tables
        last = [
            tables[row].item(position)
            for row, position in zip(
                row_of[step.logit_rows].tolist(), step.positions[step.logit_rows].tolist(), strict=True
            )
        ]
        return mix(self._sums[last])

    def _extend(self, step: Step) -> None:
        """Write the sums of the slots that are new in a step; a context may go on from one that is new itself."""
        marks = token_marks(step.token_ids, step.positions)
        new = step.slots != SCRATCH_SLOT
        ends = np.cumsum(step.lengths)
        counts = np.add.reduceat(new.astype(np.int64), ends - step.lengths)  # of each row; what is old comes first
        rows = np.flatnonzero(counts)
        firsts = (step.context_lengths - counts)[rows]
        before = np.array(
            [
                step.tables[row].item(first - 1) if first else SCRATCH_SLOT
                for row, first in zip(rows.tolist(), firsts.tolist(), strict=True)
            ],
            np.int64,
        )
        sums = self._sums
        sums[SCRATCH_SLOT] = 0
        self._is_new[step.slots[new]] = True
        at_once = (counts[rows] == 1) & ~self._is_new[before]
        self._is_new[step.slots[new]] = False
        single = ends[rows[at_once]] - 1
        sums[step.slots[single]] = sums[before[at_once]] + marks[single]
        for place in np.flatnonzero(~at_once).tolist():
            end = int(ends[rows[place]])
            start = end - int(counts[rows[place]])
            sums[step.slots[start:end]] = sums[before[place]] + np.cumsum(marks[start:end])
