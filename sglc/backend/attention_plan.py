"""Turns the slot tables of one step into the few matrix products that its attention consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from sglc.backend.shared_prefix import SharedRun, shared_runs
from sglc.backend.step import Ints, Step
from sglc.backend.work_list import Blocks, Index, as_index, work_list

_WINDOW_TOKENS = 256  # new tokens attended at once where a window hides keys: more would compute mostly hidden ones


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep the scratch memory of a step's attention small."""

    tokens: int = 256  # new tokens attended at once
    positions: int = 4096  # KV positions gathered at once


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Every query sees every key."""

    queries: Index
    keys: Index  # slots


@dataclass(frozen=True, slots=True)
class Triangle:
    """The queries are the last of the keys' positions; each sees the keys up to its own, `window` of them at most."""

    queries: slice
    keys: Index  # slots
    window: int | None


Piece = Rectangle | Triangle | Blocks
"""Some queries of a tile, counted from its start, and some of the keys they see."""


@dataclass(frozen=True, slots=True)
class Tile:
    """New tokens start .. stop - 1 of the step and all their attention, to be merged by log-sum-exp.

    A triangle comes before all other pieces of its queries.
    """

    start: int
    stop: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Consecutive new tokens of one row: `count` from token `start` of the tile on, at `position` and after it."""

    start: int
    count: int
    position: int
    table: Ints  # [position + count]
    first_seen: int  # the first position that the last token sees
    masked: bool  # whether a window lets the tokens begin at different positions

    @property
    def queries(self) -> slice:
        """The segment's tokens in the tile."""
        return slice(self.start, self.start + self.count)

    @property
    def common(self) -> tuple[int, int]:
        """Begin and end of the positions before the new tokens that all of these see, for runs to be found in."""
        return (0, 0) if self.masked else (self.first_seen, self.position)

    def slots(self, runs: list[SharedRun], stop: int) -> Ints:
        """Return the slots of positions first_seen .. stop - 1 that are in none of the runs."""
        parts, begin = [], self.first_seen
        for run in sorted(runs, key=lambda run: run.start):
            parts.append(self.table[begin : run.start])
            begin = run.stop
        return np.concatenate([*parts, self.table[begin:stop]])


def plan_tiles(step: Step, limits: Limits, window: int | None, device: torch.device) -> tuple[Tile, ...]:
    """Return the plan of a layer whose tokens see the last `window` positions, their own included (None: all)."""
    tiles, start = [], 0
    for segments in _tiles(step, limits.tokens, window):
        stop = start + segments[-1].start + segments[-1].count
        tiles.append(Tile(start, stop, tuple(_pieces(segments, limits, window, device))))
        start = stop
    return tuple(tiles)


def _tiles(step: Step, tile_tokens: int, window: int | None) -> Iterator[list[_Segment]]:
    """Cut the step's tokens, in order, into tiles of at most `tile_tokens`, and rows into segments that fit them."""
    segments: list[_Segment] = []
    used = 0
    for length, context, table in zip(step.lengths.tolist(), step.context_lengths.tolist(), step.tables, strict=True):
        position = context - length
        while position < context:
            if used == tile_tokens:
                yield segments
                segments, used = [], 0
            count = min(context - position, tile_tokens - used)
            if window is not None and position + count > window:
                count = min(count, _WINDOW_TOKENS)
            stop = position + count
            first_seen = max(0, stop - window) if window is not None else 0
            masked = count > 1 and first_seen > 0
            segments.append(_Segment(used, count, position, table[:stop], first_seen, masked))
            position, used = stop, used + count
    if segments:
        yield segments


def _pieces(segments: list[_Segment], limits: Limits, window: int | None, device: torch.device) -> Iterator[Piece]:
    """Yield the pieces of one tile: new tokens among themselves, what segments share, then what each has alone."""
    for segment in segments:
        if segment.count > 1:
            yield _triangle(segment, window, device)
    starts, stops = zip(*(segment.common for segment in segments), strict=True)
    runs_of: list[list[SharedRun]] = [[] for _ in segments]
    for run in shared_runs([segment.table for segment in segments], starts, stops):
        members = [segments[row] for row in run.rows]
        queries = np.concatenate([np.arange(m.start, m.start + m.count) for m in members])
        yield from _rectangles(as_index(queries, device), members[0].table[run.start : run.stop], limits, device)
        for row in run.rows:
            runs_of[row].append(run)
    single: list[tuple[int, Ints]] = []
    for segment, runs in zip(segments, runs_of, strict=True):
        if segment.count == 1:
            single.append((segment.start, segment.slots(runs, segment.position + 1)))
        elif not segment.masked:
            yield from _rectangles(segment.queries, segment.slots(runs, segment.position), limits, device)
    yield from work_list([query for query, _ in single], [slots for _, slots in single], limits.positions, device)


def _triangle(segment: _Segment, window: int | None, device: torch.device) -> Triangle:
    """Return the piece of a segment's new tokens; where a window masks, of all that they see."""
    if not segment.masked or window is None:
        return Triangle(segment.queries, as_index(segment.table[segment.position :], device), None)
    first = max(0, segment.position + 1 - window)
    return Triangle(segment.queries, as_index(segment.table[first:], device), window)


def _rectangles(queries: Index, slots: Ints, limits: Limits, device: torch.device) -> Iterator[Rectangle]:
    """Yield the product of queries and slots: one piece for a view, several where the slots have to be gathered."""
    if not len(slots):
        return
    keys = as_index(slots, device)
    if isinstance(keys, slice):
        yield Rectangle(queries, keys)
        return
    for begin in range(0, len(slots), limits.positions):
        yield Rectangle(queries, as_index(slots[begin : begin + limits.positions], device))
