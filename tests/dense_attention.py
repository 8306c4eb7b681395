"""Attention as it is defined, in float64, and steps made of slot tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sglc.backend.partial_softmax import Scoring
from sglc.backend.step import SCRATCH_SLOT, Ints, Step

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 0.1}
"""Greatest difference from the definition, where keys, values and queries are about 1."""


@dataclass(frozen=True, slots=True)
class RowWork:
    """The last `new` positions of a table are computed, the first `again` of them only for their logits."""

    table: Ints
    new: int = 1
    number: int | None = None
    again: int = 0


def make_step(rows: Sequence[RowWork]) -> Step:
    """Return the step of some rows, either all with a number or none; all logits are wanted."""
    lengths = np.array([row.new for row in rows])
    contexts = np.array([len(row.table) for row in rows])
    slots = [row.table[len(row.table) - row.new :].copy() for row in rows]
    for row, run in zip(rows, slots, strict=True):
        run[: row.again] = SCRATCH_SLOT
    numbers = [row.number for row in rows if row.number is not None]
    return Step(
        token_ids=np.zeros(lengths.sum(), dtype=np.int64),
        positions=np.concatenate([np.arange(c - n, c) for c, n in zip(contexts, lengths, strict=True)]),
        slots=np.concatenate(slots),
        lengths=lengths,
        context_lengths=contexts,
        tables=[row.table for row in rows],
        logit_rows=np.arange(lengths.sum()),
        rows=np.array(numbers) if numbers else None,
    )


def dense_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring, window: int | None = None
) -> torch.Tensor:
    """Return the attention [n, Hq · E] of q [n, Hq, D], a row's last tokens, over its k [C, H, D] and v [C, H, E]."""
    q, k, v = q.double().unflatten(1, (k.shape[1], -1)), k.double(), v.double()
    scores = torch.einsum("nhgd,chd->hgnc", q, k) * scoring.scaling
    if scoring.softcap is not None:
        scores = torch.tanh(scores / scoring.softcap) * scoring.softcap
    key = torch.arange(len(k))
    query = key[len(k) - len(q) :, None]
    seen = key <= query if window is None else (key <= query) & (key > query - window)
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return torch.einsum("hgnc,che->nhge", weights, v).flatten(1)
