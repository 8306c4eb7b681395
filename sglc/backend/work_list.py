"""Cuts the KV that single queries read alone into equal blocks, so that many rows are few batched matrix products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sglc.backend.step import Ints

Index = slice | torch.Tensor
"""Places on one axis: a slice where they are consecutive (read as a view), else a tensor of int64."""

BLOCK = 128
"""Most positions of one item."""

_FULLNESS = 0.8  # least length of an item in the bucket of the longest, as a share of it


@dataclass(frozen=True, slots=True)
class Blocks:
    """Item i is one query and `width` keys that it alone reads here, of which the first `lengths[i]` count.

    A key beyond the length repeats the item's last one, so that no memory is read that nobody wrote.
    """

    queries: torch.Tensor  # [n] distinct
    owners: torch.Tensor | None  # [items] the place in `queries` of an item's query; None where item i is queries[i]'s
    keys: Index  # slots [items · width]
    width: int
    lengths: torch.Tensor | None  # [items]; None where every item is full


def as_index(places: Ints, device: torch.device) -> Index:
    """Return a non-empty array of places as a slice where it counts up one by one, else as a tensor."""
    first, last = int(places[0]), int(places[-1])
    if last - first == len(places) - 1 and (len(places) == 1 or bool((np.diff(places) == 1).all())):
        return slice(first, last + 1)
    return as_tensor(places, device)


def at_places(x: torch.Tensor, dim: int, places: Index) -> torch.Tensor:
    """Return x at these places of one dimension: a view of consecutive ones, a dense copy of others."""
    if isinstance(places, slice):
        return x.narrow(dim, places.start, places.stop - places.start)
    return x.index_select(dim, places)  # a quarter of the time that x[:, places] takes


def as_tensor(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """Return a copy of an array, which may be read-only, on the device."""
    return torch.from_numpy(np.array(array)).to(device)


def work_list(
    queries: Sequence[int], slots: Sequence[Ints], max_positions: int, device: torch.device
) -> Iterator[Blocks]:
    """Yield blocks in which query queries[i] meets all of slots[i], with at most `max_positions` keys each.

    Full blocks come first; what remains of each row goes into buckets of nearly equal width.
    """
    if not slots:
        return
    lengths = np.array([len(row) for row in slots])
    flat = np.concatenate(slots)
    begins = np.cumsum(lengths) - lengths
    numbers = np.asarray(queries)
    full = lengths // BLOCK
    if full.any():
        item_row = np.repeat(np.arange(len(lengths)), full)
        item_begin = begins[item_row] + BLOCK * (np.arange(len(item_row)) - np.repeat(np.cumsum(full) - full, full))
        for part in _chunks(len(item_row), max_positions // BLOCK):
            yield _blocks(numbers[item_row[part]], flat, item_begin[part], np.full(_size(part), BLOCK), device)
    rest = lengths % BLOCK
    order = np.argsort(-rest, kind="stable")
    order = order[rest[order] > 0]
    while len(order):
        width = int(rest[order[0]])
        fits = int((rest[order] >= _FULLNESS * width).sum())  # a prefix: the order is by length
        count = max(1, min(fits, max_positions // width))
        bucket, order = np.sort(order[:count]), order[count:]
        yield _blocks(numbers[bucket], flat, begins[bucket] + BLOCK * full[bucket], rest[bucket], device)


def _blocks(queries: Ints, flat: Ints, begins: Ints, lengths: Ints, device: torch.device) -> Blocks:
    """Return items, by rising query, of which item i reads flat[begins[i]] and the lengths[i] - 1 places after it."""
    width = int(lengths.max())
    keys = flat[begins[:, None] + np.minimum(np.arange(width), lengths[:, None] - 1)]
    distinct, owners = np.unique(queries, return_inverse=True)
    return Blocks(
        queries=as_tensor(distinct, device),
        owners=None if len(distinct) == len(queries) else as_tensor(owners, device),
        keys=as_index(keys.ravel(), device),
        width=width,
        lengths=None if (lengths == width).all() else as_tensor(lengths, device),
    )


def _chunks(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, max(1, size)):
        yield slice(start, min(count, start + max(1, size)))


def _size(part: slice) -> int:
    return int(part.stop - part.start)
