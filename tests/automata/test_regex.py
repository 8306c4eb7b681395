"""Regexes: the same members as Python's `re`, the same viable prefixes as brute force, and clear refusals."""

from __future__ import annotations

import os
import re
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sglc.automata.automaton import Automaton, compile_regex
from sglc.automata.dfa_facts import distance_to_end
from sglc.errors import ProgramError, Unsupported

EXAMPLES = 5000 if os.environ.get("SGLC_TEST_FULL") == "1" else 120
ALPHABET = "aBé\n0 "
TEXTS = ["".join(chars) for length in range(4) for chars in product(ALPHABET, repeat=length)]

ATOMS = ["a", "B", "é", "0", r"\n", ".", "[aé]", "[^a]", "[^é0-9]", r"\d", r"\W", r"[\s\w]", "(?:)"]
ANCHORS = ["^", "$", r"\A", r"\Z"]
ASSERTIONS = [*ANCHORS, r"\b", r"\B", "(?<=a)", "(?<!é)", "(?<=^a)", r"(?<![\n0]a)", "(?<=.a)"]
QUANTIFIERS = ["*", "+", "?", "{2}", "{1,2}", "{,2}", "*?", "+?", "{0}"]
GROUPS = ["({})", "(?:{})", "(?i:{})", "(?m:{})", "(?s:{})", "(?P<x>{})|a", "(?:{}|)"]
LOOKAHEADS = ["(?={})", "(?!{})", "(?=.*{})", "(?!.*{}$)"]


def patterns(assertions: list[str], groups: list[str]) -> st.SearchStrategy[str]:
    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.lists(inner, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})"),
            st.builds("(?:{}){}".format, inner, st.sampled_from(QUANTIFIERS)),
            st.builds(str.format, st.sampled_from(groups), inner),
        )

    return st.recursive(st.one_of(st.sampled_from(ATOMS), st.sampled_from(ATOMS + assertions)), grow, max_leaves=8)


def agrees_with_python(pattern: str) -> None:
    """Check members and viable prefixes of TEXTS; whatever is said to be viable has a member to show for it."""
    oracle = re.compile(pattern, re.ASCII)
    members = {text for text in TEXTS if oracle.fullmatch(text)}
    automaton = compile_regex(pattern)
    assert automaton.dfa is not None
    assert not (automaton.is_empty and members)
    begun = {member[:length] for member in members for length in range(len(member) + 1)}
    for text in TEXTS:
        assert automaton.accepts(text) == (text in members), text
        state = automaton.dfa.walk(automaton.dfa.start, text.encode())
        assert bool(state) == (automaton.viable(text) == len(text))
        assert bool(state) or text not in begun, text
        if state:
            assert oracle.fullmatch(text + completion(automaton, state)), text


def completion(automaton: Automaton, state: int) -> str:
    """Return the shortest text that leads from a live state to a member."""
    assert automaton.dfa is not None
    distance, text = distance_to_end(automaton.dfa), b""
    while distance[state]:
        after = automaton.dfa.table[state, automaton.dfa.classes]
        text += bytes([int(distance[after].argmin())])
        state = int(after[text[-1]])
    return text.decode()


@settings(max_examples=EXAMPLES, deadline=None)
@given(patterns(ANCHORS, GROUPS))
def test_members_and_viable_prefixes_are_those_of_python(pattern: str) -> None:
    assume(pattern.count("?P<x>") < 2)
    agrees_with_python(pattern)


@settings(max_examples=EXAMPLES, deadline=None)
@given(patterns(ASSERTIONS, [*GROUPS, *LOOKAHEADS]))
def test_lookarounds_are_those_of_python(pattern: str) -> None:
    assume(pattern.count("?P<x>") < 2)
    agrees_with_python(pattern)


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
    automaton = compile_regex(pattern)
    assert [text for text in members + others if automaton.accepts(text)] == members


@pytest.mark.parametrize(
    "pattern",
    [
        "[aé]*+a?",
        "(?:a.){1,2}+a",
        r"(?:a|é)?+\w",
        "a{2}+a?",
        r"(?:\b)*+a",
        "(?>a|aB)B?",
        "(?>aB|a)B?",
        "(?>a(?:é|é0))0?",
        "(?>(?=a).)B",
        "(?>a(?>B*))B?",
        r"(?>a(?:a|B)+|\w)0?",
    ],
)
def test_what_gives_nothing_back_is_as_in_python(pattern: str) -> None:
    agrees_with_python(pattern)


@pytest.mark.parametrize(
    "pattern", [r"(?u)\w\d*", r"(?u)\s", r"(?ui)[kß]", r"(?ui)[^ſ]", r"(?u)\bé", r"(?i)(?u:Σ)\w", r"(?u:\w)\w"]
)
def test_unicode_on_request_is_that_of_python(pattern: str) -> None:
    oracle = re.compile(pattern, re.ASCII if "(?u:" in pattern else 0)
    chars = "aBéÉ日٣\u00a0\u2003kK\u212asSſßẞσςΣ_- "
    automaton = compile_regex(pattern)
    for text in [*chars, *map("".join, product(chars, repeat=2))]:
        assert automaton.accepts(text) == bool(oracle.fullmatch(text)), text


@pytest.mark.parametrize(
    ("pattern", "construct", "position"),
    [
        (r"[(?=](a)\1", "backreference", 8),
        (r"(?P<q>a)(?P=q)", "backreference", 8),
        ("(?>a*b)", "atomic group", 0),
        ("(?:a|bc)++", "possessive", 8),
        ("(a)?(?(1)b|c)", "conditional group", 4),
        ("a(?<=a(?=b))", "lookbehind that looks ahead", 1),
        (r"(?<!\b)a", "lookbehind that looks ahead", 0),
        ("(?:x{3}y{2,70000}){2}", "70,000 repeats", 8),
    ],
)
def test_what_no_automaton_follows_is_refused_by_name_and_place(pattern: str, construct: str, position: int) -> None:
    with pytest.raises(Unsupported, match=f"{construct}.* at position {position}[;)]"):
        compile_regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "position"), [("a(b", 1), ("[z-a]", 1), ("*", 0), ("a{2,1}", 2), ("[", 0), ("b(?<=a*)", 1)]
)
def test_an_invalid_pattern_is_a_sentence_with_its_place(pattern: str, position: int) -> None:
    with pytest.raises(ProgramError, match=f"found .* at position {position}; wanted"):
        compile_regex(pattern)


@pytest.mark.parametrize("pattern", ["a^b", r"\Zb", "[^\\s\\S]", "a(?!a|$)$", r"(?<=b)a"])
def test_the_empty_language_has_nothing_viable(pattern: str) -> None:
    automaton = compile_regex(pattern)
    assert automaton.is_empty and not automaton.accepts("") and automaton.viable("a") == -1


def test_more_repeats_than_python_counts_are_refused() -> None:
    with pytest.raises(ProgramError, match="found that the repetition number is too large; wanted fewer repeats"):
        compile_regex("a{99999999999}")


@pytest.mark.parametrize("pattern", ["(?:a{1000}){1000}", "(?:.{0,1000}){0,1000}", "(?:^){1000000000}"])
def test_repeats_beyond_the_budget_are_refused_before_they_are_written_out(pattern: str) -> None:
    with pytest.raises(Unsupported, match="more than 50,000 automaton states"):
        compile_regex(pattern)


@pytest.mark.parametrize("pattern", ["a" * 1_000_000, "a" * 60_000, "(" * 5000 + ")" * 5000])
def test_a_huge_pattern_is_refused_in_few_words(pattern: str) -> None:
    with pytest.raises(Unsupported, match=r"found .*; wanted") as refusal:
        compile_regex(pattern)
    assert len(str(refusal.value)) < 1000


def test_empty_repeats_cost_nothing() -> None:
    assert compile_regex("(?:){4000000000}a").accepts("a")


@pytest.mark.parametrize("of_type", [str, bytes])
def test_a_prefix_is_viable_as_far_as_some_member_goes(of_type: type) -> None:
    automaton = compile_regex(r"(?:ab|a(?:c|[^\s\S]))日")
    texts = ["abx", "ac日", "ad", "日", "ab時"]
    if of_type is str:
        assert [automaton.viable(text) for text in texts] == [2, 3, 1, 0, 2]
    else:
        assert [automaton.viable(text.encode()) for text in texts] == [2, 5, 1, 0, 3]


def test_states_on_demand_beyond_the_budget() -> None:
    automaton = compile_regex("(a|b)*a(a|b){20}é")
    assert automaton.dfa is None and not automaton.is_empty
    assert automaton.accepts("aa" + "b" * 20 + "é") and not automaton.accepts("b" * 22 + "é")
    assert automaton.viable("ab" * 30 + "x") == 60 and automaton.viable("aa" + "b" * 20 + "è") == 22
