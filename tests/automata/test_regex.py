"""Regexes: the same members as Python's `re`, the same viable prefixes as brute force, and clear refusals."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sglc.automata.languages import check_regex, dtype_pattern
from sglc.errors import ProgramError, Unsupported
from tests.automata.texts import accepts, completion, regex, viable_length

ALPHABET = "aBé\n0 "
TEXTS = ["".join(chars) for length in range(4) for chars in product(ALPHABET, repeat=length)]

ATOMS = ["a", "B", "é", "0", r"\n", ".", "[aé]", "[^a]", "[^é0-9]", r"\d", r"\W", r"[\s\w]", "(?:)"]
ANCHORS = ["^", "$", r"\A", r"\Z"]
QUANTIFIERS = ["*", "+", "?", "{2}", "{1,2}", "{,2}", "*?", "+?", "{0}"]
GROUPS = ["({})", "(?:{})", "(?i:{})", "(?m:{})", "(?s:{})", "(?P<x>{})|a", "(?:{}|)"]


def patterns() -> st.SearchStrategy[str]:
    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.lists(inner, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})"),
            st.builds("(?:{}){}".format, inner, st.sampled_from(QUANTIFIERS)),
            st.builds(str.format, st.sampled_from(GROUPS), inner),
        )

    return st.recursive(st.one_of(st.sampled_from(ATOMS), st.sampled_from(ATOMS + ANCHORS)), grow, max_leaves=8)


@settings(max_examples=250, deadline=None)
@given(patterns())
def test_members_and_viable_prefixes_are_those_of_python(pattern: str) -> None:
    assume(pattern.count("?P<x>") < 2)
    oracle = re.compile(pattern, re.ASCII)
    members = {text for text in TEXTS if oracle.fullmatch(text)}
    try:
        automaton = regex(pattern)
    except ProgramError:  # the empty language
        assert not members
        return
    begun = {member[:length] for member in members for length in range(len(member) + 1)}
    for text in TEXTS:
        state = automaton.walk(automaton.start, text.encode())
        assert automaton.accepts(state) == (text in members), text
        assert bool(state) or text not in begun, text
        if state:  # whatever is said to be viable has a member to show for it
            assert oracle.fullmatch(text + completion(automaton, state).decode()), text


@pytest.mark.parametrize(
    ("pattern", "members", "others"),
    [
        ("^ab$", ["ab"], ["ab\n", "a"]),
        ("(?:^a|b)+", ["a", "ab", "bb"], ["ba", "aa"]),
        (r"a$\n?", ["a", "a\n"], ["a\n\n"]),
        (r"(?m)a$\n^b", ["a\nb"], ["ab", "a\n"]),
        (r"a\Zb|c", ["c"], ["ab", "a"]),
        ("(?m)[^x](?:^z)?", ["\t", "\n", "a", "\nz"], ["x", "az"]),
        ("日本語+|[あ-ん]{2}", ["日本語語", "ひら"], ["日本", "ひ", "カタ"]),
        ("[^a-z]", ["🙂", "é", "\n"], ["a", "🙂🙂"]),
        (".", ["\U0010ffff", "\ud7ff", "\x00"], ["\n", ""]),
        ("(?i)k[à-ü]", ["Kà", "kü"], ["KÀ", "\u212aà"]),  # ASCII folding: no Kelvin sign
        (r"\d+", ["09"], ["٣"]),
        ("a*?b??", ["", "aab"], ["bb"]),
    ],
)
def test_members(pattern: str, members: list[str], others: list[str]) -> None:
    automaton = regex(pattern)
    assert [text for text in members + others if accepts(automaton, text)] == members


@pytest.mark.parametrize(
    ("pattern", "construct", "position"),
    [
        ("a(?=b)", "lookaround", 1),
        ("a(?<!b)c", "negative lookaround", 1),
        (r"[(?=](a)\1", "backreference", 8),
        (r"(?P<q>a)(?P=q)", "backreference", 8),
        (r"\\b\b", "word boundary", 3),
        (r"a\B", "non-boundary", 1),
        ("(?>a)", "atomic group", 0),
        ("a++", "possessive", 1),
        ("(a)?(?(1)b|c)", "conditional group", 4),
        ("(?u)a", "flag u", 0),
    ],
)
def test_what_no_automaton_follows_is_refused_by_name_and_place(pattern: str, construct: str, position: int) -> None:
    with pytest.raises(Unsupported, match=f"{construct}.* at position {position};"):
        check_regex(pattern)


@pytest.mark.parametrize(("pattern", "position"), [("a(b", 1), ("[z-a]", 1), ("*", 0), ("a{2,1}", 2), ("[", 0)])
def test_an_invalid_pattern_is_a_sentence_with_its_place(pattern: str, position: int) -> None:
    with pytest.raises(ProgramError, match=f"found .* at position {position}; wanted"):
        check_regex(pattern)


@pytest.mark.parametrize("pattern", ["a{99999999999}", "a^b", r"\Zb", "[^\\s\\S]"])
def test_a_pattern_without_members_or_sense_is_refused(pattern: str) -> None:
    with pytest.raises(ProgramError, match=r"found .*; wanted"):
        check_regex(pattern)


@pytest.mark.parametrize("pattern", ["(?:a{1000}){1000}", "(?:.{0,1000}){0,1000}", "(?:^){1000000000}"])
def test_repeats_beyond_the_budget_are_refused_before_they_are_written_out(pattern: str) -> None:
    with pytest.raises(Unsupported, match="more than 50,000 automaton states"):
        check_regex(pattern)


def test_empty_repeats_cost_nothing() -> None:
    assert accepts(regex("(?:){4000000000}a"), "a")


@pytest.mark.parametrize(
    ("dtype", "members", "others"),
    [
        (int, ["-12", "+0", "7 \n"], ["", "1.0", " 1"]),
        ("float", ["1", "-1.5", ".5 ", "3\n"], ["1.", "1e5", "."]),
        (bool, ["True", "False"], ["true", "True "]),
        ("str", ['""', r'"a\n\u00e9"', '"日本"'], ['"', '"a', '"\n"', r'"\x"']),
    ],
)
def test_dtypes(dtype: type | str, members: list[str], others: list[str]) -> None:
    automaton = regex(dtype_pattern(dtype))
    assert [text for text in members + others if accepts(automaton, text)] == members


@pytest.mark.parametrize("dtype", [list, "list", None, 3])
def test_another_dtype_is_refused(dtype: object) -> None:
    with pytest.raises(ValueError, match="wanted int, float, str or bool"):
        dtype_pattern(dtype)  # type: ignore[arg-type]


def test_a_prefix_is_viable_as_far_as_some_member_goes() -> None:
    automaton = regex(r"(?:ab|a(?:c|[^\s\S]))日")
    assert [viable_length(automaton, text) for text in ("abx", "ac日", "ad", "日")] == [2, 3, 1, 0]
