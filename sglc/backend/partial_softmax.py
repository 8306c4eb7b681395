"""Attention over all keys, or over a part of them with the log-sum-exp that lets parts be merged into the whole.

For scores s = scaling · q·k (softly capped where asked), a part is out = Σ exp(s - lse) v with lse = log Σ exp(s);
two parts merge as out = Σ exp(lse_i - lse) out_i with lse = log Σ exp(lse_i). Logarithms are to the base 2 here:
torch's exp2 takes a third of the time of its exp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from sglc.kernels.cpu_attention import CpuAttention, cpu_attention

Part = tuple[torch.Tensor, torch.Tensor]
"""(out, lse) of some queries, lse to the base 2; both have the accumulation type."""

SCORE_BYTES = 4 << 20
"""Memory of the scores held at once: they are read several times, and stay in the cache while it is no more."""

_FLASH_ROWS = 64
"""Most queries for which copying the keys costs more than torch's flash attention, which is slower but copies none."""

_LOG2_E = 1 / math.log(2)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a layer turns a product of query and key into a score."""

    scaling: float
    softcap: float | None = None


def accumulation_type(dtype: torch.dtype) -> torch.dtype:
    """Return the type that softmax and merging use: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class Scores:
    """Attention as matrix products over one piece of memory, kept from call to call: fresh pages cost more than sums.

    `hidden` [N or 1, M or 1, K'], where given, is -inf where a query doesn't see one of the last K' keys, else 0; it is
    added, which takes a quarter of the time that filling in does. Each query
    must see a key. Products run in the type of the inputs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._memory: dict[torch.dtype, torch.Tensor] = {}

    def whole(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring, hidden: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the attention [N, M, E] of q [N, M, D] over k [N, K, D] and v [N, K, E], in the type of q."""
        if (kernel := _kernel(q, k, v, scoring)) is not None:
            return kernel.whole(q, k, v, scoring.scaling, hidden)
        if hidden is None and _flash_pays(q, k, v, scoring):
            return _flash(q, k, v, scoring)[0]
        done: list[list[torch.Tensor]] = []
        for items, rows in _blocks(q, k):
            scores = self._scores(q[items, rows], k[items], scoring, 1.0)
            if hidden is not None:
                scores[..., -hidden.shape[-1] :].add_(_block(hidden, items, rows).to(scores.dtype))
            out = torch.bmm(torch.softmax(scores, -1), v[items])
            done.append([out]) if rows.start == 0 else done[-1].append(out)
        return _joined(done)

    def part(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring, hidden: torch.Tensor | None = None
    ) -> Part:
        """Return the part ([N, M, E], [N, M]) of q [N, M, D] over k [N, K, D] and v [N, K, E]."""
        if (kernel := _kernel(q, k, v, scoring)) is not None:
            return kernel.part(q, k, v, scoring.scaling, hidden)
        if hidden is None and _flash_pays(q, k, v, scoring):
            out, lse = _flash(q, k, v, scoring)
            return out.to(lse.dtype), lse.mul_(_LOG2_E)
        outs: list[list[torch.Tensor]] = []
        masses: list[list[torch.Tensor]] = []
        for items, rows in _blocks(q, k):
            scores = self._scores(q[items, rows], k[items], scoring, _LOG2_E)
            weights = self._wide(scores, None if hidden is None else _block(hidden, items, rows))
            peak = weights.amax(dim=-1, keepdim=True)
            total = weights.sub_(peak).exp2_().sum(dim=-1, keepdim=True)
            if weights is not scores:
                scores.copy_(weights)
            out = torch.bmm(scores, v[items]) / total
            mass = peak.add_(total.log2_()).squeeze(-1)
            if rows.start == 0:
                outs.append([out])
                masses.append([mass])
            else:
                outs[-1].append(out)
                masses[-1].append(mass)
        return _joined(outs), _joined(masses)

    def _scores(self, q: torch.Tensor, k: torch.Tensor, scoring: Scoring, unit: float) -> torch.Tensor:
        """Return unit · score [n, m, K], in memory that the next call takes back."""
        shape = (q.shape[0], q.shape[1], k.shape[1])
        out = self._take(shape, q.dtype)
        if scoring.softcap is None:
            return torch.baddbmm(out, q, k.transpose(1, 2), beta=0, alpha=scoring.scaling * unit, out=out)
        torch.baddbmm(out, q, k.transpose(1, 2), beta=0, alpha=scoring.scaling / scoring.softcap, out=out)
        return out.tanh_().mul_(scoring.softcap * unit)

    def _wide(self, scores: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        """Return the scores in the accumulation type, -inf where they are hidden: themselves, or a copy."""
        dtype = accumulation_type(scores.dtype)
        wide = scores if scores.dtype == dtype else self._take(tuple(scores.shape), dtype)
        if hidden is None:
            return wide if wide is scores else wide.copy_(scores)
        seen = scores.shape[-1] - hidden.shape[-1]
        if wide is not scores:
            wide[..., :seen] = scores[..., :seen]
        torch.add(scores[..., seen:], hidden, out=wide[..., seen:])
        return wide

    def _take(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        size = math.prod(shape)
        memory = self._memory.get(dtype)
        if memory is None or len(memory) < size:
            memory = self._memory[dtype] = torch.empty(size, dtype=dtype, device=self._device)
        return memory[:size].view(shape)


def minus_infinity(hidden: torch.Tensor) -> torch.Tensor:
    """Return what to add to scores for hiding those where `hidden` is True."""
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, -torch.inf)


def merge(old: Part, new: Part) -> Part:
    """Return the merged part of the same queries over the keys of both; `old` is overwritten."""
    out, mass = old
    weight = (new[1] - mass).mul_(math.log(2)).sigmoid_()
    return out.lerp_(new[0], weight.unsqueeze(-1)), torch.logaddexp2(mass, new[1], out=mass)


def _kernel(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring) -> CpuAttention | None:
    """Return the kernel that computes these inputs, if there is one."""
    return cpu_attention() if scoring.softcap is None and CpuAttention.takes(q, k, v) else None


def _flash_pays(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring) -> bool:
    """Whether torch's CPU kernel is faster: for few queries of keys that a batched product would copy to make dense."""
    return (
        q.device.type == "cpu"
        and q.shape[1] <= _FLASH_ROWS
        and not k.is_contiguous()
        and scoring.softcap is None
        and k.shape[-1] == v.shape[-1]
    )


def _flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring) -> Part:
    """Return the part ([N, M, E], [N, M]) by a private operation of torch; out has the type of q, lse the base e."""
    out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q[None], k[None], v[None], 0.0, False, scale=scoring.scaling
    )
    return out[0], lse[0]


def _blocks(q: torch.Tensor, k: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield places in N and M, N's first, so that the scores of each block have a fitting size."""
    items, rows = q.shape[:2]
    fit = max(1, SCORE_BYTES // (k.shape[1] * accumulation_type(q.dtype).itemsize))
    if items * rows <= fit:
        yield slice(0, items), slice(0, rows)
        return
    height = min(rows, max(16, fit // items))
    width = max(1, fit // height)
    for item in range(0, items, width):
        for row in range(0, rows, height):
            yield slice(item, item + width), slice(row, row + height)


def _block(hidden: torch.Tensor, items: slice, rows: slice) -> torch.Tensor:
    return hidden[items if len(hidden) > 1 else slice(None), rows if hidden.shape[1] > 1 else slice(None)]


def _joined(blocks: list[list[torch.Tensor]]) -> torch.Tensor:
    joined = [row[0] if len(row) == 1 else torch.cat(row, dim=1) for row in blocks]
    return joined[0] if len(joined) == 1 else torch.cat(joined)
