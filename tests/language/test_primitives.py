"""What programs append: arguments are checked where they are written, expressions add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sglc
from sglc.errors import ProgramError, Unsupported
from tests.language.conftest import assert_located

WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: sglc.gen("a", max_tokens=-1), "max_new_tokens: found -1"),
    (lambda: sglc.gen("a", max_tokens=1.5), "max_new_tokens: found 1.5"),  # type: ignore[arg-type]
    (lambda: sglc.gen("a", temperature=-0.1), "temperature: found -0.1"),
    (lambda: sglc.gen("a", temperature=float("nan")), "temperature: found nan"),
    (lambda: sglc.gen("a", top_p=0), "top_p: found 0"),
    (lambda: sglc.gen("a", top_p=1.1), "top_p: found 1.1"),
    (lambda: sglc.gen("a", top_k=0), "top_k: found 0"),
    (lambda: sglc.gen("a", min_p=2), "min_p: found 2"),
    (lambda: sglc.gen("a", frequency_penalty=3), "frequency_penalty: found 3"),
    (lambda: sglc.gen("a", repetition_penalty=0), "repetition_penalty: found 0"),
    (lambda: sglc.gen("a", n=0), "n: found 0"),
    (lambda: sglc.gen("a", max_tokens=2, min_tokens=3), "min_new_tokens: found 3"),
    (lambda: sglc.gen("a", stop=""), "stop: found ''"),
    (lambda: sglc.gen("a", stop=["x"] * 33), "stop: found 33 entries"),
    (lambda: sglc.gen("a", stop_token_ids=["x"]), "stop_token_ids: found 'x'"),  # type: ignore[list-item]
    (lambda: sglc.gen("a", logit_bias=[1, 2]), "logit_bias: found"),  # type: ignore[arg-type]
    (lambda: sglc.gen("a", regex="("), "("),
    (lambda: sglc.gen("a", regex="a", dtype=int), "more than one of dtype, regex and json_schema"),
    (lambda: sglc.gen("a", dtype=list), "list"),
    (lambda: sglc.gen("a", json_schema="{"), "not JSON"),
    (lambda: sglc.gen("a", choices=[]), "found choices = []"),
    (lambda: sglc.select("a", choices=[]), "found choices = []"),
    (lambda: sglc.select("a"), "found choices = None"),
    (lambda: sglc.select("a", choices="yes"), "found choices = 'yes'"),
    (lambda: sglc.select("a", choices=["x", ""]), "found the choice ''"),
    (lambda: sglc.select("a", choices=["x", 3]), "found the choice 3"),  # type: ignore[list-item]
    (lambda: sglc.select("a", choices=["x"], temperature=0.5), "choosing is not sampling"),
    (lambda: sglc.select("a", choices=["x"], choices_method="best"), "choices_method = 'best'"),  # type: ignore[arg-type]
    (lambda: sglc.separate_reasoning(sglc.gen("a"), "nobody"), "model_type = 'nobody'"),
    (lambda: sglc.separate_reasoning(sglc.gen(), "qwen3"), "without a name"),
    (lambda: sglc.gen("a") + 3, "found 3 of type int"),
    (lambda: sglc.user(["x"]), "of type list"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("write", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_wrong_argument_is_found_where_it_is_written(write: Callable[[], Any], words: str) -> None:
    with pytest.raises(ProgramError) as caught:
        write()
    assert words in caught.value.message
    assert "wanted" in caught.value.message or "found" not in caught.value.message
    assert caught.value.location == (__file__, write.__code__.co_firstlineno)


@pytest.mark.parametrize("refused", [sglc.image, sglc.video])
def test_media_are_refused(refused: Callable[[str], Any]) -> None:
    with pytest.raises(Unsupported, match="processor") as caught:
        refused("cat.png")  # media
    assert_located(caught.value, __file__, "media")


def test_remote_backends_are_refused() -> None:
    with pytest.raises(Unsupported, match=r"sglc\.Engine"):
        sglc.OpenAI  # noqa: B018
    with pytest.raises(AttributeError):
        sglc.nothing_like_it  # noqa: B018


def test_a_list_handed_over_is_not_kept(engine: sglc.Engine) -> None:
    stops, choices = ["zz"], ["a", "b"]
    generation, choice = sglc.gen("x", max_tokens=4, stop=stops), sglc.select("y", choices=choices)
    stops.append("e")
    choices.clear()

    @sglc.function
    def program(s: Any) -> None:
        s += "Q" + generation + choice

    assert program.run()["y"] in ("a", "b")
    assert stops == ["zz", "e"]


def test_expressions_add_up_on_both_sides(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: Any) -> None:
        part = "a" + sglc.gen("x", max_tokens=2) + "b"
        s += part + ("c" + sglc.unordered("d", sglc.gen("y", max_tokens=2), "e"))

    state = program.run()
    assert state.text() == f"a{state['x']}bcd{state['y']}e"


def test_an_expression_can_be_used_twice(engine: sglc.Engine) -> None:
    part = sglc.gen("x", max_tokens=3, temperature=1.0)

    @sglc.function
    def program(s: Any) -> list[str]:
        said = []
        for _ in range(3):
            s += "|" + part
            said.append(s["x"])
        return said

    state = program.run()
    assert state.text() == "|" + "|".join(state.ret_value)


def test_nothing_but_text_and_expressions_is_appended(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: Any) -> None:
        s += 5  # appended

    with pytest.raises(ProgramError, match="found 5 of type int; wanted text or an expression") as caught:
        program.run()
    assert_located(caught.value, __file__, "appended")


def test_parameters_without_a_name_are_refused() -> None:
    with pytest.raises(ProgramError, match="found t as the first parameter of program; wanted s"):

        @sglc.function
        def program(t: Any) -> None: ...


def test_function_takes_arguments_or_none(engine: sglc.Engine) -> None:
    @sglc.function(num_api_spec_tokens=16)
    def program(s: Any, *, word: str = "hi") -> None:
        s += word

    assert program.num_api_spec_tokens == 16
    assert program.run().text() == "hi"
    assert program.bind(word="ho").run().text() == "ho"


def test_arguments_are_checked(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: Any, a: str, b: str = "b") -> None:
        s += a + b

    assert program.run("x").text() == "xb"
    assert program.run("x", b="y").text() == "xy"
    for call, words in [
        (lambda: program.run(), "found no 'a'; wanted the arguments: a, b (optional)"),
        (lambda: program.run("x", c=1), "found the argument 'c'"),
        (lambda: program.run("x", a="y"), "found the argument 'a' twice"),
        (lambda: program.run("x", "y", "z"), "found 3 arguments in a row"),
        (lambda: program.bind(c=1), "found the argument 'c'"),
        (lambda: program.run("x", temperature=-1), "temperature: found -1"),
    ]:
        with pytest.raises(ProgramError) as caught:
            call()
        assert words in caught.value.message
        assert caught.value.location == (__file__, call.__code__.co_firstlineno)


def test_a_stop_pattern_that_is_none_is_refused_where_it_is_written(engine: sglc.Engine) -> None:
    with pytest.raises(ProgramError, match=r"stop_regex: found '\(' \(.*\); wanted a regular expression"):
        sglc.gen("a", stop_regex="(")


def test_a_bias_that_is_no_number_is_refused(engine: sglc.Engine) -> None:
    for bias in ({5: float("nan")}, {5: "much"}):
        with pytest.raises(ProgramError, match=r"logit_bias: found .*; wanted a dict of token id to number"):
            sglc.gen("a", logit_bias=bias)
