"""The peak is the most that rows take in any step of their courses."""

from __future__ import annotations

import random

import pytest

from sglc.backend.peak import Course, peak


def taken(course: Course, step: int) -> float:
    """Return the most that a row has taken at a time, before it gives all back."""
    own, parts = course
    total = 0.0
    for number, (at_once, steps) in enumerate(parts, 1):
        total += at_once
        if step < steps or (step == steps and number == len(parts)):
            return total + step
        step -= int(steps)
        total += steps
    return -own


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_a_walk_through_all_steps(seed: int) -> None:
    rng = random.Random(seed)
    courses = [
        Course(rng.randint(0, 50), [(rng.randint(0, 30), rng.randint(1, 20)) for _ in range(rng.randint(1, 4))])
        for _ in range(rng.randint(1, 12))
    ]
    assert peak(courses) == max(sum(taken(course, step) for course in courses) for step in range(100))


def test_rows_that_end_in_turn_need_less_than_the_sum_of_their_peaks() -> None:
    early, late = Course(100, [(0, 10)]), Course(0, [(0, 10), (90, 10)])
    assert peak([early, late]) == 110
    assert peak([early, late]) < peak([early]) + peak([late])


def test_nothing_takes_nothing() -> None:
    assert peak([]) == 0
    assert peak([Course(5, [(0, 0)])]) == 0
