"""Rows of logits of which constraints leave few tokens: these are read, and the rest of the vocabulary is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from sglc.backend.inverse_cdf import BLOCK
from sglc.backend.step import Draws, Edits, Ints
from sglc.backend.work_list import as_tensor

_SHARE = 16
"""A row is narrow if at most one in so many of its tokens are left: others are faster copied and masked as they are."""

_LAID_OUT_SHARE = 4
"""A row whose tokens are summed is narrow if the blocks that they are in make up at most one in so many."""


@dataclass(frozen=True, slots=True)
class NarrowRows:
    """Draws whose tokens are read alone, as rows of one width. `members` [n] are draws, `ids` and `columns` [n, width].

    A row's ids ascend; where it has fewer than others, its last one is repeated. `columns` are their places where rows
    are laid out so that sums come out to the last bit as over the whole vocabulary; then `columns_width` is the width.
    """

    members: Ints
    ids: Ints
    columns: Ints | None = None
    columns_width: int = 0

    def gather(self, logits: torch.Tensor, rows: Ints, dtype: torch.dtype) -> torch.Tensor:
        """Return the logits of the tokens that are left [n, width of ids or columns], -inf between them."""
        device = logits.device
        values = logits[as_tensor(rows[self.members], device)[:, None], as_tensor(self.ids, device)].to(dtype)
        if self.columns is None:
            return values
        laid_out = values.new_full((len(values), self.columns_width), -torch.inf)
        return laid_out.scatter_(1, as_tensor(self.columns, device), values)

    def tokens(self, places: Ints) -> Ints:
        """Return the tokens at places of the rows that `gather` returns."""
        if self.columns is None:
            return np.take_along_axis(self.ids, places[:, None], 1)[:, 0]
        found = (self.columns == places[:, None]).argmax(axis=1)
        return np.take_along_axis(self.ids, found[:, None], 1)[:, 0]


def narrow_rows(draws: Draws, members: Ints, vocab: int, *, summed: bool) -> Iterator[NarrowRows]:
    """Yield those of the draws that only a mask edits, and of which it leaves few tokens, by how many these are.

    Where they are `summed`, tokens keep their places in the blocks that sums are made of. Raises ValueError where no
    token is left.
    """
    known: dict[int, Ints | None] = {}
    found: list[tuple[int, int, Ints]] = []
    for member in members.tolist() if draws.edits else ():
        ids = _few(member, draws.edits, vocab, known)
        if ids is None:
            continue
        size = len(ids)
        if summed:
            size = BLOCK * max(2, len(np.unique(ids // BLOCK)))  # one block alone would be summed in another way
            if size * _LAID_OUT_SHARE > vocab:
                continue
        found.append(((size - 1).bit_length(), member, ids))
    for band in {band for band, *_ in found}:
        yield _together([(member, ids) for other, member, ids in found if other == band], summed=summed)


def _few(member: int, edits: Mapping[int, Edits], vocab: int, known: dict[int, Ints | None]) -> Ints | None:
    """Return the tokens that a draw may take if they are few and nothing else is changed."""
    edit = edits.get(member)
    if edit is None or edit.allowed is None or not edit.only_allowed:
        return None
    name = id(edit.allowed)  # rows in the same state have the same mask
    if name not in known:
        count = np.count_nonzero(edit.allowed)
        if not count:
            raise ValueError(f"found no token that draw {member} may take; wanted at least one allowed")
        known[name] = np.flatnonzero(edit.allowed) if count * _SHARE <= vocab else None
    return known[name]


def _together(rows: list[tuple[int, Ints]], *, summed: bool) -> NarrowRows:
    """Lay rows of about the same width side by side."""
    members = np.array([member for member, _ in rows], np.int64)
    ids = _stacked([ids for _, ids in rows])
    if not summed:
        return NarrowRows(members, ids)
    blocks = ids // BLOCK
    first = np.concatenate([np.zeros((len(rows), 1), np.int64), (np.diff(blocks) > 0).cumsum(axis=1)], axis=1)
    return NarrowRows(members, ids, first * BLOCK + ids % BLOCK, BLOCK * max(2, int(first.max()) + 1))


def _stacked(rows: list[Ints]) -> Ints:
    width = max(map(len, rows))
    return np.stack([np.concatenate([row, np.repeat(row[-1:], width - len(row))]) for row in rows])
