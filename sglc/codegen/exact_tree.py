"""The best tree over few rows, found by looking at all there are."""

from __future__ import annotations

import numpy as np

from sglc.codegen.section_tree import Table, Tree

MOST_ROWS = 8
"""Rows of which all 3ⁿ ways to divide them are looked at: 6,561 in some milliseconds."""


def exact_tree(table: Table) -> Tree:
    """Return a tree of the rows of one group in which they share most.

    What rows share in their best order is, by any binary tree over them, the sum over its inner nodes of the length of
    what all rows below have in common: a node puts that once for two children. So the best of a set of rows is the
    best of two parts and what the whole set has in common. Equals the optimum of OPHR (Liu et al., MLSys 2025), and of
    any order of rows and of the sections of each.
    """
    return _Search(table).tree()


class _Search:
    """Sets of rows are numbers, with a bit for each row."""

    def __init__(self, table: Table) -> None:
        self._table = table
        rows = len(table.group)
        self._common: list[frozenset[int]] = [frozenset()] * (1 << rows)  # sections of all rows of a set
        for row in range(rows):
            self._common[1 << row] = frozenset(table.section[table.row == row].tolist())
        self._shared: list[float] = [0.0] * (1 << rows)
        self._part = [0] * (1 << rows)  # one of the two best parts of a set
        for rest in range(3, 1 << rows):
            if rest & (rest - 1):
                self._divide(rest)
        self._parent = [rows] * (rows + 1)
        self._owner = table.row.tolist()

    def _divide(self, whole: int) -> None:
        lowest = whole & -whole
        others = whole ^ lowest
        self._common[whole] = self._common[lowest] & self._common[others]
        best, best_part = -1.0, lowest
        part = others
        while part:  # every part without the lowest row
            shared = self._shared[part] + self._shared[whole ^ part]
            if shared > best:
                best, best_part = shared, part
            part = (part - 1) & others
        lengths = self._table.lengths
        self._shared[whole] = best + sum(float(lengths[section]) for section in self._common[whole])
        self._part[whole] = best_part

    def tree(self) -> Tree:
        rows = len(self._table.group)
        if rows:
            self._place((1 << rows) - 1, rows, frozenset())
        return Tree(np.array(self._parent, np.int64), np.array(self._owner, np.int64))

    def _place(self, whole: int, under: int, known: frozenset[int]) -> None:
        """Place a set of rows under a node that puts, with those above it, what is known."""
        if not whole & (whole - 1):
            self._parent[whole.bit_length() - 1] = under
            return
        common = self._common[whole]
        if common != known:
            self._parent.append(under)
            under = len(self._parent) - 1
            for cell, (row, section) in enumerate(zip(self._table.row, self._table.section, strict=True)):
                if whole >> int(row) & 1 and section in common and section not in known:
                    self._owner[cell] = under
        self._place(self._part[whole], under, common)
        self._place(whole ^ self._part[whole], under, common)
