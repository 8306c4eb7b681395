"""Lookarounds inside trees: they mind the whole text around them, wherever they stand."""

from __future__ import annotations

import re

import pytest

from sglc.automata.automaton import compile_regex, from_tree
from sglc.automata.dfa_algebra import equivalent
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import ANY_TEXT, Both, Look, Repeat, concat, literal
from sglc.errors import Unsupported


def test_a_lookahead_is_an_intersection_with_what_follows() -> None:
    looked = compile_regex(r"a(?=.*\d)(?!.*x)[a-z0-9]*").dfa
    built = from_tree(
        concat(literal("a"), Both(parse_regex(r"(?!.*x)[a-z0-9]*"), parse_regex(r"(?s).*\d.*"))), "a tree"
    ).dfa
    assert looked is not None and built is not None and equivalent(looked, built)


def test_a_body_is_all_of_the_text_on_its_side() -> None:
    tree = concat(ANY_TEXT, Look(literal("ab"), backward=True), ANY_TEXT, Look(literal("cd")), ANY_TEXT)
    automaton = from_tree(tree, "a tree")
    assert automaton.accepts("abxcd") and not automaton.accepts("xabcd") and not automaton.accepts("abcdx")


@pytest.mark.parametrize(
    ("pattern", "members", "others"),
    [
        (r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[\w!]{6,10}", ["aB3456", "!!!!a1B"], ["ab3456", "aB3", "AB1234"]),
        (r"(?:(?!--)[a-z-])+", ["a-b", "-"], ["a--b", "--"]),
        (r"(?:(?=a)\w|(?<=a)b)*", ["", "aab", "ababa"], ["b", "abb"]),
        (r".*\bfoo\b.*", ["foo", "a foo!", "-foo"], ["afoo", "foos", "fo o"]),
        (r"(?!con$|nul$)[a-z]+(?<!tmp)", ["cons", "n", "tmpa"], ["con", "nul", "atmp"]),
        (r"(?m)(?:^(?=\w+$).*\n?)+", ["ab\ncd", "a\n"], ["a b\nc", "\n"]),
        (r"(?=(?<=^)a|b)\w+", ["ab", "bc"], ["ca"]),
        (r"x(?=(?<=x)(?!\d)\w)\w", ["xy", "x_"], ["x1"]),
    ],
)
def test_members(pattern: str, members: list[str], others: list[str]) -> None:
    automaton = compile_regex(pattern)
    texts = members + others
    assert [text for text in texts if automaton.accepts(text)] == members
    assert [text for text in texts if re.fullmatch(pattern, text, re.ASCII)] == members


def test_lookarounds_beyond_the_budget_are_refused() -> None:
    with pytest.raises(Unsupported, match="assertions or intersections beyond 50,000 automaton states or 3 s"):
        compile_regex("(?=(a|b)*a(a|b){20})[ab]+")


def test_an_assertion_in_a_loop_is_cheap() -> None:
    automaton = compile_regex(r"(?:(?=[a-f]*z)[a-z]{3}|\b\d)*")
    assert automaton.dfa is not None and len(automaton.dfa) < 40
    assert automaton.accepts("") and from_tree(Repeat(Look(literal("")), 0, None), "a tree").accepts("")
