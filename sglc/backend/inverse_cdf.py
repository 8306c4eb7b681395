"""Draws an index from unnormalised probabilities with one uniform number."""

from __future__ import annotations

import torch

BLOCK = 256  # probabilities summed before the running sum: a row's running sum is never written out


def padded_width(n: int) -> int:
    """Return the width that `inverse_cdf` wants for rows of n probabilities."""
    return n if n <= BLOCK else -(-n // BLOCK) * BLOCK


def inverse_cdf(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Return, for each row of weights [S, padded width], the first index at which their running sum exceeds u · total.

    Weights are ≥ 0 and not all 0, padding is 0, uniforms [S] are float64 in [0, 1). Running sums are float64, and
    an index of weight 0 is never returned. A row's answer does not depend on the other rows.
    """
    if weights.shape[1] <= BLOCK:
        running = weights.cumsum(1, dtype=torch.float64)
        return _first_above(running, weights, uniforms * running[:, -1])
    blocks = weights.unflatten(1, (-1, BLOCK))
    sums = blocks.sum(dim=2)
    running = sums.cumsum(1, dtype=torch.float64)
    target = uniforms * running[:, -1]
    block = _first_above(running, sums, target)
    chosen = blocks[torch.arange(len(block), device=block.device), block]
    before = running.gather(1, block[:, None]).squeeze(1) - sums.gather(1, block[:, None]).squeeze(1)
    return block * BLOCK + _first_above(chosen.cumsum(1, dtype=torch.float64), chosen, target - before)


def _first_above(running: torch.Tensor, weights: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the first index whose running sum exceeds the target, else (by rounding) the last of positive weight."""
    index = torch.searchsorted(running, target[:, None], right=True).squeeze(1)
    positive = weights > 0
    last = weights.shape[1] - 1 - positive.flip(1).to(torch.uint8).argmax(dim=1)
    index = torch.minimum(index, last)
    first = positive.to(torch.uint8).argmax(dim=1)
    return torch.maximum(index, first)
