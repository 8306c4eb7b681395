"""The greatest entries of each row, ties in id order, without sorting the row."""

from __future__ import annotations

from math import isqrt

import torch

_SORT_AT_ONCE = 512  # rows this short are sorted outright


def top_tokens(x: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k greatest values of each row of x [S, n] and their ids, both [S, k]; k ≤ n, no NaN in x.

    Greatest first, the lower id first among equals (which `torch.topk` does not promise). A row is cut into
    blocks; the k blocks with the greatest maxima hold the k greatest entries: any other block's are beaten by
    k entries that are greater, or equal and of lower id. So one pass over the row and a small search remain.
    """
    n = x.shape[1]
    width = isqrt(n // k)
    if n <= _SORT_AT_ONCE or width < 4:
        values, ids = x.sort(dim=1, descending=True, stable=True)
        return values[:, :k], ids[:, :k]
    _, blocks = top_tokens(_block_maxima(x, width), k)
    blocks = blocks.sort(dim=1).values  # candidates stay in id order
    ids = (blocks.unsqueeze(2) * width + torch.arange(width, device=x.device)).flatten(1)
    candidates = x.gather(1, ids.clamp(max=n - 1))
    candidates.masked_fill_(ids >= n, -torch.inf)  # the end of a short last block, behind all real entries
    values, places = top_tokens(candidates, k)
    return values, ids.gather(1, places)


def _block_maxima(x: torch.Tensor, width: int) -> torch.Tensor:
    """Return the maximum of every `width` entries of a row; the last block may be shorter."""
    whole = x.shape[1] // width * width
    maxima: torch.Tensor = x[:, :whole].unflatten(1, (-1, width)).amax(dim=2)
    if whole == x.shape[1]:
        return maxima
    return torch.cat([maxima, x[:, whole:].amax(dim=1, keepdim=True)], dim=1)
