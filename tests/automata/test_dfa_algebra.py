"""Set operations and facts of byte automata, against brute force over short texts and against interegular."""

from __future__ import annotations

from itertools import product
from random import Random

import interegular
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sglc.automata.automaton import compile_regex, from_tree
from sglc.automata.budget import Budget, OverBudget
from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.compression import compressed_edges, forced_runs
from sglc.automata.dfa_algebra import (
    any_text,
    complement,
    contains,
    difference,
    equivalent,
    intersection,
    is_empty,
    union,
)
from sglc.automata.dfa_facts import (
    FREE,
    UNREACHABLE,
    distance_to_end,
    forced_bytes,
    length_bounds,
    says_anything,
    shortest_member,
)
from sglc.automata.minimize import canonical
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import Both, Except, Regular, concat, literal

ALPHABET = "abé"
TEXTS = ["".join(chars) for length in range(6) for chars in product(ALPHABET, repeat=length)]
PATTERNS = ["a*", "(?:ab)*", "[ab]*b", "[^b]*", "a{2,4}é?", "(?:a|bé){1,3}", "[abé]{3}", "b+a|é", "", "é*a.*", "abéab"]
LANGUAGES = st.sampled_from(PATTERNS)


def dfa_of(pattern: str) -> ByteDfa:
    dfa = compile_regex(pattern).dfa
    assert dfa is not None
    return dfa


def members(dfa: ByteDfa) -> set[str]:
    return {text for text in TEXTS if dfa.accepts(text.encode())}


@settings(max_examples=40, deadline=None)
@given(LANGUAGES, LANGUAGES)
def test_operations_are_those_of_sets(one: str, other: str) -> None:
    left, right = dfa_of(one), dfa_of(other)
    assert members(intersection(left, right)) == members(left) & members(right)
    assert members(union(left, right)) == members(left) | members(right)
    assert members(difference(left, right)) == members(left) - members(right)
    assert members(complement(left)) == set(TEXTS) - members(left)


@settings(max_examples=30, deadline=None)
@given(LANGUAGES, LANGUAGES)
def test_equal_languages_are_equal_arrays(one: str, other: str) -> None:
    left, right = dfa_of(one), dfa_of(other)
    assert equivalent(union(left, right), union(right, left))
    assert equivalent(complement(complement(left)), left)
    assert equivalent(difference(left, right), intersection(left, complement(right)))
    assert equivalent(left, right) == is_empty(union(difference(left, right), difference(right, left)))
    assert contains(union(left, right), right) and contains(left, intersection(left, right))


@settings(max_examples=30, deadline=None)
@given(LANGUAGES, LANGUAGES)
def test_emptiness_and_inclusion_are_those_of_interegular(one: str, other: str) -> None:
    left, right = (interegular.parse_pattern(pattern).to_fsm() for pattern in (one, other))
    assert is_empty(intersection(dfa_of(one), dfa_of(other))) == (left & right).empty()
    assert contains(dfa_of(other), dfa_of(one)) == (left - right).empty()


def test_any_text_is_whatever_is_utf8() -> None:
    random = Random(0)
    for _ in range(2000):
        text = bytes(
            random.choice([0x41, 0x80, 0xBF, 0xC1, 0xC3, 0xE0, 0x9F, 0xA0, 0xED, 0xF0, 0x8F, 0xF4, 0x90])
            for _ in range(3)
        )
        try:
            text.decode()
            assert any_text().accepts(text)
        except UnicodeDecodeError:
            assert not any_text().accepts(text)
    assert equivalent(any_text(), dfa_of("(?s:.)*"))


@settings(max_examples=40, deadline=None)
@given(LANGUAGES, LANGUAGES, LANGUAGES)
def test_intersection_and_difference_may_stand_anywhere_in_a_tree(one: str, other: str, around: str) -> None:
    left, right, outer = parse_regex(f"^{one}$"), parse_regex(other), parse_regex(around)
    for node, inner in [
        (Both(left, right), intersection(dfa_of(one), dfa_of(other))),
        (Except(left, right), difference(dfa_of(one), dfa_of(other))),
    ]:
        tree: Regular = concat(literal("b"), node, outer)
        dfa = from_tree(tree, "a tree").dfa
        assert dfa is not None
        cuts = [(text[1:cut], text[cut:]) for text in TEXTS for cut in range(1, len(text) + 1) if text[0] == "b"]
        wanted = {
            f"b{head}{tail}"
            for head, tail in cuts
            if inner.accepts(head.encode()) and dfa_of(around).accepts(tail.encode())
        }
        assert members(dfa) == wanted


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_canonical_form_is_minimal_and_the_same_however_states_are_numbered(
    states: int, classes: int, random: Random
) -> None:
    rows = [[random.randrange(states) for _ in range(classes)] for _ in range(states)]
    final = [random.random() < 0.3 for _ in range(states)]
    byte_classes = [min(byte // 7, classes - 1) for byte in range(256)]
    dfa = canonical(byte_classes, rows, final, 0, Budget())
    order = random.sample(range(states), states)
    place = {state: number for number, state in enumerate(order)}
    renamed = [[place[target] for target in rows[state]] for state in order]
    assert equivalent(dfa, canonical(byte_classes, renamed, [final[state] for state in order], place[0], Budget()))
    texts = [
        bytes(7 * number for number in numbers)
        for length in range(6)
        for numbers in product(range(classes), repeat=length)
    ]
    behind: dict[int, set[bytes]] = {}  # what may follow each state of the canonical form
    for text in texts:
        state = 0
        for byte in text:
            state = rows[state][byte_classes[byte]]
        assert dfa.accepts(text) == final[state]
        after = dfa.walk(dfa.start, text)
        if after not in behind and len(dfa) <= 5:
            longer = [
                bytes(7 * number for number in numbers)
                for length in range(5)
                for numbers in product(range(classes), repeat=length)
            ]
            behind[after] = {rest for rest in longer if dfa.final[dfa.walk(after, rest)]}
    assert len({frozenset(rests) for rests in behind.values()}) == len(behind)
    assert all(bool(rests) == (state != DEAD) for state, rests in behind.items())


def test_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        dfa_of("a").table[0, 0] = 1


@pytest.mark.parametrize(
    ("pattern", "shortest", "least", "greatest"),
    [
        ("a|bc|é", "a", 1, 2),
        ("[b-d]{2,3}x*", "bb", 2, None),
        ("(?:日本){1,3}", "日本", 6, 18),
        ("", "", 0, 0),
        ("x{3}(?:yz|w)?", "xxx", 3, 5),
    ],
)
def test_shortest_member_and_length_bounds(pattern: str, shortest: str, least: int, greatest: int | None) -> None:
    assert shortest_member(dfa_of(pattern)) == shortest.encode()
    assert length_bounds(dfa_of(pattern)) == (least, greatest)


def test_a_long_chain_is_told_apart_quickly() -> None:
    dfa = compile_regex("(?:[xy]{0,3000}z)*").dfa
    assert dfa is not None and len(dfa) == 3002
    assert length_bounds(dfa) == (0, None) and int(distance_to_end(dfa)[1:].max()) == 1


def test_the_empty_language_has_no_facts() -> None:
    dfa = dfa_of(r"a\bb")
    assert dfa.start == DEAD and is_empty(dfa) and len(dfa) == 1
    assert shortest_member(dfa) is None and length_bounds(dfa) is None and not list(compressed_edges(dfa))
    assert forced_runs(dfa).run(DEAD) == b""


@pytest.mark.parametrize(
    "pattern", [*PATTERNS, '{"name": "[a-z]{1,3}", "age": [0-9]+}', "(?:ab|cdef|cdeg)xyz", "(?:abc)*de"]
)
def test_states_know_their_distance_and_what_is_forced(pattern: str) -> None:
    dfa = dfa_of(pattern)
    distance, forced, runs, table = distance_to_end(dfa), forced_bytes(dfa), forced_runs(dfa), dfa.byte_table()
    assert distance[DEAD] == UNREACHABLE and (distance[1:] < len(dfa)).all()
    for state in range(1, len(dfa)):
        ways = np.flatnonzero(table[state])
        assert dfa.final[state] == (distance[state] == 0)
        assert dfa.final[state] or distance[state] == 1 + distance[table[state, ways]].min()
        run = runs.run(state)
        assert (forced[state] != FREE) == (len(ways) == 1 and not dfa.final[state]) == bool(run)
        assert len(run) == runs.length[state] and dfa.walk(state, run) == runs.end[state]
        assert forced[runs.end[state]] == FREE  # the run is maximal
        assert all(forced[dfa.walk(state, run[:length])] == run[length] for length in range(len(run)))


@pytest.mark.parametrize(
    "pattern", [*PATTERNS, '{"name": "[a-z]{1,3}", "age": [0-9]+}', "(?:ab|cdef|cdeg)xyz", "(?:abc)*de"]
)
def test_compressed_edges_spell_the_same_language(pattern: str) -> None:
    dfa = dfa_of(pattern)
    ways: dict[int, list[tuple[bytes, int]]] = {}
    for edge in compressed_edges(dfa):
        heads = [bytes([byte]) for low, high in edge.first for byte in range(low, high + 1)]
        ways.setdefault(edge.source, []).extend((head + edge.run, edge.target) for head in heads)
    letters = set(b"abcdegxyz")
    reached, pending = set(), [(b"", dfa.start)]
    for text, state in pending:
        assert dfa.walk(dfa.start, text) == state
        reached |= {text} if dfa.final[state] else set()
        longer = [(text + more, target) for more, target in ways.get(state, []) if letters.issuperset(more)]
        pending += [(text, target) for text, target in longer if len(text) <= 4]
    texts = [bytes(chars) for length in range(5) for chars in product(sorted(letters), repeat=length)]
    assert {text for text in texts if dfa.accepts(text)} == reached


def test_an_operation_beyond_the_budget_stops() -> None:
    left, right = dfa_of("(?:[ab]{40})*"), dfa_of("(?:[ab]{39})*")
    with pytest.raises(OverBudget):
        intersection(left, right, Budget(states=100))
    with pytest.raises(OverBudget):
        intersection(left, right, Budget(seconds=0))


def test_whether_prose_fits_into_a_language() -> None:
    assert says_anything(dfa_of("Thoughts: .*\nAnswer: [0-9]+"))
    assert says_anything(dfa_of("[a-z ]*"))
    assert not says_anything(dfa_of("[a-z]+@[a-z]+"))
    assert not says_anything(dfa_of("[a-z ]{1,20}"))
