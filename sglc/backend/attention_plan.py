"""Turns the slot tables of one step into the few matrix products that its attention consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from sglc.backend.kv_copies import Changes
from sglc.backend.seats import Seats
from sglc.backend.shared_copies import Shared, SharedCopies
from sglc.backend.shared_prefix import SharedRun, shared_runs
from sglc.backend.step import Ints, Step
from sglc.backend.suffixes import Running, Suffix, Suffixes
from sglc.backend.work_list import Blocks, Index, as_index, work_list

_MANY_TOKENS = 64
"""New tokens of a row from which on it reads its keys alone."""

_FEW_ROWS = 2
"""Rows that generate which read the pool where their slots are consecutive; of more rows, copies are read at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step's attention may do at once, and what is worth a product of its own."""

    positions: int = 4096  # KV positions of one product
    saved: int = 256  # reads of a position that sharing a run must spare, over all its rows
    join: int = 64  # positions that a row may read in vain to be computed with others


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Every query sees every key."""

    queries: Index
    keys: Index  # slots


@dataclass(frozen=True, slots=True)
class Causal:
    """Some rows, each with as many new tokens and keys; the tokens are the last of the keys' positions.

    Each sees the keys up to its own, `window` of them at most.
    """

    queries: slice
    keys: Index  # slots, row by row
    rows: int
    window: int | None


First = Causal | Rectangle | Suffix
More = Rectangle | Shared | Blocks
Piece = First | More


@dataclass(slots=True)
class Plan:
    """All attention of a step: each token is one of `gathered` or a query of one piece of `alone` or `first`.

    What `alone` gives its tokens is all they see; `more` is merged into what `gathered` and `first` have.
    """

    changes: Changes = field(default_factory=Changes)
    alone: list[First] = field(default_factory=list)
    first: list[First] = field(default_factory=list)
    gathered: Index | None = None
    more: list[More] = field(default_factory=list)
    merged: Index | None = None  # tokens of `gathered` and `first`

    def settle(self, tokens: int, device: torch.device) -> None:
        """Set apart the pieces that nothing is merged with: these need no log-sum-exp."""
        merged = torch.zeros(tokens, dtype=torch.bool, device=device)
        for piece in self.more:
            merged[piece.queries] = True
        pieces, self.first = self.first, []
        for first in pieces:
            (self.first if merged[first.queries].any() else self.alone).append(first)
        for first in self.first:
            merged[first.queries] = True
        if merged.any():
            self.merged = as_index(merged.nonzero().squeeze(1).cpu().numpy(), device)


class Copies:
    """What the layers that one plan serves keep beside the pool."""

    def __init__(self, device: torch.device, positions: int) -> None:
        """Give room for so many positions."""
        self.seats = Seats(positions)
        self.suffixes = Suffixes(device, self.seats)
        self.shared = SharedCopies(device, self.seats)

    def clear(self) -> None:
        """Forget all: what the layers have may not be whole."""
        self.seats.clear()
        self.suffixes.clear()
        self.shared.clear()


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the step: `count` new tokens from token `start` on, at `position` and after it."""

    number: int | None  # what tells it from rows of other steps
    start: int
    count: int
    position: int
    table: Ints  # [position + count]
    first_seen: int  # the first position that the last token sees
    windowed: bool  # whether a window hides positions from some token

    @property
    def sharable(self) -> int:
        """How many of the first positions may be read with other rows: those before the new tokens.

        There are none where a window hides some, nor where there are many tokens: reading keys is little then beside
        what is computed with them.
        """
        return 0 if self.windowed or self.count > _MANY_TOKENS else self.position


def plan_attention(step: Step, limits: Limits, window: int | None, copies: Copies, device: torch.device) -> Plan:
    """Return the plan of layers whose tokens see the last `window` positions, their own included (None: all)."""
    rows = list(_rows(step, window))
    ends = [0] * len(rows)  # the end of what each row reads with others, from its first position on
    plan = Plan()
    copies.seats.join(limits.join, plan.changes)
    copies.shared.begin()
    runs = shared_runs([row.table for row in rows], [row.sharable for row in rows], limits.saved)
    for run in sorted(runs, key=lambda run: run.start - run.stop):  # shorter ones may join the banks of longer ones
        _share(plan, run, [rows[i] for i in run.rows], limits, copies.shared, device)
        for i in run.rows:
            ends[i] = max(ends[i], run.stop)
    copies.shared.end(plan.changes)
    _fill(plan, [(row, end) for row, end in zip(rows, ends, strict=True) if row.count > 1], limits, window, device)
    _generate(plan, [(row, end) for row, end in zip(rows, ends, strict=True) if row.count == 1], limits, copies, device)
    plan.settle(len(step.token_ids), device)
    return plan


def _rows(step: Step, window: int | None) -> Iterator[_Row]:
    start = 0
    numbers = [None] * len(step.lengths) if step.rows is None else step.rows.tolist()
    for number, count, context, table in zip(
        numbers, step.lengths.tolist(), step.context_lengths.tolist(), step.tables, strict=True
    ):
        first_seen = max(0, context - window) if window is not None else 0
        yield _Row(number, start, count, context - count, table, first_seen, first_seen > 0)
        start += count


def _share(
    plan: Plan, run: SharedRun, members: list[_Row], limits: Limits, copies: SharedCopies, device: torch.device
) -> None:
    """Plan what several rows read together: a copy if some of them generate, and so will read it again."""
    tokens = np.concatenate([np.arange(m.start, m.start + m.count) for m in members])
    running = [m.number for m in members if m.count == 1 and m.number is not None]
    for begin in range(run.start, run.stop, limits.positions):
        slots = members[0].table[begin : min(run.stop, begin + limits.positions)]
        if not running or not copies.add(running, tokens, begin, slots, limits.join):
            plan.more.append(Rectangle(as_index(tokens, device), as_index(slots, device)))


def _rectangles(queries: Index, slots: Ints, limits: Limits, device: torch.device) -> Iterator[Rectangle]:
    for begin in range(0, len(slots), limits.positions):
        yield Rectangle(queries, as_index(slots[begin : begin + limits.positions], device))


def _fill(plan: Plan, rows: list[tuple[_Row, int]], limits: Limits, window: int | None, device: torch.device) -> None:
    """Plan rows of several new tokens, whose positions before the given ones are computed with other rows."""
    alike: list[tuple[_Row, Ints]] = []  # neighbours to be computed at once
    for row, shared in rows:
        if row.windowed and window is not None:
            begin = max(0, row.position + 1 - window)
        else:
            begin = max(shared, len(row.table) - max(row.count, limits.positions))
            queries = slice(row.start, row.start + row.count)
            plan.more.extend(_rectangles(queries, row.table[shared:begin], limits, device))
        keys = row.table[begin:]
        if alike and not _goes_with(row, keys, alike, limits):
            plan.first.append(_causal(alike, window, device))
            alike = []
        alike.append((row, keys))
    if alike:
        plan.first.append(_causal(alike, window, device))


def _goes_with(row: _Row, keys: Ints, others: list[tuple[_Row, Ints]], limits: Limits) -> bool:
    last, before = others[-1]
    alike = row.count == last.count and len(keys) == len(before) and row.windowed == last.windowed
    return alike and row.start == last.start + last.count and (len(others) + 1) * len(keys) <= limits.positions


def _causal(rows: list[tuple[_Row, Ints]], window: int | None, device: torch.device) -> Causal:
    first, last = rows[0][0], rows[-1][0]
    keys = as_index(np.concatenate([keys for _, keys in rows]), device)
    return Causal(slice(first.start, last.start + last.count), keys, len(rows), window if first.windowed else None)


def _generate(plan: Plan, rows: list[tuple[_Row, int]], limits: Limits, copies: Copies, device: torch.device) -> None:
    """Plan rows of one new token each, whose positions before the given ones are computed with other rows."""
    running: list[Running] = []
    alone: list[tuple[int, Ints]] = []
    for row, shared in rows:
        slots = row.table[max(shared, row.first_seen) :]
        if len(rows) <= _FEW_ROWS and isinstance(as_index(slots, device), slice):
            first, *others = _rectangles(slice(row.start, row.start + 1), slots, limits, device)
            plan.first.append(first)
            plan.more.extend(others)
        elif row.number is None or row.windowed:
            alone.append((row.start, slots))
        else:
            running.append(Running(row.number, row.start, shared, row.table))
    unseated = copies.suffixes.seat(running, limits.join, plan.changes)
    copies.seats.settle(plan.changes)
    plan.first.extend(copies.suffixes.pieces(running, plan.changes))
    plan.more.extend(copies.shared.pieces())
    alone += [(row.token, row.table[row.begin :]) for row in unseated]
    if alone:
        alone.sort(key=lambda pair: pair[0])
        plan.gathered = as_index(np.array([token for token, _ in alone]), device)
        plan.more.extend(work_list([token for token, _ in alone], [s for _, s in alone], limits.positions, device))
