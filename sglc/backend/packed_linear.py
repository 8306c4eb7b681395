"""Linear projections whose weights lie as oneDNN wants them: on a CPU, with torch's private operations.

They are wrapped here and nowhere else. Where torch has none of them, or the processor no bfloat16, a projection is
torch's own, and gives the same result within rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import linear

FEWEST_ROWS = 4
"""Rows that cost oneDNN no more than one: 7.8 ms against 10.0 for one row, over 200 MB of weights on 2 Zen 4 cores."""


class Linear:
    """x [n, in] → [n, out], without a copy of the weights beside the one it holds."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None, *, pack: bool = True) -> None:
        """Take a weight [out, in]; with `pack` it is laid out anew where that is faster, and the given one is free."""
        self._bias = None if bias is None else bias.detach()
        self._packed = pack and can_pack(weight)
        weight = weight.detach()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None) if self._packed else weight

    @classmethod
    def fused(cls, parts: Sequence[torch.nn.Linear]) -> Linear:
        """Return the projection to all of what the parts project to, one behind the other."""
        biases = [part.bias for part in parts]
        bias = None if all(b is None for b in biases) else torch.cat([_bias(part) for part in parts])
        return cls(torch.cat([part.weight for part in parts]), bias)

    @property
    def fewest_rows(self) -> int:
        """Rows below which more of them cost nothing."""
        return FEWEST_ROWS if self._packed else 1

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Project x [n, in], contiguous."""
        if not self._packed:
            return linear(x, self._weight, self._bias)
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return out


def can_pack(weight: torch.Tensor) -> bool:
    """Whether oneDNN takes such weights, and is faster with a layout of its own: up to twice for float32, too."""
    if weight.device.type != "cpu" or not _has_operations():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


def _has_operations() -> bool:
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


def _bias(part: torch.nn.Linear) -> torch.Tensor:
    return part.weight.new_zeros(part.out_features) if part.bias is None else part.bias
