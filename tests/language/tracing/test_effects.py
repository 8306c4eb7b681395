"""What a trace must not do: host code that is not known to be pure runs once a row, in order, as in an eager run."""

import random
import threading
import types
from pathlib import Path
from typing import Any

import pytest

import sglc
from sglc.errors import Location
from tests.cases.models import Models, line_marked

COUNTS = {"calls": 0}
SUFFIX = "!"
EXAMPLES = ["one", "two"]


def counted(text: str) -> str:
    """Count its calls; nobody knows that it is no pure function but us."""
    COUNTS["calls"] += 1
    return text


def broken_at(program: Any, **arguments: Any) -> tuple[str, Location | None]:
    """Return the cause and place of a program's only eager region."""
    (found,) = program.trace(**arguments).breaks
    assert found.mend
    return found.cause, found.location


def test_an_unknown_function_is_not_called() -> None:
    """A function with an effect ends the graph at its line, before the effect."""
    COUNTS["calls"] = 0

    @sglc.function
    def effectful(s):
        s += "a" + sglc.gen("x", max_tokens=1)
        s += counted("b")

    cause, _ = broken_at(effectful)
    assert "outlives the program" in cause
    assert COUNTS["calls"] == 0


def test_effects_happen_once_a_row_in_order(models: Models) -> None:
    """Prints, appends and the like come out as in an eager run."""
    log: list[Any] = []

    @sglc.function
    def logging(s, n):
        s += f"{n}:" + sglc.gen("x", max_tokens=2)
        log.append((n, "asked"))
        s += s["x"] + sglc.gen("y", max_tokens=1)
        log.append((n, s["y"]))

    def logs(**how: Any) -> list[Any]:
        log.clear()
        logging.run_batch([(n,) for n in range(5)], backend=models.engine, temperature=0, **how)
        return sorted(log)

    assert logs() == logs(eager=True)
    assert len(log) == 10


@pytest.mark.parametrize(
    ("impure", "named"),
    [
        (lambda: print("x"), "print"),
        (lambda: random.random(), "random"),
        (lambda: Path("/tmp").exists(), "exists"),
        (lambda: threading.Lock().acquire(), "lock"),
        (lambda: eval("1"), "frame"),
    ],
)
def test_what_breaks_a_graph_is_named(impure: Any, named: str) -> None:
    """The cause says which call it was, the place is the program's line."""

    @sglc.function
    def impure_inside(s):
        s += "a"
        impure()  # here

    cause, place = broken_at(impure_inside)
    assert named in cause.lower()
    assert place is not None
    assert place.file == __file__


def test_globals_are_read_anew(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """A global that changes between two runs, and a list that changes inside."""

    @sglc.function
    def reading(s):
        s += "".join(EXAMPLES) + SUFFIX

    assert models.run_one(reading).text() == "onetwo!"
    monkeypatch.setattr(f"{__name__}.SUFFIX", "?")
    assert models.run_one(reading).text() == "onetwo?"
    EXAMPLES.append("three")
    try:
        assert models.run_one(reading).text() == "onetwothree?"
    finally:
        EXAMPLES.pop()
    assert models.run_one(reading).text() == "onetwo?"


class Settings:
    """Attributes that are read of a class."""

    prompt = "one"


def test_attributes_are_read_anew(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes of modules, classes and objects that change between two runs."""
    module = types.ModuleType("settings")
    module.prompt = "one"  # type: ignore[attr-defined]
    record = Settings()

    @sglc.function
    def of_a_module(s):
        s += module.prompt

    @sglc.function
    def of_a_class(s):
        s += Settings.prompt

    @sglc.function
    def of_an_object(s):
        s += record.prompt

    def helper() -> None:
        """Have an attribute."""

    @sglc.function
    def of_a_function(s):
        s += helper.prompt  # type: ignore[attr-defined]

    @sglc.function
    def of_an_argument(s, settings):
        s += settings.prompt

    for owner, program, row in (
        (module, of_a_module, {}),
        (Settings, of_a_class, {}),
        (record, of_an_object, {}),
        (helper, of_a_function, {}),
        (record, of_an_argument, {"settings": record}),
    ):
        monkeypatch.setattr(owner, "prompt", "one", raising=False)
        assert models.run_one(program, **row).text() == "one"
        assert program.captures()[-1].tier in ("captured", "specialized")
        monkeypatch.setattr(owner, "prompt", "two")
        assert models.run_one(program, **row).text() == "two"


def bump(n: int) -> int:
    """Change a global."""
    COUNTS["calls"] += n
    return n


def test_a_call_that_changes_what_is_read_behind_it(models: Models) -> None:
    """What host code changes is seen by the rest of its row, and by the next one."""

    @sglc.function
    def watching(s, n):
        s += f"call {sglc.call(bump, n)}"
        s += f" after {COUNTS['calls']}"

    COUNTS["calls"] = 0
    texts = [watching.run(n=n, backend=models.engine).text() for n in (1, 2, 3)]
    assert texts == ["call 1 after 1", "call 2 after 3", "call 3 after 6"]


def test_a_call_that_changes_what_was_read_before(models: Models) -> None:
    """What was read stays what it was then."""

    @sglc.function
    def counting(s, n):
        s += f"before {COUNTS['calls']}"
        s += f" call {sglc.call(bump, n)}"

    COUNTS["calls"] = 0
    texts = [counting.run(n=n, backend=models.engine).text() for n in (1, 2, 3)]
    assert texts == ["before 0 call 1", "before 1 call 2", "before 3 call 3"]


def test_a_call_that_changes_what_is_read_on_both_sides(models: Models) -> None:
    """Such a row can't go on in its graph, nor begin anew: it is refused with a sentence, and later ones are eager."""

    @sglc.function
    def watching(s, n):
        s += f"before {COUNTS['calls']}"
        s += f" call {sglc.call(bump, n)}"
        s += f" after {COUNTS['calls']}"

    COUNTS["calls"] = 0
    with pytest.raises(sglc.ProgramError, match="changed 'COUNTS', which the program had read; wanted it passed in"):
        watching.run(n=1, backend=models.engine)
    assert COUNTS["calls"] == 1
    assert watching.run(n=1, backend=models.engine, eager=True).text() == "before 1 call 1 after 2"


def test_calls_are_captured(models: Models) -> None:
    """Functions, methods, lambdas and what they enclose; keywords; results that decide."""

    class Tool:
        def __init__(self, sign: str) -> None:
            self.sign = sign

        def run(self, text: str, times: int = 1) -> str:
            return (self.sign + text) * times

    tool = Tool("#")

    @sglc.function
    def calling(s, n):
        s += f"{n}:" + sglc.gen("x", max_tokens=2)
        local = "local " + s["x"]
        s += sglc.call(tool.run, s["x"], times=2)
        s += sglc.call(lambda: local.upper() + str(n))
        if sglc.call(lambda text: len(text) % 2 == 0, s["x"]):
            s += " even"
        for i in range(3):
            s += sglc.call(lambda i=i: "")
            s += sglc.call(lambda: str(i))  # noqa: B023 - what it encloses then
        return sglc.call(dict, a=1)

    models.run(calling, [(n,) for n in range(6)])
    assert calling.trace(n=1).tier in ("captured", "partly eager")


def test_calls_run_once_even_if_the_row_leaves(models: Models) -> None:
    """A row that can't go on in its graph is served what its calls gave."""
    COUNTS["calls"] = 0

    @sglc.function
    def leaving(s, n):
        s += f"{n}:" + sglc.gen("x", max_tokens=2)
        got = sglc.call(counted, s["x"])
        try:
            value = int(got)
        except ValueError:
            value = -n
        s += f"{value}" + sglc.gen("y", max_tokens=1)
        return value

    assert leaving.trace(n=1).tier == "captured"
    states = leaving.run_batch([(n,) for n in range(8)], backend=models.engine)
    assert COUNTS["calls"] == 8
    models.run(leaving, [(n,) for n in range(8)])
    assert all(state.ret_value == -state.index for state in states if not state["x"].strip().isdigit())


def test_errors_have_their_line(models: Models) -> None:
    """What raises behind a generation raises as in an eager run, at the program's line."""

    @sglc.function
    def failing(s):
        s += "?" + sglc.gen("x", max_tokens=3)
        return int(s["x"] + "no number")  # fails

    (state,) = models.run(failing, [{}], failing=True)
    assert isinstance(state.error, ValueError)
    assert sglc.errors.error_location(state.error) == line_marked(failing, "fails")


def test_a_program_that_swallows_signals(models: Models) -> None:
    """A bare except does not keep a graph from ending."""

    @sglc.function
    def swallowing(s, words):
        s += "a"
        try:
            print(end="")
        except:  # noqa: E722 - what this is about
            s += "swallowed"
        s += "b"

    capture = swallowing.trace(words=["x"])
    assert capture.tier == "partly eager"
    assert models.run_one(swallowing, words=["x"]).text() == "ab"


def test_arguments_are_not_changed(models: Models) -> None:
    """A program that changes its argument does so in an eager region, once."""

    @sglc.function
    def changing(s, items):
        s += "a"
        items.append("new")
        s += ",".join(items)

    items = ["old"]
    assert changing.run(items=items, backend=models.engine).text() == "aold,new"
    assert items == ["old", "new"]
