"""A step's attention over the paged KV: each shared prefix once a group, no padding, parts merged by log-sum-exp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from sglc.backend.attention_plan import Causal, Copies, First, Limits, Piece, Plan, Rectangle, plan_attention
from sglc.backend.kv_copies import LayerCopies
from sglc.backend.partial_softmax import Part, Scores, Scoring, accumulation_type, merge, minus_infinity
from sglc.backend.shared_copies import Shared
from sglc.backend.step import Step
from sglc.backend.suffixes import Suffix
from sglc.backend.work_list import Blocks, Index, at_places

_BLOCK_TOKENS = 128
"""New tokens of a row that attend at once: more would compute more of what the causal mask hides."""


class LayerMemory:
    """What one layer keeps from step to step: keys [H, slots, D], values [H, slots, E], and copies of some of them."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys = keys
        self.values = values
        self.copies = LayerCopies()


class StepAttention:
    """The attention of every layer in one step. Plans are made once and shared by layers of the same window."""

    def __init__(
        self, step: Step, limits: Limits, copies: Mapping[int | None, Copies], scores: Scores, device: torch.device
    ) -> None:
        """`copies` has those of every window that a layer names; None stands for no window."""
        self._step = step
        self._limits = limits
        self._copies = copies
        self._scores = scores
        self._device = device
        self._longest = int(step.context_lengths.max())
        self._plans: dict[int | None, Plan] = {}
        self._hidden: dict[tuple[int, int, int, int | None], torch.Tensor] = {}

    def attend(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        memory: LayerMemory,
        scoring: Scoring,
        window: int | None = None,
    ) -> torch.Tensor:
        """Return the output [T, Hq · E] of queries q [T, Hq, D] over the layer's memory.

        The step's own keys k [T, H, D] and values v [T, H, E] are in the pool already. Query head h reads KV head
        h // (Hq / H). With a window, a token sees the last `window` positions, its own included.
        """
        plan = self._plan(window)
        memory.copies.change(plan.changes, (k, v), (memory.keys, memory.values))
        grouped = q.unflatten(1, (k.shape[1], -1))  # [T, H, G, D]
        if len(plan.alone) == 1 and plan.merged is None and isinstance(plan.alone[0].queries, slice):
            return self._out(plan.alone[0], grouped, memory, scoring).flatten(1)
        out = q.new_empty(*grouped.shape[:3], v.shape[-1])
        for piece in plan.alone:
            _put_one(out, piece.queries, self._out(piece, grouped, memory, scoring))
        if plan.merged is not None:
            merged = self._merged(plan, grouped, memory, scoring)
            _put_one(out, plan.merged, at_places(merged, 0, plan.merged).to(q.dtype))
        return out.flatten(1)

    def _merged(self, plan: Plan, q: torch.Tensor, memory: LayerMemory, scoring: Scoring) -> torch.Tensor:
        """Return the output [T, H, G, E] of the queries that are served by several pieces, nothing for others."""
        dtype = accumulation_type(q.dtype)
        out = torch.empty(*q.shape[:3], memory.values.shape[-1], dtype=dtype, device=q.device)
        mass = torch.empty(q.shape[:3], dtype=dtype, device=q.device)
        if plan.gathered is not None:
            out[plan.gathered], mass[plan.gathered] = 0, -torch.inf
        for first in plan.first:
            _put((out, mass), first.queries, self._part(first, q, memory, scoring))
        for piece in plan.more:
            part = self._part(piece, q, memory, scoring)
            old = at_places(out, 0, piece.queries), at_places(mass, 0, piece.queries)
            merged = merge(old, part)
            if not isinstance(piece.queries, slice):
                _put((out, mass), piece.queries, merged)
        return out

    def _out(self, piece: First, q: torch.Tensor, memory: LayerMemory, scoring: Scoring) -> torch.Tensor:
        """Return what attention over all keys of a piece gives its queries [n, H, G, E]."""
        if isinstance(piece, Suffix):
            rows = at_places(q, 0, piece.queries)
            keys, values = memory.copies.read(piece.bank, slice(0, piece.count))
            out = self._scores.whole(rows.flatten(0, 1), keys, values, scoring, _by_head(piece.hidden, rows.shape[1]))
            return out.view(*rows.shape[:3], -1)
        rows = at_places(q, 0, piece.queries)
        outs = [self._scores.whole(*block[:3], scoring, block[3]) for block in self._blocks(piece, rows, memory)]
        return _by_token(outs, rows.shape[1], rows.shape[2])

    def _part(self, piece: Piece, q: torch.Tensor, memory: LayerMemory, scoring: Scoring) -> Part:
        """Return the part that a piece gives its queries, [n, H, G, E] and [n, H, G]."""
        heads, group = q.shape[1:3]
        if isinstance(piece, Blocks):
            return self._gathered(piece, q, memory, scoring)
        if isinstance(piece, Suffix):
            rows = at_places(q, 0, piece.queries)
            keys, values = memory.copies.read(piece.bank, slice(0, piece.count))
            out, mass = self._scores.part(rows.flatten(0, 1), keys, values, scoring, _by_head(piece.hidden, heads))
            return out.view(*rows.shape[:3], -1), mass.view(rows.shape[:3])
        if isinstance(piece, Shared):
            return self._shared(piece, q, memory, scoring)
        rows = at_places(q, 0, piece.queries)
        parts = [self._scores.part(*block[:3], scoring, block[3]) for block in self._blocks(piece, rows, memory)]
        return _by_token([out for out, _ in parts], heads, group), _by_token([mass for _, mass in parts], heads, group)

    def _blocks(
        self, piece: Causal | Rectangle, q: torch.Tensor, memory: LayerMemory
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]]:
        """Yield queries [rows · H, G · n, D], keys and values [rows · H, K, ...] and what is hidden, block by block."""
        keys, values = at_places(memory.keys, 1, piece.keys), at_places(memory.values, 1, piece.keys)
        if isinstance(piece, Rectangle):
            yield q.permute(1, 2, 0, 3).flatten(1, 2), keys, values, None
            return
        if piece.rows > 1:
            keys, values = (x.unflatten(1, (piece.rows, -1)).transpose(0, 1).flatten(0, 1) for x in (keys, values))
        by_row = q.unflatten(0, (piece.rows, -1)).permute(0, 2, 3, 1, 4).flatten(0, 1)  # [rows · H, G, n, D]
        count, seen = by_row.shape[2], keys.shape[1]
        for first in range(0, count, _BLOCK_TOKENS):
            block = by_row[:, :, first : first + _BLOCK_TOKENS]
            length = block.shape[2]
            stop = seen - count + first + length
            begin = 0 if piece.window is None else max(0, stop - length + 1 - piece.window)
            hidden = self._causal(length, block.shape[1], stop - begin, piece.window)
            yield block.flatten(1, 2), keys[:, begin:stop], values[:, begin:stop], hidden

    def _shared(self, piece: Shared, q: torch.Tensor, memory: LayerMemory, scoring: Scoring) -> Part:
        rows = q.index_select(0, piece.asked).unflatten(0, (piece.seats.stop - piece.seats.start, -1))
        runs, height, heads, group, dim = rows.shape
        keys, values = memory.copies.read(piece.bank, piece.seats)
        asked = rows.permute(0, 2, 3, 1, 4).reshape(runs * heads, group * height, dim)
        out, mass = self._scores.part(asked, keys, values, scoring, _by_head(piece.hidden, heads))
        out = out.view(runs, heads, group, height, -1).permute(0, 3, 1, 2, 4).flatten(0, 1)
        mass = mass.view(runs, heads, group, height).permute(0, 3, 1, 2).flatten(0, 1)
        return (out, mass) if piece.answers is None else (out[piece.answers], mass[piece.answers])

    def _causal(self, count: int, group: int, keys: int, window: int | None) -> torch.Tensor:
        """Return [1, group · count, K'], -inf where a token doesn't see one of the last K' keys, else 0."""
        shown = count if window is None else keys
        name = (count, group, shown, window)
        hidden = self._hidden.get(name)
        if hidden is None:
            query = torch.arange(shown - count, shown, device=self._device)[:, None]
            key = torch.arange(shown, device=self._device)
            hidden = key > query if window is None else (key > query) | (key <= query - window)
            hidden = self._hidden[name] = minus_infinity(hidden).repeat(group, 1)[None]
        return hidden

    def _gathered(self, blocks: Blocks, q: torch.Tensor, memory: LayerMemory, scoring: Scoring) -> Part:
        rows = q[blocks.queries if blocks.owners is None else blocks.queries[blocks.owners]]
        items, heads = rows.shape[:2]
        keys, values = (
            at_places(pool, 1, blocks.keys).unflatten(1, (items, -1)).transpose(0, 1).flatten(0, 1)
            for pool in (memory.keys, memory.values)
        )
        hidden = None
        if blocks.lengths is not None:
            hidden = torch.arange(blocks.width, device=q.device) >= blocks.lengths[:, None]
            hidden = minus_infinity(hidden).repeat_interleave(heads, 0)[:, None]
        out, mass = self._scores.part(rows.flatten(0, 1), keys, values, scoring, hidden)
        out, mass = out.view(*rows.shape[:3], -1), mass.view(rows.shape[:3])
        return (out, mass) if blocks.owners is None else _combine(out, mass, blocks.owners, len(blocks.queries))

    def _plan(self, window: int | None) -> Plan:
        plan = self._plans.get(window)
        if plan is None:
            hides = None if window is None or window >= self._longest else window
            plan = plan_attention(self._step, self._limits, hides, self._copies[window], self._device)
            self._plans[window] = plan
        return plan


def _combine(out: torch.Tensor, mass: torch.Tensor, owners: torch.Tensor, count: int) -> Part:
    """Merge the parts [items, H, G] that belong to the same one of `count` owners: return [count, H, G]."""
    places = owners[:, None, None].expand_as(mass)
    shape = (count, *mass.shape[1:])
    peak = mass.new_full(shape, -torch.inf).scatter_reduce_(0, places, mass, "amax")
    weights = (mass - peak[owners]).exp2_()
    total = mass.new_zeros(shape).index_add_(0, owners, weights)
    summed = out.new_zeros(*shape, out.shape[-1]).index_add_(0, owners, out * weights.unsqueeze(-1))
    return summed.div_(total.unsqueeze(-1)), peak + total.log2()


def _by_head(hidden: torch.Tensor | None, heads: int) -> torch.Tensor | None:
    """Return what is hidden from seats [n, 1, 1, width] as [n · heads, 1, width]."""
    return None if hidden is None else hidden.expand(-1, heads, -1, -1).flatten(0, 1)


def _by_token(blocks: list[torch.Tensor], heads: int, group: int) -> torch.Tensor:
    """Return blocks [rows · H, G · n, ...] of the same rows as one [rows · n, H, G, ...]."""
    apart = [x.view(len(x) // heads, heads, group, x.shape[1] // group, *x.shape[2:]).movedim(3, 1) for x in blocks]
    return (apart[0] if len(apart) == 1 else torch.cat(apart, dim=1)).flatten(0, 1)


def _put_one(x: torch.Tensor, places: Index, values: torch.Tensor) -> None:
    if isinstance(places, slice):
        x[places] = values
    else:
        x.index_copy_(0, places, values)


def _put(x: Part, places: Index, values: Part) -> None:
    for into, part in zip(x, values, strict=True):
        _put_one(into, places, part)
