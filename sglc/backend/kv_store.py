"""The memory behind KV slots: for each attention layer one tensor of keys and one of values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch

from sglc.backend.attention import LayerMemory, StepAttention
from sglc.backend.attention_plan import Copies, Limits
from sglc.backend.partial_softmax import Scores
from sglc.backend.step import Step
from sglc.backend.work_list import Index
from sglc.errors import EngineError

GATHERED_BYTES = 8 << 20
"""Most KV of a layer that attention copies together at once."""

SHARED_BYTES = 1 << 20
"""Least KV of a layer that reading a prefix once a group, not once a row, must spare: it costs a dozen operations."""

COPIES_SHARE = 1.0
"""Most memory of copies, as a share of the pool's: with it, a full pool whose rows share nothing can be copied."""


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one layer keeps of a position."""

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
        self._memory: dict[object, LayerMemory] = {}
        self._copies: dict[int | None, Copies] = {}
        self._scores = Scores(device)

    @property
    def bytes_per_position(self) -> int:
        """Bytes of all layers together that one slot takes."""
        return sum(shape.bytes_per_position for shape in self._shapes.values())

    @property
    def tensors(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of each layer, in the order of the layers' first writes."""
        return [(memory.keys, memory.values) for memory in self._memory.values()]

    def attention(self, step: Step) -> StepAttention:
        """Return the attention of a step, for layers whose new KV is written as they come to it."""
        return StepAttention(step, self._limits(), self._copies, self._scores, self.device)

    def forget_copies(self) -> None:
        """Forget what rows have beside the pool: after a step that failed it may not be whole."""
        for copies in self._copies.values():
            copies.clear()

    def allocate(self, slots: int) -> None:
        """Make room for `slots` positions in every known layer, and forget what was there."""
        self._memory.clear()  # first, so that old and new never lie side by side
        self._slots = slots
        self._copies = defaultdict(lambda: Copies(self.device, int(slots * COPIES_SHARE)))
        try:
            for layer, shape in self._shapes.items():
                self._memory[layer] = self._reserve(shape)
        except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU's allocator raises it plain
            self._memory.clear()
            size = slots * self.bytes_per_position / 2**30
            raise EngineError(
                f"found too little memory for the KV of {slots:,} tokens; wanted {size:.1f} GiB"
            ) from error

    def write(self, layer: object, slots: Index, k: torch.Tensor, v: torch.Tensor) -> LayerMemory:
        """Store new keys k [T, kv_heads, D] and values v [T, kv_heads, E]; return all that the layer has."""
        memory = self._memory.get(layer)
        if memory is None:
            shape = self._shapes[layer] = LayerShape(k.shape[1], k.shape[-1], v.shape[-1], k.dtype)
            memory = self._memory[layer] = self._reserve(shape)
        if isinstance(slots, slice):
            memory.keys[:, slots], memory.values[:, slots] = k.transpose(0, 1), v.transpose(0, 1)
        else:
            memory.keys.index_copy_(1, slots, k.transpose(0, 1))
            memory.values.index_copy_(1, slots, v.transpose(0, 1))
        return memory

    def _limits(self) -> Limits:
        largest = max((shape.bytes_per_position for shape in self._shapes.values()), default=1)
        return Limits(
            positions=max(128, min(4096, GATHERED_BYTES // largest)),
            saved=max(256, SHARED_BYTES // largest),
            join=SHARED_BYTES // 4 // largest,
        )

    def _reserve(self, shape: LayerShape) -> LayerMemory:
        keys = torch.empty(shape.kv_heads, self._slots, shape.key_dim, dtype=shape.dtype, device=self.device)
        values = torch.empty(shape.kv_heads, self._slots, shape.value_dim, dtype=shape.dtype, device=self.device)
        return LayerMemory(keys, values)
