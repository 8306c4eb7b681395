"""Attention over a part of the keys, with the log-sum-exp that lets parts be merged into the whole.

For scores s = scaling · q·k (softly capped where asked), a part is out = Σ exp(s - lse) v with lse = log Σ exp(s);
two parts merge as out = Σ exp(lse_i - lse) out_i with lse = log Σ exp(lse_i).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

Part = tuple[torch.Tensor, torch.Tensor]
"""(out, lse) of some queries."""

_SCORE_BYTES = 16 << 20  # scores held at once by the dense path


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a layer turns a product of query and key into a score."""

    scaling: float
    softcap: float | None = None


def accumulation_type(dtype: torch.dtype) -> torch.dtype:
    """Return the type that softmax and merging use: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def dense(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring, hidden: torch.Tensor | None = None
) -> Part:
    """Return the part of queries q [N, M, D] over keys k [N, K, D] and values v [N, K, E]: ([N, M, E], [N, M]).

    `hidden`, a bool tensor that broadcasts to [N, M, K], is True where a query doesn't see a key; each must see one.
    The log-sum-exp has the accumulation type; products run in the type of the inputs.
    """
    scores = torch.bmm(q, k.transpose(1, 2)).to(accumulation_type(q.dtype))
    scores *= scoring.scaling
    if scoring.softcap is not None:
        scores.div_(scoring.softcap).tanh_().mul_(scoring.softcap)
    if hidden is not None:
        scores.masked_fill_(hidden, -torch.inf)
    peak = scores.amax(dim=-1, keepdim=True)
    weights = scores.sub_(peak).exp_()
    total = weights.sum(dim=-1, keepdim=True)
    lse = (peak + total.log()).squeeze(-1)
    return torch.bmm(weights.div_(total).to(v.dtype), v), lse


def flash_usable(q: torch.Tensor, v: torch.Tensor, scoring: Scoring) -> bool:
    """Whether PyTorch's CPU kernel, which holds no scores, can take this layer."""
    return (
        q.device.type == "cpu"
        and scoring.softcap is None
        and q.shape[-1] == v.shape[-1]
        and q.dtype in (torch.float64, torch.float32, torch.bfloat16)
    )


def rectangle(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring) -> Part:
    """Return the part of q [H, G, M, D] over all of k [H, K, D], v [H, K, E]: ([H, G, M, E], [H, G, M])."""
    heads, group, count, _ = q.shape
    rows = q.reshape(heads, group * count, -1)
    if flash_usable(q, v, scoring):
        out, lse = _flash(rows[None], k[None], v[None], scoring, causal=False)
    else:
        size = _rows_at_once(heads, k.shape[1])
        parts = [dense(some, k, v, scoring) for some in rows.split(size, dim=1)]
        out, lse = torch.cat([o for o, _ in parts], dim=1), torch.cat([s for _, s in parts], dim=1)
    return out.view(heads, group, count, -1), lse.view(heads, group, count)


def triangle(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring, window: int | None = None) -> Part:
    """Return the part of q [H, G, M, D] over k [H, K, D], v [H, K, E]: ([H, G, M, E], [H, G, M]).

    Query i is at position K - M + i of the keys and sees those up to its own, the last `window` of them.
    """
    heads, group, count, _ = q.shape
    total = k.shape[1]
    if flash_usable(q, v, scoring):
        keys, values = (x.unsqueeze(1).expand(heads, group, total, -1) for x in (k, v))
        if window is None and count == total:
            return _flash(q, keys, values, scoring, causal=True)
        mask = torch.zeros(count, total, dtype=q.dtype, device=q.device)
        mask.masked_fill_(_hidden(0, count, count, total, window, q.device), -torch.inf)
        return _flash(q, keys, values, scoring, causal=False, mask=mask[None, None])
    parts = []
    size = max(1, _rows_at_once(heads, total) // group)
    for start in range(0, count, size):
        some = q[:, :, start : start + size]
        length = some.shape[2]
        hidden = _hidden(start, length, count, total, window, q.device).repeat(group, 1)
        out, lse = dense(some.reshape(heads, group * length, -1), k, v, scoring, hidden)
        parts.append((out.view(heads, group, length, -1), lse.view(heads, group, length)))
    return torch.cat([o for o, _ in parts], dim=2), torch.cat([s for _, s in parts], dim=2)


def _hidden(start: int, length: int, count: int, total: int, window: int | None, device: torch.device) -> torch.Tensor:
    """Return [length, total], True where query start + i of `count` doesn't see a key."""
    query = torch.arange(total - count + start, total - count + start + length, device=device)[:, None]
    key = torch.arange(total, device=device)
    hidden = key > query
    return hidden if window is None else hidden | (key <= query - window)


def _rows_at_once(heads: int, keys: int) -> int:
    """Return how many query rows a head may have for their scores to fit."""
    return max(1, _SCORE_BYTES // (heads * keys * 16))


def _flash(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scoring: Scoring,
    *,
    causal: bool,
    mask: torch.Tensor | None = None,
) -> Part:
    """Return the part of q [B, H, M, D] over k, v [B, H, K, D]: ([B, H, M, D], [B, H, M])."""
    out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, causal, attn_mask=mask, scale=scoring.scaling
    )
    return out, lse
