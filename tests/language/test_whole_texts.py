"""Constrained generations of programs: grammars, limits of tokens, and texts that are whole when these are used up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from random import Random
from typing import Any

import pytest

import sglc
from sglc.automata.grammar import compile_grammar
from sglc.automata.token_constraint import compile_regex
from sglc.automata.token_limits import most_tokens, whole_texts
from sglc.errors import ProgramError, Unsupported
from tests.conftest import FULL

NESTED = 'start: "(" start ")" | "a" | start "," start'
LIST = 'start: item ("," " "? item)*\nitem: /[a-c]{1,3}/ | "x" tail\ntail: "y" tail | "z"'
DATE = r"\d{4}-\d\d-\d\d"
PATTERNS = [DATE, "(?:ab|cd){3,}", "[a-z]{2,40}!", '"(?:[^"\\\\]|\\\\.){4,}"', "(?:日本|x){2,} end"]


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[sglc.Engine, sglc.Engine]]:
    """An engine with drafts and one without cache and drafts, which is the meaning."""
    with (
        closing(sglc.Engine("replay:hash", kv_tokens=4096, check=True)) as engine,
        closing(sglc.Engine("replay:hash", kv_tokens=4096, cache=False, drafts=False)) as plain,
    ):
        yield engine, plain


def texts(engines: tuple[sglc.Engine, sglc.Engine], **asked: Any) -> list[str]:
    """Return what some rows generate: the same compiled, eagerly, and without cache and drafts."""

    @sglc.function
    def within(s, n):
        s += f"Value {n}: " + sglc.gen("x", **{"temperature": 1.5, **asked}) + ";"

    rows = [{"n": n} for n in range(4)]
    engine, plain = engines
    runs = [
        within.run_batch(rows, backend=engine),
        within.run_batch(rows, backend=engine, eager=True),
        within.run_batch(rows, backend=plain, eager=True),
    ]
    said = [[state["x"] for state in states] for states in runs]
    assert said[0] == said[1] == said[2]
    return said[0]


def error(engines: tuple[sglc.Engine, sglc.Engine], **asked: Any) -> ProgramError:
    """Return the error of a generation that computes nothing."""

    @sglc.function
    def within(s):
        s += "Value: " + sglc.gen("x", **asked)

    engine, _ = engines
    before = engine.counters.forward_passes
    with pytest.raises(ProgramError) as raised:
        within.run(backend=engine)["x"]
    assert engine.counters.forward_passes == before
    assert raised.value.location is not None
    assert raised.value.location.file == __file__
    return raised.value


def test_a_regular_grammar_constrains_the_text(engines: tuple[sglc.Engine, sglc.Engine]) -> None:
    language = compile_grammar(LIST)
    assert language.is_table
    for text in texts(engines, grammar=LIST, max_tokens=40):
        assert language.viable(text) == len(text)
    assert all(map(language.accepts, texts(engines, grammar=LIST, max_tokens=12, complete=True)))


def test_a_grammar_with_a_stack_constrains_the_text(engines: tuple[sglc.Engine, sglc.Engine]) -> None:
    language = compile_grammar(NESTED)
    assert not language.is_table
    for text in texts(engines, grammar=NESTED, max_tokens=30):
        assert language.viable(text) == len(text)


def test_a_faulty_grammar_is_an_error_at_its_line() -> None:
    with pytest.raises(ProgramError, match="line 1, column 8: found the undefined rule 'nowhere'") as raised:
        sglc.gen("x", grammar="start: nowhere")
    assert raised.value.location is not None
    assert raised.value.location.file == __file__


@pytest.mark.parametrize("other", [{"regex": "a"}, {"json_schema": "{}"}, {"dtype": int}])
def test_a_grammar_excludes_other_constraints(other: dict[str, Any]) -> None:
    with pytest.raises(ProgramError, match="found grammar beside dtype, regex or json_schema"):
        sglc.gen("x", grammar=LIST, **other)


def test_no_more_tokens_are_reckoned_with_than_the_longest_text_has(engines: tuple[sglc.Engine, sglc.Engine]) -> None:
    vocabulary = engines[0].vocabulary
    assert most_tokens(compile_regex(DATE, vocabulary).table) == 10
    assert most_tokens(compile_regex("(?:ab)*", vocabulary).table) is None
    assert most_tokens(compile_regex("a?", vocabulary).table) == 1
    assert all(re.fullmatch(DATE, text) for text in texts(engines, regex=DATE))
    assert all(re.fullmatch("x{0,3}", text) for text in texts(engines, regex="x{0,3}", min_tokens=2))


def test_a_constraint_that_takes_more_tokens_is_an_error_first(engines: tuple[sglc.Engine, sglc.Engine]) -> None:
    message = error(engines, regex="[ -]{500}", max_tokens=3).message
    assert re.search(r"found a shortest text of \d+ tokens; wanted at most 3", message)
    assert "shortest text" in error(engines, grammar='start: "日"~300 "."', max_tokens=20).message


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_complete_text_is_whole_within_its_tokens(engines: tuple[sglc.Engine, sglc.Engine], pattern: str) -> None:
    random = Random(pattern)
    constraint = compile_regex(pattern, engines[0].vocabulary)
    least = constraint.table.distance(constraint.start)
    assert least is not None
    for most in [least, *(least + random.randrange(12) for _ in range(9 if FULL else 1))]:
        for text in texts(engines, regex=pattern, max_tokens=most, complete=True, seed=most):
            assert re.fullmatch(pattern, text), (most, text)


def test_a_mask_is_that_of_the_tokens_that_are_left(engines: tuple[sglc.Engine, sglc.Engine]) -> None:
    constraint = compile_regex("a{2}|a{9}", engines[0].vocabulary)
    whole = whole_texts(constraint.table, 2)
    for token in constraint.allowed(constraint.start).nonzero()[0].tolist():
        after = constraint.advance(constraint.start, token)
        near = (constraint.table.distance(after) or 0) <= 1
        assert whole.allowed(whole.start)[token] == near
        if not near:
            with pytest.raises(ValueError, match="found 2 tokens left"):
                whole.advance(whole.start, token)


def test_complete_needs_a_table() -> None:
    with pytest.raises(Unsupported, match="complete: found grammar, which no token table serves"):
        sglc.gen("x", grammar=NESTED, complete=True)
    with pytest.raises(ProgramError, match="found complete without a constraint"):
        sglc.gen("x", complete=True)
