"""The least engine: sequences with slot tables over a model, advanced together by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sglc.backend.model import TransformersModel
from sglc.backend.step import SCRATCH_SLOT, Floats, Ints, Logits, Step


class Driver:
    """Sequences whose next tokens are computed when asked for, in scattered slots that hold NaN before."""

    def __init__(self, served: TransformersModel, *, slots: int = 1500, numbered: bool = True) -> None:
        """With `numbered` a sequence is known in several steps."""
        self.model = served
        self.numbered = numbered
        self.tokens: list[list[int]] = []
        self.tables: list[list[int]] = []
        self._free: list[int] = np.random.default_rng(0).permutation(np.arange(1, slots)).tolist()
        served.allocate(slots)
        for keys, values in served.kv:
            keys.fill_(torch.nan)
            values.fill_(torch.nan)

    def add(self, tokens: Sequence[int], like: int | None = None, shared: int = 0) -> int:
        """Add a sequence whose first `shared` positions lie where those of sequence `like` do."""
        self.tokens.append(list(tokens))
        self.tables.append([] if like is None else self.tables[like][:shared])
        return len(self.tokens) - 1

    def step(self, counts: dict[int, int], *, again: bool = False, logit_rows: Sequence[int] | None = None) -> Logits:
        """Compute the next `counts[i]` tokens of sequence i, or `again` the last ones, and all logits or some rows."""
        ids, positions, slots, tables = [], [], [], []
        for sequence, count in counts.items():
            table = self.tables[sequence]
            if not again:
                table.extend(self._free.pop() for _ in range(count))
            at = np.arange(len(table) - count, len(table))
            ids.append(np.array(self.tokens[sequence])[at])
            positions.append(at)
            slots.append(np.full(count, SCRATCH_SLOT) if again else np.array(table)[at])
            tables.append(np.array(table))
        total = sum(counts.values())
        step = Step(
            token_ids=np.concatenate(ids),
            positions=np.concatenate(positions),
            slots=np.concatenate(slots),
            lengths=np.array(list(counts.values())),
            context_lengths=np.array([len(table) for table in tables]),
            tables=tables,
            logit_rows=np.arange(total) if logit_rows is None else np.array(logit_rows, dtype=np.int64),
            rows=np.array(list(counts)) if self.numbered else None,
        )
        return self.model.forward(step)


def all_logprobs(logits: Logits, rows: int, vocab: int) -> Floats:
    """Return the log-probability of every token [rows, vocab], in id order."""
    places: Ints = np.arange(rows)
    found = logits.logprobs(places, np.zeros_like(places), vocab)
    order = found.top_ids.argsort(axis=1)
    result: Floats = np.take_along_axis(found.top_logprobs, order, axis=1)
    return result
