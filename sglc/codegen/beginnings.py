"""What the prompts of a batch have in common at their beginnings: whole sections, and the first characters of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sglc.codegen.section_tree import Bools, Floats, Ints, Table, Tree

_ENOUGH = 16
"""Characters in common that make it worth while to put two sections first: less is a few tokens."""

_HEAD = 32
"""Characters of a text that are compared in bulk."""


class Overlap(Protocol):
    """How much of the beginnings of different sections is the same."""

    def alike(self, left: Ints, right: Ints) -> Bools:
        """Return which pairs of sections, by number, may have more than a little in common."""

    def lengths(self, left: Ints, right: Ints) -> Floats:
        """Return how much each pair of sections has in common."""


class TextOverlap:
    """That of texts, in characters."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._sizes = np.array([len(text) for text in texts], np.int64)
        heads = np.array([text[:_HEAD] for text in texts], f"<U{_HEAD}")
        self._heads = heads.view(np.uint32).reshape(len(texts), _HEAD)

    def alike(self, left: Ints, right: Ints) -> Bools:
        """Return which pairs begin with the same 16 characters."""
        same: Bools = (self._heads[left, :_ENOUGH] == self._heads[right, :_ENOUGH]).all(1)
        return same

    def lengths(self, left: Ints, right: Ints) -> Floats:
        """Return how many characters each pair of texts has in common."""
        most = np.minimum(self._sizes[left], self._sizes[right])
        same = np.logical_and.accumulate(self._heads[left] == self._heads[right], axis=1)
        common = np.minimum(same.sum(1), most)
        for pair in np.flatnonzero((common == _HEAD) & (most > _HEAD)).tolist():
            common[pair] = _common_length(self._texts[left[pair]], self._texts[right[pair]])
        found: Floats = common.astype(np.float64)
        return found


def _common_length(one: str, two: str) -> int:
    """Return how many characters two texts begin with are the same."""
    least, most = 0, min(len(one), len(two))
    step = 2 * _HEAD
    while least + step < most and one[least : least + step] == two[least : least + step]:
        least, step = least + step, 2 * step
    most = min(most, least + step)
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == two[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def leading_sections(table: Table, tree: Tree, overlap: Overlap) -> Ints:
    """Return for each node the section that it had better put first, for siblings have one that begins like it; or -1.

    Siblings have no whole section in common.
    """
    rows, sections = len(table.group), len(table.lengths)
    own = tree.owner < rows
    inner = np.unique(tree.owner[~own] * sections + table.section[~own])
    node = np.concatenate((table.row[own], inner // sections))
    section = np.concatenate((table.section[own], inner % sections))
    order = np.lexsort((section, tree.parent[node]))
    node, section = node[order], section[order]
    parent = tree.parent[node]
    beside = (parent[1:] == parent[:-1]) & (node[1:] != node[:-1]) & overlap.alike(section[1:], section[:-1])
    pairs = np.flatnonzero(beside)
    common = np.zeros(len(node))
    common[pairs] = overlap.lengths(section[pairs], section[pairs + 1])
    common[1:] = np.maximum(common[1:], common[:-1] * beside)
    leading = np.full(len(tree.parent), -1)
    best = np.flatnonzero(common)
    best = best[np.argsort(common[best], kind="stable")]
    leading[node[best]] = section[best]  # the last one stays
    return leading


def ordered_cells(table: Table, tree: Tree, leading: Ints) -> Ints:
    """Return the cells in the order in which rows put them by a tree, row after row."""
    rows = len(table.group)
    own = tree.owner < rows
    depths = tree.depths()
    last = int(depths.max(initial=0)) + 1
    depth = np.where(own, last, depths[tree.owner])
    place = np.where(own, np.arange(len(table.row)), table.section)  # what is shared has one order for all
    follows = leading[tree.owner] != table.section
    key = ((table.row * (last + 1) + depth) * 2 + follows) * (len(table.row) + len(table.lengths)) + place
    return np.argsort(key, kind="stable")


def shared_lengths(table: Table, cells: Ints, overlap: Overlap | None) -> tuple[Ints, Floats]:
    """Return rows in depth-first order of the tree of their cells, and how much each begins like the one before it.

    `cells` are those of the table, row after row, in the order of the prompts.
    """
    rows = len(table.group)
    section, first = table.section[cells], table.first_cells()
    count = np.bincount(table.row, minlength=rows)
    order = np.argsort(table.group, kind="stable")
    run = table.group[order]  # rows with one number begin alike so far; they stand side by side
    at = np.arange(rows)  # of those that are not alone, where they stand
    shared = np.zeros(rows)
    depth = 0
    while len(at):
        ended = count[order[at]] <= depth
        following = np.full(len(at), -1)
        following[~ended] = section[first[order[at[~ended]]] + depth]
        sort = np.lexsort((following, run[at]))
        order[at], following = order[at[sort]], following[sort]
        together = run[at[1:]] == run[at[:-1]]
        same = together & (following[1:] == following[:-1]) & (following[1:] >= 0)
        shared[at[1:][same]] += table.lengths[following[1:][same]]
        if overlap is not None:
            parted = np.flatnonzero(together & ~same & (following[:-1] >= 0))
            shared[at[parted + 1]] += overlap.lengths(following[parted], following[parted + 1])
        run[at] = np.cumsum(np.concatenate(([True], ~same)))
        at = at[np.concatenate(([False], same)) | np.concatenate((same, [False]))]
        depth += 1
    return order, shared
