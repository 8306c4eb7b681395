"""Greedy Group Recursion, the published way to order the rows and fields of a table (Liu et al., MLSys 2025)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

Table = Sequence[Sequence[str]]
Placed = tuple[int, tuple[int, ...]]
"""A row, and the order of its columns."""

Dependencies = Mapping[int, Sequence[int]]
"""Column → the columns whose values it determines."""


@dataclass(frozen=True, slots=True)
class Ggr:
    """The algorithm, with its stops: None is no limit.

    The paper stops behind 4 groups split off one behind the other and 2 columns deep, and where a group would save less
    than 0.1 million; the rest gets one order of columns. `weight` is what a value of a length is worth: the paper's is
    the square. Two misprints are corrected: values of dependent columns are squared, too, and the rows of the group get
    the values in front, not the others.
    """

    row_depth: int | None = 4
    column_depth: int | None = 2
    threshold: float = 1e5
    weight: Callable[[float], float] = field(default=lambda length: length**2)

    def order(self, table: Table, dependencies: Dependencies) -> list[Placed]:
        """Return the rows in their order, each with the order of its columns."""
        return self._solve(table, dependencies, range(len(table)), range(len(table[0])), 0)

    def _solve(
        self, table: Table, dependencies: Dependencies, rows: Sequence[int], columns: Sequence[int], depth: int
    ) -> list[Placed]:
        done: list[Placed] = []
        splits = 0
        while rows:
            best = self._best_group(table, dependencies, rows, columns)
            stopped = depth == self.column_depth or splits == self.row_depth or best[0] < self.threshold
            if len(rows) == 1 or len(columns) <= 1 or stopped or best[0] <= 0:
                return done + self._in_one_order(table, rows, columns)
            _, column, value = best
            front = (column, *(other for other in dependencies[column] if other in columns))
            behind = [other for other in columns if other not in front]
            group = [row for row in rows if table[row][column] == value]
            done += [(row, front + rest) for row, rest in self._solve(table, dependencies, group, behind, depth + 1)]
            rows = [row for row in rows if table[row][column] != value]
            splits += 1
        return done

    def _best_group(
        self, table: Table, dependencies: Dependencies, rows: Sequence[int], columns: Sequence[int]
    ) -> tuple[float, int, str]:
        """Return the column and value whose rows have most in common, and how much."""
        best = (0.0, 0, "")
        for column in columns:
            others = [other for other in dependencies[column] if other in columns]
            example = {table[row][column]: row for row in rows}
            for value, count in Counter(table[row][column] for row in rows).items():
                worth = self.weight(len(value)) + sum(self.weight(len(table[example[value]][o])) for o in others)
                if worth * (count - 1) > best[0]:
                    best = (worth * (count - 1), column, value)
        return best

    def _in_one_order(self, table: Table, rows: Sequence[int], columns: Sequence[int]) -> list[Placed]:
        """Sort rows, their columns in one order: long ones with few values first."""

        def worth(column: int) -> float:
            values = [table[row][column] for row in rows]
            return self.weight(mean(map(len, values))) * (1 - len(set(values)) / len(values))

        order = tuple(sorted(columns, key=worth, reverse=True))
        return [(row, order) for row in sorted(rows, key=lambda row: [table[row][column] for column in order])]


def dependencies_of(table: Table) -> Dependencies:
    """Return which columns determine which in a table; one whose values are all different says nothing."""
    columns = range(len(table[0]))
    found: dict[int, list[int]] = {}
    for column in columns:
        example: dict[str, Sequence[str]] = {}
        same = set(columns) - {column}
        for row in table:
            first = example.setdefault(row[column], row)
            same = {other for other in same if first[other] == row[other]}
        found[column] = sorted(same) if len(example) < len(table) else []
    return found
