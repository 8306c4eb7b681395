"""Any deterministic automaton as the smallest one of its language, in canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sglc.automata.budget import Budget
from sglc.automata.byte_dfa import DEAD, ByteDfa

Rows = Sequence[Sequence[int]]
"""Of each state the states after each byte class."""


def canonical(classes: Sequence[int], rows: Rows, final: Sequence[bool], start: int, budget: Budget) -> ByteDfa:
    """Return the minimal automaton of a complete one: `classes` [256] byte → class, `rows` [states][classes] → state.

    Raises OverBudget when time is up. Time is about states × classes × the rounds in which states are told apart.
    """
    before = _sources(rows, budget)
    distances = distances_to_end(before, final)
    if distances[start] is None:
        return ByteDfa(np.zeros(256, np.uint8), np.zeros((1, 1), np.int32), np.zeros(1, np.bool_), DEAD)
    classes, rows = merge_classes(classes, rows)
    blocks = _refine(rows, before, distances, budget)
    return _numbered(classes, rows, final, blocks, start)


def distances_to_end(before: Sequence[Sequence[int]], final: Iterable[bool]) -> list[int | None]:
    """Return of each state the bytes of the shortest way to a final one (None: there is no way).

    `before`: of each state the states that lead there.
    """
    reached = [state for state, is_final in enumerate(final) if is_final]
    distances: list[int | None] = [None] * len(before)
    for state in reached:
        distances[state] = 0
    for state in reached:
        further = distances[state]
        assert further is not None
        for source in before[state]:
            if distances[source] is None:
                distances[source] = further + 1
                reached.append(source)
    return distances


def merge_classes(classes: Sequence[int], rows: Rows) -> tuple[list[int], list[tuple[int, ...]]]:
    """Return the automaton with byte classes that no state tells apart made one, numbered by their first byte."""
    columns = list(zip(*rows, strict=True))
    numbers: dict[tuple[int, ...], int] = {}
    merged = [0] * len(columns)
    for number in dict.fromkeys(classes):  # in the order of their first bytes
        merged[number] = numbers.setdefault(columns[number], len(numbers))
    return [merged[number] for number in classes], list(zip(*numbers, strict=True))


def _sources(rows: Rows, budget: Budget) -> list[list[int]]:
    before: list[list[int]] = [[] for _ in rows]
    for state, row in enumerate(budget.paced(rows)):
        for target in set(row):
            before[target].append(state)
    return before


def _refine(rows: Rows, before: Sequence[Sequence[int]], distances: Sequence[int | None], budget: Budget) -> list[int]:
    """Return of each state the number of its block of equivalent states; 0 for those that no way leads to the end.

    Begins with blocks of equal distance to the end, and splits those whose states lead into different blocks until
    none is left. As in Hopcroft's algorithm only states that lead into a block with a new number are looked at again,
    and the states of a block that were not, or else its largest part, keep its number.
    """
    numbers: dict[int | None, int] = {None: 0}
    blocks = [numbers.setdefault(distance, len(numbers)) for distance in distances]
    sizes = [0] * len(numbers)
    for block in blocks:
        sizes[block] += 1
    sizes[0] = 1  # the dead states are equivalent, wherever they lead
    touched: Iterable[int] = range(len(blocks))
    get_block = blocks.__getitem__
    while touched:
        parts: dict[int, dict[tuple[int, ...], list[int]]] = {}
        for state in budget.paced(touched):
            if sizes[blocks[state]] > 1:
                behind = tuple(map(get_block, rows[state]))
                parts.setdefault(blocks[state], {}).setdefault(behind, []).append(state)
        moved: list[int] = []
        for block, groups in parts.items():
            split = sorted(groups.values(), key=len)
            if sum(map(len, split)) == sizes[block]:
                split.pop()
            for group in split:
                sizes[block] -= len(group)
                for state in group:
                    blocks[state] = len(sizes)
                sizes.append(len(group))
                moved += group
        touched = {source for state in moved for source in before[state]}
    return blocks


def _numbered(classes: Sequence[int], rows: Rows, final: Sequence[bool], blocks: Sequence[int], start: int) -> ByteDfa:
    """Return the automaton whose states are the blocks (block 0 is the dead one), breadth first from the start's."""
    example = {block: state for state, block in enumerate(blocks)}
    numbers = {0: DEAD, blocks[start]: 1}
    order = [blocks[start]]
    table = [[DEAD] * len(rows[0])]
    for block in order:
        row = []
        for target in rows[example[block]]:
            after = blocks[target]
            number = numbers.get(after)
            if number is None:
                number = numbers[after] = len(numbers)
                order.append(after)
            row.append(number)
        table.append(row)
    classes, table_of_classes = merge_classes(classes, table)
    return ByteDfa(
        np.array(classes, np.uint8),
        np.array(table_of_classes, np.int32),
        np.array([False, *(final[example[block]] for block in order)], np.bool_),
        start=1,
    )
