"""The memory behind KV slots: for each attention layer one tensor of keys and one of values."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sglc.backend.attention import scratch_limits
from sglc.backend.attention_plan import Limits
from sglc.backend.work_list import Index
from sglc.errors import EngineError


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one layer keeps of a position, and how many query heads read it."""

    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    dtype: torch.dtype

    @property
    def bytes_per_position(self) -> int:
        """Size of a position's key and value."""
        return self.kv_heads * (self.key_dim + self.value_dim) * self.dtype.itemsize


class KvStore:
    """Keys [kv_heads, slots, key_dim] and values [kv_heads, slots, value_dim] of every layer, on one device.

    Layers make themselves known by their first write; from then on their shapes are fixed. Fresh memory holds
    anything, NaN too: a slot is read only after it was written.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._slots = 0
        self._shapes: dict[object, LayerShape] = {}
        self._memory: dict[object, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def bytes_per_position(self) -> int:
        """Bytes of all layers together that one slot takes."""
        return sum(shape.bytes_per_position for shape in self._shapes.values())

    @property
    def limits(self) -> Limits:
        """The bounds within which attention's scratch memory fits for every layer."""
        limits = [scratch_limits(s.heads, s.kv_heads, s.key_dim, s.value_dim, s.dtype) for s in self._shapes.values()]
        if not limits:
            return Limits()
        return Limits(min(limit.tokens for limit in limits), min(limit.positions for limit in limits))

    @property
    def tensors(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of each layer, in the order of the layers' first writes."""
        return list(self._memory.values())

    def allocate(self, slots: int) -> None:
        """Make room for `slots` positions in every known layer, and forget what was there."""
        self._memory.clear()  # first, so that old and new never lie side by side
        self._slots = slots
        try:
            for layer, shape in self._shapes.items():
                self._memory[layer] = self._reserve(shape)
        except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU's allocator raises it plain
            self._memory.clear()
            size = slots * self.bytes_per_position / 2**30
            raise EngineError(
                f"found too little memory for the KV of {slots:,} tokens; wanted {size:.1f} GiB"
            ) from error

    def write(
        self, layer: object, heads: int, slots: Index, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new keys k [kv_heads, T, D] and values v [kv_heads, T, E]; return all keys and values of the layer."""
        if layer not in self._memory:
            self._shapes[layer] = LayerShape(heads, k.shape[0], k.shape[-1], v.shape[-1], k.dtype)
            self._memory[layer] = self._reserve(self._shapes[layer])
        keys, values = self._memory[layer]
        if isinstance(slots, slice):
            keys[:, slots], values[:, slots] = k, v
        else:
            keys.index_copy_(1, slots, k)
            values.index_copy_(1, slots, v)
        return keys, values

    def _reserve(self, shape: LayerShape) -> tuple[torch.Tensor, torch.Tensor]:
        keys = torch.empty(shape.kv_heads, self._slots, shape.key_dim, dtype=shape.dtype, device=self.device)
        values = torch.empty(shape.kv_heads, self._slots, shape.value_dim, dtype=shape.dtype, device=self.device)
        return keys, values
