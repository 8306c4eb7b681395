"""Arranging sections: valid, never worse than written, the best there is for few rows, and better than GGR for many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise, permutations, product
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ggr import Ggr, dependencies_of
from benchmarks.workloads import tables
from sglc.codegen.arrangement import Arrangement, arrange, arrange_coded, arrange_found
from tests.best_arrangement import best_of_all, common_length, shared_sections
from tests.conftest import FULL

Rows = Sequence[Sequence[int]]


def arranged(rows: Sequence[Sequence[object]], arrangement: Arrangement) -> list[list[object]]:
    """Return rows in their order, the sections of each in theirs; check that all are there."""
    assert sorted(arrangement.rows) == [*range(len(rows))]
    for row, places in zip(rows, arrangement.sections, strict=True):
        assert sorted(places) == [*range(len(row))]
    return [[rows[row][place] for place in arrangement.sections[row]] for row in arrangement.rows]


def random_rows(source: Random, most_rows: int, most_columns: int) -> tuple[list[list[int]], list[int]]:
    """Return rows of a few sections, some of them several times in a row, some without any, and the lengths."""
    lengths = [source.choice((0, 1, 1, 5, 9, 40)) for _ in range(source.randint(1, 9))]
    ragged = source.random() < 0.5
    columns = source.randint(1, most_columns)
    rows = [
        source.choices(range(len(lengths)), k=source.randint(0, columns) if ragged else columns)
        for _ in range(source.randint(1, most_rows))
    ]
    return rows, lengths


# Few rows


def test_the_best_of_all_orders_is_that() -> None:
    """What the other tests compare with is the best of all orders written down one by one."""
    source = Random(1)
    for _ in range(40):
        rows, lengths = random_rows(source, 3, 3)
        every_order = (
            shared_sections(chosen, lengths)
            for order in permutations(rows)
            for chosen in product(*([*permutations(row)] for row in order))
        )
        assert best_of_all(rows, lengths) == max(every_order)


def test_few_rows_share_the_most_they_can() -> None:
    source = Random(2)
    for _ in range(2000 if FULL else 120):
        rows, lengths = random_rows(source, 6, 4)
        for weights in (lengths, [length**2 for length in lengths]):
            found = arrange_coded(rows, weights)
            assert shared_sections(arranged(rows, found), weights) == found.shared  # type: ignore[arg-type]
            assert found.shared == best_of_all(rows, weights), (rows, weights)


def test_eight_rows_share_what_is_common_in_parts() -> None:
    rows = [[0, 9, 1], [1, 0, 8], [0, 1, 7], [2, 3, 9], [3, 2, 8], [3, 7, 2], [0, 4, 3], [4, 0, 5]]
    found = arrange_coded(rows, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert found.shared == (10 + 9) * 2 + 10 + (10 + 6) + (8 + 7) * 2


# Any rows

texts = st.lists(st.sampled_from(["", "a", "b", "ab", "a long rule of many words", "a long rule of many more", "é"]))


@settings(max_examples=1000 if FULL else 100, deadline=None)
@given(st.lists(st.tuples(texts, st.integers(0, 1)), max_size=24))
def test_no_row_is_lost_and_no_group_is_worse_than_written(rows: list[tuple[list[str], int]]) -> None:
    """Characters at the beginning of a row that the one before it has, too, in sections as far as they are the same."""
    sections, groups = [row for row, _ in rows], [group for _, group in rows]
    found = arrange(sections, groups)
    assert found.shared >= found.written
    in_order = [groups[row] for row in found.rows]
    assert [group for group, _ in groupby(in_order)] == list(dict.fromkeys(groups))
    after = arranged(sections, found)
    assert found.shared == shared_characters(after, in_order)
    by_group = sorted(zip(groups, sections, strict=True), key=lambda row: (groups.index(row[0]), row[1]))
    assert found.written == shared_characters([row for _, row in by_group], [group for group, _ in by_group])


def shared_characters(rows: Sequence[Sequence[str]], groups: Sequence[int]) -> int:  # type: ignore[type-arg]
    """Return how many characters rows begin with like the one before them, up to the first section that differs."""
    shared = 0
    for (one, two), (group, other) in zip(pairwise(rows), pairwise(groups), strict=True):
        if group == other:
            same = common_length(one, two)
            shared += sum(map(len, one[:same]))
            if same < min(len(one), len(two)):
                shared += common_length(one[same], two[same])
    return shared


def test_the_order_is_the_same_each_time() -> None:
    rows = tables.table("beers", 300)
    assert arrange(rows) == arrange([[*row] for row in rows])


def test_no_rows_and_rows_without_sections() -> None:
    assert arrange([]) == Arrangement((), (), 0, 0)
    assert arrange([[], []]) == Arrangement((0, 1), ((), ()), 0, 0)
    assert arrange_coded([[]] * 20, []).sections == ((),) * 20


def test_what_many_have_comes_first() -> None:
    rules, facts = "Be brief and say why.\n" * 3, "Water is wet.\n" * 3
    rows = [[f"Question {number}?\n", facts, rules] for number in range(9)] + [["Who?\n", rules]] * 5
    found = arrange(rows)
    assert found.sections[:9] == ((2, 1, 0),) * 9
    assert found.sections[9:] == ((1, 0),) * 5


def test_groups_share_nothing() -> None:
    rows = [["left" * 9, "a" * 50, f"{number}"] for number in range(10)]
    rows += [[f"{number}", "a" * 30, "right" * 10] for number in range(10)]
    found = arrange(rows, ["x"] * 10 + ["y"] * 10)
    assert [found.rows[:10], found.rows[10:]] == [tuple(range(10)), tuple(range(10, 20))]
    assert found.shared == 9 * (36 + 50) + 9 * (30 + 50)


def test_a_section_that_begins_like_others_comes_first() -> None:
    """Where no whole section is shared: all but the last words of a long one are."""
    rows = [
        [f"Question {number}, all different", "The same rules for " + name] for number, name in enumerate("abcdefghij")
    ]
    found = arrange(rows)
    assert found.sections == ((1, 0),) * 10
    assert found.shared == 9 * len("The same rules for ")
    assert found.written == 9 * len("Question ")


def test_rows_that_share_most_with_the_order_written_keep_it() -> None:
    """Their long sections begin alike and end differently: that one is not split by a short one some share."""
    start = "You are a careful judge of essays. " * 20
    rows = [[f"{start}{number}.", "short" if number % 2 else "other"] for number in range(10)]
    found = arrange(rows)
    assert found.sections == ((0, 1),) * 10
    assert found.shared == found.written


def test_many_rounds_come_to_an_end() -> None:
    """Clusters that wait for each other, like beads on a string, one for each round."""
    count = 300
    rows = [[number, number + 1] for number in range(count)]
    found = arrange_coded(rows, range(1, count + 2))
    assert found.shared >= sum(range(1, count + 2)) / 3


# Tables


@pytest.mark.parametrize("name", tables.TABLES)
@pytest.mark.parametrize("power", [1, 2])
def test_tables_share_at_least_what_ggr_finds(name: str, power: int) -> None:
    """By length, and by its square, which is what GGR maximizes; with the stops of its paper, and without any."""
    table = tables.table(name, 1000)
    numbers = {cell: number for number, cell in enumerate(sorted(set().union(*table)))}
    lengths = [len(cell) ** power for cell in numbers]
    found = arrange_coded([[numbers[cell] for cell in row] for row in table], lengths)
    dependencies = dependencies_of(table)
    for solver in (Ggr(), Ggr(row_depth=None, column_depth=None, threshold=0)):
        theirs = [[numbers[table[row][c]] for c in columns] for row, columns in solver.order(table, dependencies)]
        assert len(theirs) == 1000
        assert found.shared >= shared_sections(theirs, lengths)


def test_ggr_is_the_published_one() -> None:
    """A table small enough to follow: the longest pair first, its rows together, dependent columns behind it."""
    table = [["1", "red", "long text"], ["2", "blue", "other"], ["3", "red", "long text"], ["4", "blue", "other"]]
    dependencies = dependencies_of(table)
    assert dependencies == {0: [], 1: [2], 2: [1]}
    assert Ggr(threshold=0).order(table, dependencies) == [
        (0, (1, 2, 0)),
        (2, (1, 2, 0)),
        (1, (1, 2, 0)),
        (3, (1, 2, 0)),
    ]


def test_a_large_table_is_planned_in_a_moment() -> None:
    """A tenth of the bar's table in a tenth of its time."""
    table = tables.table("products", 1500)
    began = process_time()
    arrange(table)
    assert process_time() - began < 0.1


# What rows say


def test_orders_are_by_the_texts_of_a_row() -> None:
    rules = "Rules.\n" * 5
    rows = [{0: (7, (f"{number}?", rules)), 3: (8, ("a" * 20, f"{number}", rules))} for number in range(10)]
    orders = arrange_found([*rows, {}])
    assert orders[4] == {("4?", rules): (rules, "4?"), ("a" * 20, "4", rules): (rules, "a" * 20, "4")}
    assert orders[10] == {}
