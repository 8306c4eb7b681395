"""The logits of the replay models: defined for every token, computed only where somebody looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sglc.backend.step import Draws, Floats, Ints, TopLogprobs

if TYPE_CHECKING:
    from sglc.backend.sampler import DenseLogits

Hashes = npt.NDArray[np.uint64]

LIKELY = 8
"""Tokens of each context that stand out."""

_RESIDUES = 32
_FLOOR, _SPREAD, _HEIGHT, _FAVOURITE = -20.0, 4.0, 6.0, 14.0
_ONE_END_IN = 24


def mix(x: Hashes) -> Hashes:
    """Return a well-mixed 64-bit hash of each number (the finalizer of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class HashLogits:
    """Logits [R, vocab]: `LIKELY` tokens by hash at up to 6, a favourite at 14, the rest near -20.

    What the rest gets depends on (token + context) mod 32 alone, so that the normalizer and the greatest token are
    known without looking at the vocabulary: a row costs the same for 300 tokens as for 200,000.
    """

    def __init__(
        self,
        contexts: Hashes,
        vocab_size: int,
        eos_id: int | None,
        favourites: Mapping[int, int],
        refused: Mapping[int, Exception] | None = None,
    ) -> None:
        self._contexts = contexts
        self._vocab_size = vocab_size
        self.refused: dict[int, Exception] = dict(refused or {})
        seeds = mix(contexts[:, None] + np.arange(1, LIKELY + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        ids = (seeds % np.uint64(vocab_size)).astype(np.int64)
        values = (seeds >> np.uint64(40)).astype(np.float64) * (_HEIGHT / 2**24)
        if eos_id is not None:
            ending = contexts % np.uint64(_ONE_END_IN) == 0
            ids[ending, 0] = eos_id
            values[ending, 0] = _HEIGHT + 1.0
        for row, token_id in favourites.items():
            ids[row, 0] = token_id
            values[row, 0] = _FAVOURITE
        order = np.argsort(ids, axis=1, kind="stable")
        self._ids: Ints = np.take_along_axis(ids, order, 1)
        values = np.take_along_axis(values, order, 1)
        for column in range(1, LIKELY):  # one value per id: where a hash hit an id twice, the greater
            twice = self._ids[:, column] == self._ids[:, column - 1]
            values[twice, column] = np.maximum(values[twice, column], values[twice, column - 1])
            values[twice, column - 1] = -np.inf
        self._values: Floats = values

    def rest(self, rows: Ints, token_ids: Ints) -> Floats:
        """Return the logits that tokens have when they do not stand out."""
        residues = (token_ids.astype(np.uint64) + self._contexts[rows]) % np.uint64(_RESIDUES)
        return _FLOOR - residues.astype(np.float64) * (_SPREAD / _RESIDUES)

    def dense(self, row: int) -> Floats:
        """Return one whole row: the definition that everything else here computes in part."""
        out = self.rest(np.full(self._vocab_size, row), np.arange(self._vocab_size))
        for token_id, value in zip(self._ids[row].tolist(), self._values[row].tolist(), strict=True):
            if value > -np.inf:
                out[token_id] = value
        return out

    def draw(self, draws: Draws) -> Ints:
        """Draw as `Draws` says; greedy and plain sampling without looking at the vocabulary."""
        plain = (draws.top_ks >= self._vocab_size) & (draws.top_ps >= 1.0) & (draws.min_ps <= 0.0)
        if draws.edits:
            plain[list(draws.edits)] = False
        greedy = draws.temperatures == 0.0
        ids, values = self._ids[draws.rows], self._values[draws.rows]
        best = np.take_along_axis(ids, values.argmax(1)[:, None], 1)[:, 0]
        easy = greedy if not draws.edits else greedy & plain
        if easy.all():
            return best
        tokens = np.where(easy, best, -1)
        sampled = np.flatnonzero(plain & ~greedy)
        if len(sampled):
            tokens[sampled] = self._sample(draws, sampled, ids[sampled], values[sampled])
        hard = np.flatnonzero(tokens < 0)
        if len(hard):
            tokens[hard] = self._dense_draw(draws, hard)
        return tokens

    def _sample(self, draws: Draws, which: Ints, ids: Ints, values: Floats) -> Ints:
        """Return plain draws by inverse CDF, -1 where one falls among the tokens that do not stand out."""
        rows, temperatures = draws.rows[which], draws.temperatures[which][:, None]
        greatest = values.max(1, keepdims=True)  # taken off before exp: any temperature is fine
        weights = np.exp((values - greatest) / temperatures)
        below = self._rest_below(rows, ids, temperatures, greatest)
        displaced = np.exp((self.rest(rows[:, None], ids) - greatest) / temperatures) * (values > -np.inf)
        whole = np.full((len(rows), 1), self._vocab_size)
        total_rest = self._rest_below(rows, whole, temperatures, greatest)[:, 0]
        mass = weights.cumsum(1)
        gone = displaced.cumsum(1)
        upper = below - (gone - displaced) + mass
        target = draws.uniforms[which] * (total_rest - gone[:, -1] + mass[:, -1])
        hit = (target[:, None] < upper) & (target[:, None] >= upper - weights)
        first = hit.argmax(1)
        return np.where(hit.any(1), np.take_along_axis(ids, first[:, None], 1)[:, 0], -1)

    def _rest_below(self, rows: Ints, ids: Ints, temperatures: Floats, unit: Floats) -> Floats:
        """Return the mass of all ids below each of `ids` [S, K], were none to stand out, in units of exp(unit / T)."""
        heights = _FLOOR - np.arange(_RESIDUES) * (_SPREAD / _RESIDUES)
        levels = np.exp((heights - unit) / temperatures)  # [S, residues]
        doubled = np.concatenate([np.zeros((len(levels), 1)), np.tile(levels, 2).cumsum(1)], 1)
        first = (self._contexts[rows] % np.uint64(_RESIDUES)).astype(np.int64)[:, None]
        whole, part = ids // _RESIDUES, ids % _RESIDUES
        partial = np.take_along_axis(doubled, first + part, 1) - np.take_along_axis(doubled, first, 1)
        below: Floats = whole * levels.sum(1, keepdims=True) + partial
        return below

    def _dense_draw(self, draws: Draws, which: Ints) -> Ints:
        dense = self._dense(draws.rows[which])
        return dense.draw(
            Draws(
                rows=np.arange(len(which)),
                temperatures=draws.temperatures[which],
                uniforms=draws.uniforms[which],
                top_ks=draws.top_ks[which],
                top_ps=draws.top_ps[which],
                min_ps=draws.min_ps[which],
                edits={i: draws.edits[w] for i, w in enumerate(which.tolist()) if w in draws.edits},
            )
        )

    def logprobs(self, rows: Ints, token_ids: Ints, top: int) -> TopLogprobs:
        """Return log-probabilities; without `top` in closed form."""
        if top:
            return self._dense(rows).logprobs(np.arange(len(rows)), token_ids, top)
        ids, values = self._ids[rows], self._values[rows]
        ones = np.ones((len(rows), 1))
        whole = self._rest_below(rows, np.full((len(rows), 1), self._vocab_size), ones, 0 * ones)[:, 0]
        displaced = (np.exp(self.rest(rows[:, None], ids)) * (values > -np.inf)).sum(1)
        normalizer = np.log(np.exp(values).sum(1) + whole - displaced)
        standing_out = (ids == token_ids[:, None]) & (values > -np.inf)
        chosen = np.where(standing_out.any(1), np.where(standing_out, values, 0.0).sum(1), self.rest(rows, token_ids))
        none = np.empty((len(rows), 0))
        return TopLogprobs(chosen - normalizer, none.astype(np.int64), none)

    def _dense(self, rows: Ints) -> DenseLogits:
        import torch

        from sglc.backend.sampler import DenseLogits

        return DenseLogits(torch.from_numpy(np.stack([self.dense(row) for row in rows.tolist()])))
