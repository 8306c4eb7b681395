"""Arguments: their leaves stay symbolic; what a program asks of them picks the graph."""

from typing import Any

import pytest

import sglc
from sglc.language.capture import MAX_VARIANTS
from tests.cases.models import Models


def test_one_graph_serves_all_texts(models: Models) -> None:
    """A program that only uses its arguments' texts is captured once."""

    @sglc.function
    def greet(s, name, city="Rome"):
        s += f"{name.title():>12} of {city!r}: {len(name)}" + sglc.gen("x", max_tokens=1)

    models.run(greet, [("ada",), ("alan turing", "London"), ("é",)])
    assert [capture.tier for capture in greet.captures()] == ["captured"] * 2  # with and without a city


def test_the_length_of_a_list_is_the_structure(models: Models) -> None:
    """Lists of one length share a graph, whatever is in them."""

    @sglc.function
    def listed(s, items):
        for number, item in enumerate(items, 1):
            s += f"{number}. {item}\n"
        s += sglc.gen("x", max_tokens=1)

    rows = [(["a", "b"],), (["c", "d"],), (["e"],), ([],), (["f", "g"],)]
    models.run(listed, rows)
    captures = listed.captures()
    assert len(captures) == 3
    assert ("len(items) == 2",) in [capture.assumptions for capture in captures]


def test_keys_and_nesting(models: Models) -> None:
    """Dicts, lists of dicts, items(), get(), membership."""

    @sglc.function
    def nested(s, record, shots):
        for key, value in record.items():
            s += f"{key} is {value}. "
        s += record.get("name", "nobody") + (" old" if record.get("age", 0) > 30 else " young")
        s += "".join(f"\nQ: {shot['q']} A: {shot['a']}" for shot in shots)
        s += " has mail" if "mail" in record else " has none"

    shots = [{"q": "1+1?", "a": 2}, {"q": "2+2?", "a": 4.0}]
    rows = [
        ({"name": "Ada", "age": 36}, shots),
        ({"name": "Bob", "age": 20}, shots[:1]),
        ({"mail": "x", "age": 50}, []),
    ]
    models.run(nested, rows)


def test_values_that_decide_are_static(models: Models) -> None:
    """A number of rounds, a flag, a comparison."""

    @sglc.function
    def decided(s, rounds, verbose, mode):
        for i in range(rounds):
            s += f"{i}" + sglc.gen("x", max_tokens=1)
        if verbose and mode != "quiet":
            s += f" after {rounds} rounds"
        return rounds * 2

    rows = [(2, True, "loud"), (2, True, "soft"), (3, False, "loud"), (2, True, "quiet")]
    models.run(decided, rows)
    assert len(decided.captures()) == 3  # "loud" and "soft" are both not "quiet"


def test_beyond_the_bound_rows_are_eager(models: Models) -> None:
    """A graph a row would be too many; the others run in Python."""

    @sglc.function
    def counted(s, n):
        s += "x" * int(str(n)) + "".join(str(i) for i in range(n))

    states = models.run(counted, [(n,) for n in range(20)])
    assert len(counted.captures()) == MAX_VARIANTS
    assert states[15].text() == "x" * 15 + "".join(map(str, range(15)))


@pytest.mark.parametrize("values", [(1, True, 1.0), ("1", 1, None), (0.0, -0.0, False), ([1], (1,), "1")])
def test_values_that_are_equal_are_told_apart(models: Models, values: tuple[Any, ...]) -> None:
    """1 is not True, and 0.0 not -0.0."""

    @sglc.function
    def shown(s, value):
        names = {1: "one", "1": "text", None: "none"}
        s += f"{value} {value!r} " + type(value).__name__
        if not isinstance(value, list):
            s += names.get(value, "unknown")

    states = models.run(shown, [(value,) for value in values])
    assert [state.text().split()[0] for state in states] == [str(value).split()[0] for value in values]


def test_errors_of_arguments_are_errors_of_their_rows(models: Models) -> None:
    """One row converts, one does not; a handled error takes its own way."""

    @sglc.function
    def converted(s, number):
        s += f"{int(number) + 1}"

    @sglc.function
    def handled(s, number):
        try:
            value = int(number)
        except ValueError:
            value = -1
        s += f"{value}"

    rows = [("4",), ("four",), ("5",)]
    states = models.run(converted, rows, failing=True)
    assert [type(state.error) for state in states] == [type(None), ValueError, type(None)]
    assert [state.text() for state in models.run(handled, rows)] == ["4", "-1", "5"]


def test_symbolic_arguments_without_rows() -> None:
    """A program is traced without a row too: arguments are then as unknown as what is generated."""

    @sglc.function
    def flagged(s, text, loud: bool, count: int):
        s += text.upper() if loud else text
        s += f"{count + 1}"

    capture = flagged.trace()
    assert [str(argument) for argument in map(repr, capture.graph.arguments)] == [
        "%text: text",
        "%loud: bool",
        "%count: int",
    ]
    assert capture.tier == "captured"
    assert "branch" in capture.graph.text


def test_bound_arguments_are_arguments(models: Models) -> None:
    """A bound program shares its graphs with the one it was made of."""

    @sglc.function
    def both(s, a, b):
        s += f"{a}-{b}" + sglc.gen("x", max_tokens=1)

    models.run(both.bind(a="x"), [{"b": "y"}])
    models.run(both.bind(b="z"), [{"a": "y"}])
    assert len(both.captures()) <= 2
