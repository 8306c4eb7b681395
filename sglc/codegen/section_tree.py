"""A tree over the rows of a batch that says which sections they put first, so that many rows begin alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_PATIENCE = 40
"""Rounds in which rows wait for the best cluster; later they take the best that is to be had."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The sections of rows, cell by cell, row after row, in the order written: the number of each row and section.

    Sections that are equal have the same number, and a row has none twice. Only rows of the same group, by number from
    0, can share anything. `lengths` are those of the sections, by number.
    """

    row: Ints  # [cells], ascending
    section: Ints  # [cells]
    group: Ints  # [rows]
    lengths: Floats  # [sections]

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max(initial=-1)) + 1

    def first_cells(self) -> Ints:
        """Return where each row's cells begin."""
        first: Ints = np.searchsorted(self.row, np.arange(len(self.group)))  # [rows]
        return first


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Rows as leaves: behind what their parent puts, they put their own sections. Rows come first, then the groups.

    `parent` of a group is the group. `owner` is the node that puts a cell; its rows all have that section.
    """

    parent: Ints  # [nodes]
    owner: Ints  # [cells]

    def depths(self) -> Ints:
        """Return how many nodes are above each."""
        above = self.parent
        depth: Ints = (above != np.arange(len(above))).astype(np.int64)  # [nodes]
        while not np.array_equal(above, higher := self.parent[above]):
            depth += above != higher
            above = higher
        return depth


def greedy_tree(table: Table) -> Tree:
    """Return a tree in which rows that have much in common are near each other.

    Among the children of a node, those that have a section in common are a cluster; the best is that in which they have
    most in common, with a bonus for many: length · log(count). A cluster that is the best for all its children becomes
    a node in their place, which puts what all of them have, until no two children of a node have anything in common.
    So clusters find their own parents (like agglomerative clustering) and are divided further (like GGR, Liu et al.,
    MLSys 2025), all in one round where they do not compete.
    """
    growing = _Growing(table)
    while growing.join():
        pass
    return growing.tree()


class _Cells(NamedTuple):
    """What nodes would put: section by section, each with its number among all cells there have been."""

    node: Ints
    section: Ints
    cell: Ints

    def at(self, which: Ints | Bools) -> _Cells:
        return _Cells(self.node[which], self.section[which], self.cell[which])

    @staticmethod
    def together(parts: Sequence[_Cells]) -> _Cells:
        return _Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _Growing:
    """A tree on its way. Only cells that a node has in common with a sibling stay, and are ever looked at again."""

    def __init__(self, table: Table) -> None:
        rows, groups = len(table.group), table.groups
        self._cells = _Cells(table.row, table.section, np.arange(len(table.row)))
        self._lengths = table.lengths
        self._parent = np.concatenate((table.group + rows, np.arange(rows, 2 * rows + groups)))
        self._nodes = rows + groups
        self._holders = [table.row]  # of all cells there have been, the node that would put each
        self._moved: list[tuple[Ints, Ints]] = []  # cells → the cells of a node that puts them for theirs
        self._numbered = len(table.row)
        self._marks = np.random.default_rng(0).integers(0, 1 << 63, len(self._parent), dtype=np.uint64)
        self._rounds = 0

    def join(self) -> bool:
        """Make nodes of the best clusters; return False where nothing is shared any more."""
        key = self._parent[self._cells.node] * len(self._lengths) + self._cells.section
        order = np.argsort(key, kind="stable")
        _, counts = runs(key[order])
        cells = self._cells.at(order[np.repeat(counts > 1, counts)])
        counts = counts[counts > 1]
        if not len(counts):
            return False
        self._rounds += 1
        cluster = np.repeat(np.arange(len(counts)), counts)
        wanted = self._wanted(cells, counts, cluster)
        votes = np.bincount(cluster[wanted], minlength=len(counts))
        chosen = votes > 1 if self._rounds > _PATIENCE else votes == counts
        made = self._nodes + np.cumsum(chosen) - 1
        joining = wanted & chosen[cluster]
        joined = np.full(self._nodes, -1)
        joined[cells.node[joining]] = made[cluster[joining]]
        self._commit(cells, joined, votes[chosen])
        return True

    def _wanted(self, cells: _Cells, counts: Ints, cluster: Ints) -> Bools:
        """Return the cell that each node would like best to share; equal clusters are worth what they share together.

        Clusters are told apart by the sum of their nodes' marks.
        """
        firsts = np.cumsum(counts) - counts
        sums = np.add.reduceat(self._marks[cells.node], firsts)
        _, same = np.unique(sums, return_inverse=True)
        common = np.bincount(same, self._lengths[cells.section[firsts]])[same]
        rank = np.empty_like(counts)
        rank[np.argsort(common * np.log(counts), kind="stable")] = np.arange(len(counts))
        best = np.full(self._nodes, -1)
        np.maximum.at(best, cells.node, rank[cluster])
        wanted: Bools = best[cells.node] == rank[cluster]
        return wanted

    def _commit(self, cells: _Cells, joined: Ints, sizes: Ints) -> None:
        """Let nodes join new ones of these sizes, which put what all that join them have."""
        joins = joined[cells.node] >= 0
        members = cells.at(joins)
        key = (joined[members.node] - self._nodes) * len(self._lengths) + members.section
        order = np.argsort(key, kind="stable")
        members, key = members.at(order), key[order]
        firsts, counts = runs(key)
        common = counts == sizes[key[firsts] // len(self._lengths)]
        put = np.repeat(common, counts)
        cell = self._numbered + np.cumsum(common) - 1
        self._moved.append((members.cell[put], np.repeat(cell, counts)[put]))
        self._numbered += int(common.sum())
        firsts = firsts[common]
        new = _Cells(joined[members.node[firsts]], members.section[firsts], cell[common])
        self._holders.append(new.node)
        nodes = np.flatnonzero(joined >= 0)
        self._parent[joined[nodes]] = self._parent[nodes]
        self._parent[nodes] = joined[nodes]
        self._nodes += len(sizes)
        self._cells = _Cells.together((cells.at(~joins), members.at(~put), new))

    def tree(self) -> Tree:
        """Return what has grown."""
        holder = np.concatenate(self._holders)
        moved = np.arange(self._numbered)
        for cells, to in self._moved:
            moved[cells] = to
        while not np.array_equal(moved, higher := moved[moved]):
            moved = higher
        return Tree(self._parent[: self._nodes], holder[moved[: len(self._holders[0])]])


def runs(keys: Ints) -> tuple[Ints, Ints]:
    """Return where the runs of equal keys begin in a sorted array, and how long they are."""
    firsts = np.flatnonzero(np.concatenate((np.ones(min(1, len(keys)), bool), keys[1:] != keys[:-1])))
    return firsts, np.diff(firsts, append=len(keys))
