"""While programs are under way Python's collector is patient; behind them all is as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import sglc
from sglc.backend.collector import PatientCollector


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    """Begin with Python's own settings, and leave what was found."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_patient_while_entered() -> None:
    """However often it is entered, and however it is left."""
    collector = PatientCollector()
    with suppress(KeyError), collector:
        with collector:
            assert gc.get_threshold() == (20_000, 10, 10)
        assert gc.get_threshold() == (20_000, 10, 10)
        raise KeyError
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("given", [(0, 10, 10), (100_000, 5, 5)])
def test_what_the_user_has_set_stays(given: tuple[int, int, int]) -> None:
    """A collector that was stopped, or is more patient, is left alone."""
    gc.set_threshold(*given)
    with PatientCollector():
        assert gc.get_threshold() == given
    assert gc.get_threshold() == given


def test_what_is_set_meanwhile_stays() -> None:
    """A setting made by a program is its own."""
    with PatientCollector():
        gc.set_threshold(500, 10, 10)
    assert gc.get_threshold() == (500, 10, 10)


def test_programs_run_with_it() -> None:
    """Bodies run with a patient collector; whoever runs them has the old one back."""

    @sglc.function
    def program(s: Any) -> int:
        s += "x" + sglc.gen("a", max_tokens=2)
        return gc.get_threshold()[0]

    with sglc.Engine("replay:hash") as engine:
        assert program.run(backend=engine, eager=True).ret_value == 20_000
    assert gc.get_threshold() == (700, 10, 10)
