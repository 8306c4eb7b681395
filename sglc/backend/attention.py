"""A step's attention over the paged KV: each shared prefix once a group, no padding, parts merged by log-sum-exp."""

from __future__ import annotations

import torch

from sglc.backend.attention_plan import Limits, Piece, Rectangle, Tile, Triangle, plan_tiles
from sglc.backend.partial_softmax import Part, Scoring, accumulation_type, dense, rectangle, triangle
from sglc.backend.step import Step
from sglc.backend.work_list import Blocks, Index

SCRATCH_BYTES = 64 << 20
"""Most memory that attention holds beside its inputs, its output and the pool."""


def scratch_limits(heads: int, kv_heads: int, key_dim: int, value_dim: int, dtype: torch.dtype) -> Limits:
    """Return limits that keep a layer of this shape within `SCRATCH_BYTES`: half for queries, a quarter for KV.

    Gathered KV is kept smaller than memory would allow: it is read again at once, while it is still in the cache.
    """
    token = heads * (key_dim * dtype.itemsize + value_dim * (dtype.itemsize + 3 * accumulation_type(dtype).itemsize))
    position = kv_heads * (key_dim + value_dim) * dtype.itemsize + heads * 3 * accumulation_type(dtype).itemsize
    return Limits(
        tokens=max(1, min(4096, SCRATCH_BYTES // 2 // token)),
        positions=max(128, min(8192, SCRATCH_BYTES // 4 // position)),
    )


class StepAttention:
    """The attention of every layer in one step. Plans are made once and shared by layers of the same window."""

    def __init__(self, step: Step, limits: Limits, device: torch.device) -> None:
        self._step = step
        self._limits = limits
        self._device = device
        self._longest = int(step.context_lengths.max())
        self._plans: dict[int | None, tuple[Tile, ...]] = {}

    def attend(
        self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scoring: Scoring, window: int | None = None
    ) -> torch.Tensor:
        """Return the output [T, Hq, E] of queries q [Hq, T, D] over keys [H, slots, D] and values [H, slots, E].

        The step's own keys and values are in the pool already. Query head h reads KV head h // (Hq / H). With a
        window, a token sees the last `window` positions, its own included.
        """
        heads, tokens, _ = q.shape
        grouped = q.unflatten(0, (keys.shape[0], -1))  # [H, G, T, D]
        out = q.new_empty(tokens, heads, values.shape[-1])
        for tile in self._plan(window):
            merged = _Merged(grouped[:, :, tile.start : tile.stop], values)
            for piece in tile.pieces:
                merged.add(piece, keys, values, scoring)
            out[tile.start : tile.stop] = merged.out.flatten(0, 1).transpose(0, 1)
        return out

    def _plan(self, window: int | None) -> tuple[Tile, ...]:
        if window is not None and window >= self._longest:
            window = None  # it hides nothing
        plan = self._plans.get(window)
        if plan is None:
            plan = self._plans[window] = plan_tiles(self._step, self._limits, window, self._device)
        return plan


class _Merged:
    """The parts of a tile so far: `out` [H, G, tokens, E] and its log-sum-exp, in the accumulation type."""

    def __init__(self, q: torch.Tensor, values: torch.Tensor) -> None:
        dtype = accumulation_type(q.dtype)
        self._q = q
        self.out = torch.zeros(*q.shape[:-1], values.shape[-1], dtype=dtype, device=q.device)
        self._lse = torch.full(q.shape[:-1], -torch.inf, dtype=dtype, device=q.device)

    def add(self, piece: Piece, keys: torch.Tensor, values: torch.Tensor, scoring: Scoring) -> None:
        """Compute a piece and merge it in."""
        q = _take(self._q, 2, piece.queries)
        k, v = _take(keys, 1, piece.keys), _take(values, 1, piece.keys)
        match piece:
            case Triangle(queries, _, window):  # the first of its queries' pieces
                self.out[:, :, queries], self._lse[:, :, queries] = triangle(q, k, v, scoring, window)
            case Rectangle(queries):
                self._merge(queries, rectangle(q, k, v, scoring))
            case Blocks(queries):
                self._merge(queries, _blocks(q, k, v, scoring, piece))

    def _merge(self, queries: Index, part: Part) -> None:
        """Merge a part in which every query occurs once."""
        out, old, new = _take(self.out, 2, queries), _take(self._lse, 2, queries), part[1]
        lse = torch.logaddexp(old, new)
        out.mul_((old - lse).exp_().unsqueeze(-1)).addcmul_(part[0].to(out.dtype), (new - lse).exp_().unsqueeze(-1))
        if isinstance(queries, slice):
            old.copy_(lse)  # `out` and `old` are views
        else:
            self.out.index_copy_(2, queries, out)
            self._lse.index_copy_(2, queries, lse)


def _blocks(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring, blocks: Blocks) -> Part:
    """Return the parts of a work list's queries q [H, G, n, D] over k and v [H, items · width, D]."""
    if blocks.owners is not None:
        q = q.index_select(2, blocks.owners)
    heads, group, items, _ = q.shape
    rows = q.transpose(1, 2).reshape(heads * items, group, -1)
    k, v = (x.reshape(heads * items, blocks.width, -1) for x in (k, v))
    hidden = None
    if blocks.lengths is not None:
        beyond = torch.arange(blocks.width, device=q.device) >= blocks.lengths[:, None]
        hidden = beyond.repeat(heads, 1).unsqueeze(1)  # [H · items, 1, width]
    out, lse = dense(rows, k, v, scoring, hidden)
    out, lse = out.view(heads, items, group, -1).transpose(1, 2), lse.view(heads, items, group).transpose(1, 2)
    return (out, lse) if blocks.owners is None else _combine(out, lse, blocks.owners, len(blocks.queries))


def _combine(out: torch.Tensor, lse: torch.Tensor, owners: torch.Tensor, count: int) -> Part:
    """Merge the parts [H, G, items] that belong to the same one of `count` owners: return [H, G, count]."""
    shape = (*lse.shape[:2], count)
    peak = lse.new_full(shape, -torch.inf).scatter_reduce_(2, owners.expand_as(lse), lse, "amax")
    weights = (lse - peak.index_select(2, owners)).exp_()
    total = lse.new_zeros(shape).index_add_(2, owners, weights)
    summed = lse.new_zeros(*shape, out.shape[-1]).index_add_(2, owners, out.to(lse.dtype) * weights.unsqueeze(-1))
    return summed.div_(total.unsqueeze(-1)), peak + total.log()


def _take(x: torch.Tensor, dim: int, places: Index) -> torch.Tensor:
    """Return x at these places of one dimension: a view of consecutive ones, a copy of others."""
    if isinstance(places, slice):
        return x.narrow(dim, places.start, places.stop - places.start)
    return x.index_select(dim, places)
