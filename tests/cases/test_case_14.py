"""Case 14: arguments are plain Python values inside a program."""

from typing import Any

import sglc
from sglc.language.function import SglFunction
from tests.cases.models import Models


def expect_prompts(models: Models, program: SglFunction, cases: dict[Any, str]) -> None:
    """Check that a program writes the given text before its generation for each argument."""
    for state, wanted in zip(models.run(program, [(value,) for value in cases]), cases.values(), strict=True):
        assert state.text() == wanted + state["x"]


def test_str(models: Models) -> None:
    """Through str()."""

    @sglc.function
    def show(s, value):
        s += "Value: " + str(value) + sglc.gen("x", max_tokens=2)

    expect_prompts(models, show, {7: "Value: 7", 2.5: "Value: 2.5", None: "Value: None", (1, "a"): "Value: (1, 'a')"})


def test_f_string(models: Models) -> None:
    """F-string."""

    @sglc.function
    def show(s, value):
        s += f"Value: {value:>6} {value!r}" + sglc.gen("x", max_tokens=2)

    expect_prompts(models, show, {"abc": "Value:    abc 'abc'", 12: "Value:     12 12"})


def test_percent(models: Models) -> None:
    """%."""

    @sglc.function
    def show(s, value):
        s += "Value: %05.1f%%" % value + sglc.gen("x", max_tokens=2)  # noqa: UP031 - what this is about

    expect_prompts(models, show, {3: "Value: 003.0%", 12.25: "Value: 012.2%"})


def test_format(models: Models) -> None:
    """.format."""

    @sglc.function
    def show(s, value):
        s += f"{value} and {value} and {value}" + sglc.gen("x", max_tokens=2)

    expect_prompts(models, show, {"a": "a and a and a", 1: "1 and 1 and 1"})


def test_arithmetic(models: Models) -> None:
    """Int arithmetic."""

    @sglc.function
    def show(s, value):
        s += f"{value} {value * 2 + 1} {value // 3} {-value % 4}" + sglc.gen("x", max_tokens=max(1, value - 5))

    expect_prompts(models, show, {7: "7 15 2 1", 3: "3 7 1 1"})


def test_len(models: Models) -> None:
    """Len."""

    @sglc.function
    def show(s, value):
        s += f"{len(value)} letters" + sglc.gen("x", max_tokens=len(value))

    expect_prompts(models, show, {"abc": "3 letters", "日本": "2 letters"})


def test_slicing(models: Models) -> None:
    """Slicing."""

    @sglc.function
    def show(s, value):
        s += "".join(value[1:3]) + "|" + "".join(value[::-1]) + sglc.gen("x", max_tokens=2)

    expect_prompts(models, show, {"abcd": "bc|dcba", ("x", "y"): "y|yx"})


def test_dict_lookup(models: Models) -> None:
    """Dict lookup."""
    prices = {"tea": 3, "cake": 5}

    @sglc.function
    def show(s, value):
        s += f"{value} costs {prices[value]}, {prices.get(value + 's', 'many cost more')}" + sglc.gen("x", max_tokens=2)

    expect_prompts(models, show, {"tea": "tea costs 3, many cost more", "cake": "cake costs 5, many cost more"})
