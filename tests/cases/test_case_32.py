"""Case 32: batches of rows."""

import time

import pytest

import sglc
from sglc.language import progress
from tests.cases.models import Models, line_marked


@sglc.function
def describe(s, thing, size="small", colour="red"):
    s += f"A {size} {colour} {thing}:" + sglc.gen("text", max_tokens=2)
    return thing


@sglc.function
def fussy(s, n):
    s += f"Row {n}:" + sglc.gen("before", max_tokens=2)
    if n == 5:
        raise ValueError(f"found {n}")  # refused
    s += sglc.gen("after", max_tokens=2)


def test_rows_as_dicts(models: Models) -> None:
    """run_batch: dicts."""
    rows = [{"thing": "hat"}, {"colour": "blue", "thing": "box"}, {"thing": "cup", "size": "big", "colour": "grey"}]
    heads = ["A small red hat:", "A small blue box:", "A big grey cup:"]
    states = models.run(describe, rows)
    assert [state.text() for state in states] == [h + s["text"] for h, s in zip(heads, states, strict=True)]


def test_rows_as_tuples_with_defaults(models: Models) -> None:
    """Tuples with defaults, lists too; a wrong number of values is that row's error."""
    rows = [("hat",), ("box", "big"), ["cup", "big", "grey"], ("a", "b", "c", "d"), ()]
    heads = ["A small red hat:", "A big red box:", "A big grey cup:"]
    states = models.run(describe, rows, failing=True)
    assert [state.text() for state in states[:3]] == [h + s["text"] for h, s in zip(heads, states, strict=False)]
    for number, state in enumerate(states[3:], 3):
        assert isinstance(state.error, sglc.ProgramError)
        assert state.error.message.startswith(f"row {number}: describe: found ")


def test_no_rows(models: Models) -> None:
    """Empty list."""
    models.engine.reset_counters()
    assert models.run(describe, []) == []
    assert models.engine.counters.requests == 0


def test_one_row(models: Models) -> None:
    """One item."""
    (state,) = models.run(describe, [("hat",)])
    assert state.index == 0
    assert state.text() == describe.run("hat").text()


def test_two_thousand_rows(models: Models) -> None:
    """2,000 items, from a generator, in input order, on one thread of programs."""

    @sglc.function
    def count(s, n):
        s += f"{n}:" + sglc.gen("x", max_tokens=1)
        return n

    states = count.run_batch(((n,) for n in range(2000)), temperature=0)
    assert [state.ret_value for state in states] == list(range(2000))
    assert all(state.error is None and state.text() == f"{n}:{state['x']}" for n, state in enumerate(states))
    some = [0, 999, 1999]
    alone = count.run_batch([(n,) for n in some], temperature=0, backend=models.reference)
    assert [states[n]["x"] for n in some] == [state["x"] for state in alone]


def test_generator_style(models: Models) -> None:
    """Generator style: rows are read as they are needed, states come in order."""
    read = []

    def rows():
        for n in range(30):
            read.append(n)
            yield (f"thing {n}",)

    states = describe.run_batch(rows(), generator_style=True, concurrency=4)
    first = next(states)
    assert first.index == 0
    assert len(read) < 30
    rest = list(states)
    assert [state.index for state in rest] == list(range(1, 30))
    assert [s.text() for s in (first, *rest)] == [s.text() for s in describe.run_batch([(f"thing {n}",) for n in read])]


def test_as_completed(models: Models) -> None:
    """As they finish: a slow row does not hold up the others."""

    @sglc.function
    def uneven(s, n):
        s += f"Row {n}" + sglc.gen("x", max_tokens=1 if n else 60, ignore_eos=True)

    indices = [state.index for state in uneven.run_batch([(n,) for n in range(5)], as_completed=True)]
    assert sorted(indices) == list(range(5))
    assert indices[-1] == 0


def test_a_progress_bar(models: Models, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress bar: on stderr, and nothing else changes."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)

    @sglc.function
    def slow(s, n):
        s += f"Row {n}:" + sglc.gen("x", max_tokens=2)
        sglc.call(time.sleep, 0.05)

    states = slow.run_batch([(n,) for n in range(3)], progress_bar=True)
    assert [state.text() for state in states] == [f"Row {n}:{state['x']}" for n, state in enumerate(states)]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert " of 3 rows, " in captured.err


def test_a_failing_row_stops_no_other(models: Models) -> None:
    """One failing item."""
    states = models.run(fussy, [(n,) for n in range(8)], failing=True)
    errors = [(n, state.error) for n, state in enumerate(states) if state.error is not None]
    ((number, error),) = errors
    assert number == 5
    assert isinstance(error, ValueError)
    assert str(error) == "found 5"
    assert sglc.errors.error_location(error) == line_marked(fussy, "refused")
    assert "before" in states[5] and "after" not in states[5]
    assert all("after" in state for state in states if state.index != 5)


def test_rows_wait_for_host_code_together(models: Models) -> None:
    """Host code marked with `call` lets other rows go on."""

    @sglc.function
    def slow(s, n):
        s += f"Row {n}: " + sglc.call(lambda: (time.sleep(0.02), str(n * n))[1]) + sglc.gen("x", max_tokens=1)

    started = time.perf_counter()
    states = slow.run_batch([(n,) for n in range(60)])
    assert time.perf_counter() - started < 60 * 0.02
    assert all(state.text() == f"Row {n}: {n * n}{state['x']}" for n, state in enumerate(states))
