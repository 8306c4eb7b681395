"""Arranging a batch: the order of each row's sections, and of the rows, in which most begin like the one before."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from sglc.codegen.beginnings import Overlap, TextOverlap, leading_sections, ordered_cells, shared_lengths
from sglc.codegen.exact_tree import MOST_ROWS, exact_tree
from sglc.codegen.section_tree import Ints, Table, greedy_tree, runs

Found = tuple[Hashable, tuple[str, ...]]
"""Sections of a row that may stand in any order: what is before them, equal where prompts are equal, and their texts
as they were written."""

Orders = Mapping[tuple[str, ...], tuple[str, ...]]
"""Texts as they were written → as they are to stand."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """An order of rows, and for each row, by its number, the order of its sections, by their places as written.

    `shared` is how much rows begin like the one before them in this order, `written` how much they do with their
    sections as written, the rows being in the best order for that.
    """

    rows: tuple[int, ...]
    sections: tuple[tuple[int, ...], ...]
    shared: float
    written: float


def arrange(rows: Sequence[Sequence[str]], groups: Sequence[Hashable] | None = None) -> Arrangement:
    """Arrange texts; lengths are in characters, and the beginning of a text counts where the rest differs.

    Rows of different `groups` share nothing. No group comes out worse than it was written.
    """
    texts = sorted(set().union(*rows))
    numbers = {text: number for number, text in enumerate(texts)}
    table, origin = _table(rows, map(numbers.__getitem__, chain.from_iterable(rows)), map(len, texts), groups)
    return _arranged(table, TextOverlap([texts[number] for number in origin]))


def arrange_coded(
    rows: Sequence[Sequence[int]], lengths: Sequence[float], groups: Sequence[Hashable] | None = None
) -> Arrangement:
    """Arrange sections given by number, with the length of each, in whatever unit; otherwise as `arrange`.

    Of 8 rows or less in one group no order shares more.
    """
    table, _ = _table(rows, chain.from_iterable(rows), lengths, groups)
    return _arranged(table, None)


def arrange_found(rows: Sequence[Mapping[int, Found]]) -> list[Orders]:
    """Arrange what was found in each row of a batch, by the numbers of its operations, and return each row's orders."""
    found = [(row, before, texts) for row, by_number in enumerate(rows) for before, texts in by_number.values()]
    arrangement = arrange([texts for *_, texts in found], [before for _, before, _ in found])
    orders: list[dict[tuple[str, ...], tuple[str, ...]]] = [{} for _ in rows]
    for (row, _, texts), places in zip(found, arrangement.sections, strict=True):
        orders[row][texts] = tuple([texts[place] for place in places])
    return [*orders]


def _arranged(table: Table, overlap: Overlap | None) -> Arrangement:
    few = len(table.group) <= MOST_ROWS and table.groups == 1
    tree = exact_tree(table) if few else greedy_tree(table)
    leading = np.full(len(tree.parent), -1) if overlap is None else leading_sections(table, tree, overlap)
    written = np.arange(len(table.row))
    cells = ordered_cells(table, tree, leading)
    order, shared = shared_lengths(table, cells, overlap)
    order_written, shared_written = shared_lengths(table, written, overlap)
    group = table.group[order]  # in both orders groups stand side by side, in the order of their numbers
    worse = np.bincount(group, shared_written - shared, table.groups) > 0
    return Arrangement(
        tuple(np.where(worse[group], order_written, order).tolist()),
        _places(table, np.where(worse[table.group[table.row]], written, cells)),
        float(np.where(worse[group], shared_written, shared).sum()),
        float(shared_written.sum()),
    )


def _table(
    rows: Sequence[Sequence[Any]],
    numbers: Iterable[int],
    lengths: Iterable[float],
    groups: Sequence[Hashable] | None,
) -> tuple[Table, Sequence[int]]:
    """Return rows as a table, and the number that each of its sections had: what a row has twice is two sections there.

    `numbers` are those of the rows' sections, one row behind the other.
    """
    length = np.fromiter(lengths, np.float64)
    section = np.fromiter(numbers, np.int64)
    row = np.repeat(np.arange(len(rows)), np.fromiter(map(len, rows), np.int64, len(rows)))
    key = row * len(length) + section
    order = np.argsort(key, kind="stable")
    firsts, counts = runs(key[order])
    before = np.empty_like(order)  # of each cell, how often its row had the section before
    before[order] = np.arange(len(order)) - np.repeat(firsts, counts)
    again = before > 0
    most = int(before.max(initial=0)) + 1
    new, number = np.unique(section[again] * most + before[again], return_inverse=True)
    section[again] = len(length) + number
    origin = np.concatenate((np.arange(len(length)), new // most))
    if len(new):  # a section stands beside its repetitions
        order = np.argsort(origin, kind="stable")
        section, origin = np.argsort(order)[section], origin[order]
    known: dict[Hashable, int] = {}
    group = [known.setdefault(each, len(known)) for each in groups] if groups is not None else [0] * len(rows)
    return Table(row, section, np.array(group, np.int64), length[origin]), origin.tolist()


def _places(table: Table, cells: Ints) -> tuple[tuple[int, ...], ...]:
    """Return where each row's cells were written, in their order."""
    first = table.first_cells()
    places = (cells - first[table.row]).tolist()
    ends = [*first[1:].tolist(), len(places)][: len(first)]
    return tuple([tuple(places[begin:end]) for begin, end in zip(first.tolist(), ends, strict=True)])
