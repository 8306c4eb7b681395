"""Draws tokens from logits: edits, temperature, filters, and one uniform number a draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sglc.backend.inverse_cdf import inverse_cdf, padded_width
from sglc.backend.narrow_rows import narrow_rows
from sglc.backend.step import Draws, Edits, Ints, TopLogprobs
from sglc.backend.top_tokens import top_tokens
from sglc.backend.work_list import as_tensor

Bools = npt.NDArray[np.bool_]

_CHUNK_BYTES = 8 << 20  # rows worked on at once: a copy that stays in the cache
_NUCLEUS = 256  # likeliest tokens among which top-p looks first
_NUCLEUS_GROWTH = 16  # times as many where these hold too little mass


class DenseLogits:
    """Implements `Logits` over a tensor [R, vocab] of any float type, on any device.

    float64 logits are worked on in float64, all others in float32. The tensor is never changed or copied whole.
    """

    def __init__(self, logits: torch.Tensor, refused: Mapping[int, Exception] | None = None) -> None:
        self._logits = logits
        self._refused = dict(refused or {})
        self._dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        self._at_once = max(1, _CHUNK_BYTES // (self._dtype.itemsize * max(1, logits.shape[1])))

    @property
    def refused(self) -> dict[int, Exception]:
        """Rows of the logits the model can't answer, each with the reason; their sequences fail alone."""
        return self._refused

    def draw(self, draws: Draws) -> Ints:
        """Return the token id of each draw [S]. Raises ValueError for a draw whose edits leave no token.

        Draws of one kind are one batch, and what a draw takes does not depend on the others.
        """
        vocab = self._logits.shape[1]
        ids = np.empty(len(draws.rows), dtype=np.int64)
        greedy = draws.temperatures == 0
        filtered = ~greedy & ((draws.top_ks < vocab) | (draws.top_ps < 1))
        wide = self._draw_masked(draws, greedy, filtered, ids) if draws.edits else np.ones(len(ids), np.bool_)
        for part in _split(np.flatnonzero(greedy & wide), self._at_once):
            ids[part] = _likeliest(self._edited(draws, part), part)
        for part in _split(np.flatnonzero(~greedy & ~filtered & wide), self._at_once):
            filters = _Filters.of(draws, part, self._logits)
            ids[part] = _array(_draw_from_all(_scale(self._edited(draws, part), filters, part), filters))
        for members, count in _by_candidates(draws, np.flatnonzero(filtered), vocab):
            for part in _split(members, self._at_once):
                filters = _Filters.of(draws, part, self._logits)
                ids[part] = _array(_draw_from_top(_scale(self._edited(draws, part), filters, part), filters, count))
        return ids

    def _draw_masked(self, draws: Draws, greedy: Bools, filtered: Bools, ids: Ints) -> Bools:
        """Draw where that does not take the whole of masked rows, but gives the same; return which draws are left."""
        vocab = self._logits.shape[1]
        wide = np.ones(len(ids), np.bool_)
        for narrow in narrow_rows(draws, np.flatnonzero(greedy), vocab, summed=False):
            x = narrow.gather(self._logits, draws.rows, self._dtype)
            ids[narrow.members] = narrow.tokens(_likeliest(x, narrow.members))
            wide[narrow.members] = False
        masked = [member for member in np.flatnonzero(greedy & wide).tolist() if _only_masked(draws.edits.get(member))]
        for part in _split(np.array(masked, np.int64), self._at_once):
            self._draw_unmasked(draws, part, ids, wide)
        if self._logits.device.type != "cpu":  # sums are made in another order there
            return wide
        for narrow in narrow_rows(draws, np.flatnonzero(~greedy & ~filtered), vocab, summed=True):
            filters = _Filters.of(draws, narrow.members, self._logits)
            x = _scale(narrow.gather(self._logits, draws.rows, self._dtype), filters, narrow.members)
            ids[narrow.members] = narrow.tokens(_array(_draw_from_all(x, filters)))
            wide[narrow.members] = False
        return wide

    def _draw_unmasked(self, draws: Draws, part: Ints, ids: Ints, wide: Bools) -> None:
        """Take the likeliest tokens of all where masks allow them: no others are likelier, and masking is dear."""
        x = self._rows(draws.rows[part])
        greatest = x.amax(dim=1, keepdim=True)
        tokens = _first(x, greatest)
        numbers = _array((greatest > -torch.inf).squeeze(1)).tolist()
        for member, token, is_number in zip(part.tolist(), tokens.tolist(), numbers, strict=True):
            allowed = draws.edits[member].allowed
            if is_number and allowed is not None and allowed[token]:
                ids[member], wide[member] = token, False

    def logprobs(self, rows: Ints, token_ids: Ints, top: int) -> TopLogprobs:
        """Return the log-probability of `token_ids[i]` at logits row `rows[i]`, and the `top` likeliest there."""
        distinct, place = np.unique(rows, return_inverse=True)
        total = np.empty(len(distinct))
        best = np.empty((len(distinct), top), dtype=np.int64)
        best_logits = np.empty((len(distinct), top))
        for part in _split(np.arange(len(distinct)), self._at_once):
            x = self._rows(distinct[part])
            total[part] = _array(x.logsumexp(dim=1))
            if top:
                values, ids = top_tokens(x, top)
                best[part], best_logits[part] = _array(ids), _array(values)
        chosen = _array(self._logits[self._index(rows), self._index(token_ids)].to(self._dtype))
        return TopLogprobs(chosen - total[place], best[place], (best_logits - total[:, None])[place])

    def _rows(self, rows: Ints) -> torch.Tensor:
        """Return a copy of some rows, to work on."""
        return self._logits.index_select(0, self._index(rows)).to(self._dtype)

    def _edited(self, draws: Draws, members: Ints) -> torch.Tensor:
        x = self._rows(draws.rows[members])
        edited = [place for place, member in enumerate(members.tolist()) if member in draws.edits]
        if not edited:
            return x
        edits = [draws.edits[int(members[place])] for place in edited]
        for place, edit in zip(edited, edits, strict=True):
            if not edit.only_allowed:
                self._edit(x[place], edit)
        self._mask(x, [(place, edit.allowed) for place, edit in zip(edited, edits, strict=True)])
        return x

    def _mask(self, x: torch.Tensor, masks: Sequence[tuple[int, Bools | None]]) -> None:
        """Take away what masks don't allow, in place: of all rows at once."""
        allowed = [(place, mask) for place, mask in masks if mask is not None]
        if not allowed:
            return
        hidden = np.zeros(x.shape, np.bool_)
        for place, mask in allowed:
            np.logical_not(mask, out=hidden[place])
        x.masked_fill_(torch.from_numpy(hidden).to(x.device), -torch.inf)

    def _edit(self, x: torch.Tensor, edits: Edits) -> None:
        """Change one row in place: penalties on what the model said, then biases, then ids that are forbidden."""
        if edits.seen is not None and edits.repetition_penalty != 1:
            seen = self._index(edits.seen)
            values = x[seen]
            x[seen] = torch.where(values > 0, values / edits.repetition_penalty, values * edits.repetition_penalty)
        if edits.counted is not None:
            ids, counts = edits.counted
            x[self._index(ids)] -= self._amounts(counts * edits.frequency_penalty + edits.presence_penalty)
        if edits.bias is not None:
            ids, amounts = edits.bias
            x[self._index(ids)] += self._amounts(amounts)
        if len(edits.forbidden):
            x[self._index(np.asarray(edits.forbidden, dtype=np.int64))] = -torch.inf

    def _index(self, ids: Ints) -> torch.Tensor:
        return as_tensor(ids, self._logits.device)

    def _amounts(self, amounts: npt.NDArray[np.floating[Any]]) -> torch.Tensor:
        return as_tensor(amounts, self._logits.device).to(self._dtype)


@dataclass(frozen=True, slots=True)
class _Filters:
    """The parameters of n draws as columns [n, 1] beside their logits; uniforms are [n]."""

    temperatures: torch.Tensor
    uniforms: torch.Tensor
    top_ks: torch.Tensor
    top_ps: torch.Tensor
    min_ps: torch.Tensor

    @classmethod
    def of(cls, draws: Draws, members: Ints, logits: torch.Tensor) -> _Filters:
        columns = (draws.temperatures, draws.uniforms, draws.top_ks, draws.top_ps, draws.min_ps)
        temperatures, uniforms, top_ks, top_ps, min_ps = (
            torch.from_numpy(column[members]).to(logits.device) for column in columns
        )
        return cls(temperatures[:, None], uniforms, top_ks[:, None], top_ps[:, None], min_ps[:, None])

    def at(self, rows: torch.Tensor) -> _Filters:
        return _Filters(*(getattr(self, f.name)[rows] for f in fields(self)))


def _only_masked(edits: Edits | None) -> bool:
    return edits is not None and edits.allowed is not None and edits.only_allowed


def _by_candidates(draws: Draws, members: Ints, vocab: int) -> Iterator[tuple[Ints, int]]:
    """Yield draws with the number of likeliest tokens to look at: rounded up to powers of four, for few batches."""
    top_ks = draws.top_ks[members]
    wanted = np.where(top_ks < vocab, top_ks, _NUCLEUS)
    counts = np.minimum(4 ** np.ceil(np.log2(np.maximum(wanted, 16)) / 2).astype(np.int64), vocab)
    for count in np.unique(counts).tolist():
        yield members[counts == count], count


def _draw_from_all(x: torch.Tensor, filters: _Filters) -> torch.Tensor:
    """Return the ids [n] drawn from scaled logits x [n, vocab], which are overwritten; only min-p may apply."""
    weights = x.exp_()
    if bool((filters.min_ps > 0).any()):
        weights.masked_fill_(weights < filters.min_ps, 0)  # the greatest weight is 1
    return _invert(weights, filters.uniforms)


def _draw_from_top(x: torch.Tensor, filters: _Filters, count: int) -> torch.Tensor:
    """Return the ids [n] drawn from the `count` greatest of scaled logits x [n, vocab].

    Where these hold too little mass for a top-p without top-k, more are looked at.
    """
    vocab = x.shape[1]
    scaled, ids = top_tokens(x, count)
    weights = scaled.exp()
    weights.masked_fill_(torch.arange(count, device=x.device) >= filters.top_ks, 0)
    running = weights.cumsum(1, dtype=torch.float64)
    total = running[:, -1:]
    if count < vocab:
        unlimited = filters.top_ks >= vocab
        if bool(unlimited.any()):
            total = torch.where(unlimited, x.exp().sum(1, keepdim=True).to(torch.float64), total)
    wanted = filters.top_ps * total
    weights.masked_fill_((running - weights >= wanted) & (filters.top_ps < 1), 0)
    weights.masked_fill_(weights < filters.min_ps, 0)  # the greatest weight is 1
    ids, order = ids.sort(dim=1)
    drawn = ids.gather(1, _invert(weights.gather(1, order), filters.uniforms)[:, None]).squeeze(1)
    missing = (running[:, -1:] < wanted).squeeze(1).nonzero().squeeze(1)
    if count < vocab and len(missing):
        drawn[missing] = _draw_from_top(x[missing], filters.at(missing), min(vocab, count * _NUCLEUS_GROWTH))
    return drawn


def _likeliest(x: torch.Tensor, members: Ints) -> Ints:
    """Return the id [n] of the greatest of the logits x [n, vocab] of some draws, the first of equals."""
    return _first(x, _greatest(x, members))


def _first(x: torch.Tensor, greatest: torch.Tensor) -> Ints:
    """Return the first id [n] at which logits x [n, vocab] are as great as can be."""
    if x.device.type == "cpu":  # twice as fast as torch's argmax: numpy's stops at the first True
        ids: Ints = x.eq(greatest).numpy().argmax(axis=1)
        return ids
    return _array(x.argmax(dim=1))


def _scale(x: torch.Tensor, filters: _Filters, members: Ints) -> torch.Tensor:
    """Return x, changed in place to the logarithm of each token's weight; the likeliest token has weight 1."""
    return x.sub_(_greatest(x, members)).div_(filters.temperatures.to(x.dtype))


def _greatest(x: torch.Tensor, members: Ints) -> torch.Tensor:
    """Return the greatest [n, 1] of x [n, vocab]. Raises ValueError where one is not a number, or no token is left."""
    greatest = x.amax(dim=1, keepdim=True)
    if bool((greatest > -torch.inf).all()):
        return greatest
    if bool(greatest.isnan().any()):
        raise ValueError("found logits that are not a number; wanted finite ones: the model's numbers overflow")
    member = members[int((greatest == -torch.inf).squeeze(1).to(torch.uint8).argmax())]
    raise ValueError(f"found no token that draw {member} may take; wanted at least one allowed")


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    missing = padded_width(weights.shape[1]) - weights.shape[1]
    return inverse_cdf(torch.nn.functional.pad(weights, (0, missing)) if missing else weights, uniforms)


def _split(members: Ints, size: int) -> Iterator[Ints]:
    return (members[start : start + size] for start in range(0, len(members), size))


def _array(x: torch.Tensor) -> npt.NDArray[Any]:
    return x.cpu().numpy()
