"""Stops are found where they first begin, however the text arrives, and streams never show a part of one."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sglc.backend.stops import Match, StopMatcher, stop_matcher

TEXTS = st.text("ab1 \n好", max_size=30)
STOPS = st.lists(st.text("ab1 \n好", min_size=1, max_size=4), max_size=3)
KINDS = ["[0-9]", "ab?", r"\n\n", "a{2,4}b", "(?i)B", "b+", "x*1?"]
LOOKING_AROUND = ["a(?=b)", "a(?=bb)", "b(?!a)", "(?<=1)a", r"a\B", r" \b"]
PATTERNS = st.lists(st.sampled_from([*KINDS, *LOOKING_AROUND]), max_size=2)


def grow(matcher: StopMatcher, pieces: list[str]) -> tuple[str, Match | None, list[int]]:
    """Feed pieces until a stop is found; return the text, the stop, and what was safe to show before it."""
    text, safe = "", [0]
    for piece in pieces:
        old = len(text)
        text += piece
        match = matcher.find(text, old)
        if match is not None:
            return text, match, safe
        safe.append(matcher.safe_length(text))
    return text, None, safe


def leftmost(text: str, strings: list[str], patterns: list[str]) -> int | None:
    """Return where the first stop begins, looking at the whole text."""
    starts = [text.find(stop) for stop in strings if stop in text]
    for pattern in patterns:
        starts += [found.start() for found in re.finditer(pattern, text) if found.group()]
    return min(starts, default=None)


def in_pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]


@given(text=TEXTS, strings=STOPS, patterns=PATTERNS, cuts=st.lists(st.integers(0, 30), max_size=12))
@example(text="aab", strings=[], patterns=["a(?=b)"], cuts=[1, 2])
@example(text="aabb", strings=[], patterns=["a(?=bb)"], cuts=[1, 2, 3])
@example(text="bab1", strings=[], patterns=["x*1?"], cuts=[])
@settings(max_examples=400, deadline=None)
def test_a_stop_is_found_as_soon_as_it_is_there(
    text: str, strings: list[str], patterns: list[str], cuts: list[int]
) -> None:
    seen, match, safe = grow(StopMatcher(strings, patterns), in_pieces(text, cuts))
    wanted = leftmost(seen, strings, patterns)
    assert (match.start if match else None) == wanted
    if match is None:
        assert seen == text
    else:
        assert max(safe) <= match.start, "a stream showed a part of the stop"
        assert match.stop in (*strings, *patterns)
    assert safe == sorted(safe)


def test_what_matched_is_named() -> None:
    matcher = StopMatcher(["END", "stop"], ["[0-9]+"])
    assert matcher.find("go on 42", 0) == Match(6, "[0-9]+")
    assert matcher.find("stop END", 0) == Match(0, "stop")
    assert matcher.find("nothing", 0) is None


def test_only_what_may_become_a_stop_is_held_back() -> None:
    matcher = StopMatcher(["\n\n", "END"], [])
    assert matcher.safe_length("text") == 4
    assert matcher.safe_length("text\n") == 4
    assert matcher.safe_length("text EN") == 5
    assert matcher.safe_length("text ENG") == 8


def test_a_pattern_of_bounded_length_holds_back_no_more_than_it_can_match() -> None:
    assert StopMatcher([], ["[0-9]{1,3}:"]).safe_length("0123456789") == 7


def test_an_unbounded_pattern_holds_back_all() -> None:
    assert StopMatcher([], ["a.*b"]).safe_length("x" * 100) == 0
    assert StopMatcher([], ["a(?=.*b)"]).safe_length("x" * 100) == 0


def test_where_there_are_no_stops_there_is_no_matcher() -> None:
    assert stop_matcher((), ()) is None
    assert stop_matcher(("a",), ()) is stop_matcher(("a",), ())


def test_looking_costs_the_same_at_any_length() -> None:
    looked = []

    class Watched(str):
        def find(self, *given: object) -> int:
            looked.append(given)
            return -1

    StopMatcher(["four"], []).find(Watched("x" * 10_000), 9_999)
    assert looked == [("four", 9_996)]


@pytest.mark.parametrize("pattern", [r"\bEND\b", "^x", "(a|b)c", "(?s:.)z"])
def test_patterns_of_every_kind_are_taken(pattern: str) -> None:
    matcher = StopMatcher([], [pattern])
    assert matcher.find("nothing at all", 0) is None
