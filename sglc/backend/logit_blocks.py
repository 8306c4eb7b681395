"""Logits of more rows than should be in memory at once: computed block by block, when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from sglc.backend.sampler import DenseLogits
from sglc.backend.step import Draws, Ints, TopLogprobs

BLOCK_BYTES = 64 << 20
"""Most bytes of logits held at once."""


def rows_at_once(vocab: int, dtype: torch.dtype) -> int:
    """Return how many rows of logits fit in a block."""
    return max(1, BLOCK_BYTES // (vocab * dtype.itemsize))


class LogitBlocks:
    """Implements `Logits` over hidden states [R, hidden] and the head that turns some of them into logits."""

    def __init__(self, hidden: torch.Tensor, head: Callable[[torch.Tensor], torch.Tensor], size: int) -> None:
        """`head` maps [n, hidden] to [n, vocab]; it is given at most `size` rows."""
        self._hidden = hidden
        self._head = head
        self._size = size

    @property
    def refused(self) -> dict[int, Exception]:
        """No row: this model answers all."""
        return {}

    def draw(self, draws: Draws) -> Ints:
        """Return the token id of each draw [S]."""
        ids = np.empty(len(draws.rows), dtype=np.int64)
        for members, start, logits in self._blocks(draws.rows):
            edits = {place: draws.edits[m] for place, m in enumerate(members.tolist()) if m in draws.edits}
            part = replace(
                draws,
                rows=draws.rows[members] - start,
                temperatures=draws.temperatures[members],
                uniforms=draws.uniforms[members],
                top_ks=draws.top_ks[members],
                top_ps=draws.top_ps[members],
                min_ps=draws.min_ps[members],
                edits=edits,
                drafts={},  # all are drawn; which of them count is seen where they are used
            )
            ids[members] = logits.draw(part)
        return ids

    def logprobs(self, rows: Ints, token_ids: Ints, top: int) -> TopLogprobs:
        """Return the log-probability of `token_ids[i]` at logits row `rows[i]`, and the `top` likeliest there."""
        result = TopLogprobs(
            np.empty(len(rows)), np.empty((len(rows), top), dtype=np.int64), np.empty((len(rows), top))
        )
        for members, start, logits in self._blocks(rows):
            part = logits.logprobs(rows[members] - start, token_ids[members], top)
            result.chosen[members] = part.chosen
            result.top_ids[members] = part.top_ids
            result.top_logprobs[members] = part.top_logprobs
        return result

    def _blocks(self, rows: Ints) -> Iterator[tuple[Ints, int, DenseLogits]]:
        """Yield, for each block that is asked about, the places in `rows`, the block's first row and its logits."""
        for block in np.unique(rows // self._size).tolist():
            start = block * self._size
            logits = self._head(self._hidden[start : start + self._size])
            yield np.flatnonzero(rows // self._size == block), start, DenseLogits(logits)
