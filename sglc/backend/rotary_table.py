"""Rotary position embeddings, looked up: the angles of a position never change."""

from __future__ import annotations

from typing import Any

import torch

_FIRST_LENGTH = 1024


class RotaryTable:
    """Cosines and sines of all positions so far, as transformers' module computes them."""

    def __init__(self, module: Any, dtype: torch.dtype, device: torch.device, longest: int) -> None:
        """`module` maps (tensor of the dtype, positions [1, n]) to cosines and sines [1, n, D]."""
        self._module = module
        self._dtype = dtype
        self._device = device
        self._longest = longest  # beyond it a module may mean other angles
        self._cos = self._sin = torch.empty(0, 1, 0, dtype=dtype, device=device)

    def at(self, positions: torch.Tensor, greatest: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosines and sines [n, 1, D] of positions [n] up to `greatest`; the sines' first half is negated."""
        if greatest >= len(self._cos):
            self._compute(min(self._longest, max(_FIRST_LENGTH, 2 * greatest)))
        return self._cos.index_select(0, positions), self._sin.index_select(0, positions)

    def _compute(self, length: int) -> None:
        like = torch.empty(0, dtype=self._dtype, device=self._device)
        cos, sin = self._module(like, torch.arange(length, device=self._device)[None])
        self._cos, sin = cos[0].unsqueeze(1).contiguous(), sin[0].unsqueeze(1)
        half = sin.shape[-1] // 2
        self._sin = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate x [n, heads, D] in place by what `RotaryTable.at` returned, and return it.

    It is twice as fast where these are repeated for every head. Products and their sum are rounded one by one, as in
    transformers.
    """
    half = x.shape[-1] // 2
    turned = torch.cat((x[..., half:], x[..., :half]), dim=-1).mul_(sin)
    return x.mul_(cos).add_(turned)
