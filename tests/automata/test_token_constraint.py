"""Constraints over a vocabulary: exact masks, also for tokens that split characters, and when a text may end."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
import pytest

from sglc.automata import token_constraint
from sglc.automata.byte_automaton import ByteAutomaton
from sglc.automata.constraint import Constraint
from sglc.automata.languages import regex_language
from sglc.automata.token_constraint import compile_json_schema, compile_regex
from sglc.automata.vocabulary import Vocabulary
from sglc.errors import ProgramError, Unsupported

WORDS = ["ab", "abc", "a", "12", ' "', '":', "true", "日本", "ab", " " * 40]
SPLIT = ["日".encode()[:1], "日".encode()[1:], "🙂".encode()[:3], "本a".encode()[2:]]
TOKENS = [b"", *(bytes([byte]) for byte in range(256)), *(word.encode() for word in WORDS), *SPLIT, b""]
VOCABULARY = Vocabulary(TOKENS)
SCHEMA = '{"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": false}'
PATTERNS = ["(?:ab)+c?", "日本(?:語|a)", "[^a]{2,5}", r"(?s).*", r"\d{1,3}", "a {40}b", "🙂|\U0001f643", "ab(?:d^)?"]


def spelled(constraint: Constraint, *tokens: bytes) -> object:
    state = constraint.start
    for token in tokens:
        state = constraint.advance(state, TOKENS.index(token))
    return state


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_mask_allows_exactly_the_tokens_that_keep_the_text_viable(pattern: str) -> None:
    constraint = compile_regex(pattern, VOCABULARY)
    automaton = ByteAutomaton(regex_language(pattern).positions)
    random = Random(0)
    for _ in range(10):
        state, place = constraint.start, automaton.start
        for _ in range(12):
            wanted = [bool(token) and bool(automaton.walk(place, token)) for token in TOKENS]
            assert constraint.allowed(state).tolist() == wanted
            assert constraint.may_end(state) == automaton.accepts(place)
            assert constraint.must_end(state) == (not any(wanted))
            if constraint.must_end(state):
                break
            token = random.choice(np.flatnonzero(wanted))
            state, place = constraint.advance(state, int(token)), automaton.walk(place, TOKENS[token])


def test_a_text_may_end_where_it_is_a_member_and_must_end_where_nothing_follows() -> None:
    constraint = compile_regex("ab(?:c)?", VOCABULARY)
    states = [spelled(constraint, *tokens) for tokens in ([], [b"a"], [b"ab"], [b"ab", b"c"])]
    ends = [(constraint.may_end(state), constraint.must_end(state)) for state in states]
    assert ends == [(False, False), (False, False), (True, False), (True, True)]


def test_tokens_may_split_a_character() -> None:
    constraint = compile_regex("日本?", VOCABULARY)
    state = spelled(constraint, SPLIT[0])
    allowed = {TOKENS[token] for token in np.flatnonzero(constraint.allowed(state))}
    assert allowed == {SPLIT[1], SPLIT[1][:1]}
    assert not constraint.may_end(state)
    assert constraint.may_end(spelled(constraint, SPLIT[0], SPLIT[1]))
    assert spelled(constraint, *SPLIT[:2]) == spelled(constraint, *(bytes([byte]) for byte in "日".encode()))


def test_equal_tokens_are_allowed_alike_and_special_ones_never() -> None:
    constraint = compile_regex("(?s).*", VOCABULARY)
    mask = constraint.allowed(constraint.start)
    first, second = (number for number, token in enumerate(TOKENS) if token == b"ab")
    assert mask[first]
    assert mask[second]
    assert not mask[0]
    assert not mask[-1]


@pytest.mark.parametrize("token", [0, TOKENS.index(b"c"), -1, len(TOKENS)])
def test_a_token_that_is_not_allowed_is_an_error(token: int) -> None:
    constraint = compile_regex("ab", VOCABULARY)
    with pytest.raises(ValueError, match=f"token {token}: found bytes .*; wanted a token that the constraint allows"):
        constraint.advance(constraint.start, token)


def test_masks_cannot_be_changed() -> None:
    constraint = compile_regex("ab", VOCABULARY)
    with pytest.raises(ValueError, match="read-only"):
        constraint.allowed(constraint.start)[0] = True


def test_equal_wishes_share_one_constraint() -> None:
    assert compile_regex("a+b", VOCABULARY) is compile_regex("a+b", VOCABULARY)
    assert compile_regex("a+b", VOCABULARY) is compile_regex("a+b", Vocabulary(TOKENS))
    assert compile_regex("a+b", VOCABULARY) is not compile_regex("a+b", Vocabulary(TOKENS[:-1]))


def test_states_outlive_what_the_cache_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_constraint, "MAX_KEPT_MASKS", 2)
    constraint = compile_regex("(?:a|b|c){0,20}", VOCABULARY)
    states = [spelled(constraint, *[b"a"] * count) for count in range(20)]
    masks = [constraint.allowed(state) for state in states]
    for state, mask in zip(states, masks, strict=True):
        assert np.array_equal(constraint.allowed(state), mask)
    assert constraint.must_end(constraint.advance(states[-1], TOKENS.index(b"a")))


def test_an_empty_vocabulary_allows_nothing() -> None:
    constraint = compile_regex("a", Vocabulary([b"", b""]))
    assert not constraint.allowed(constraint.start).any()


def test_what_cannot_be_compiled_is_refused_with_a_vocabulary_too() -> None:
    with pytest.raises(Unsupported):
        compile_regex(r"(a)\1", VOCABULARY)
    with pytest.raises(ProgramError):
        compile_json_schema("{", VOCABULARY)


def test_a_json_schema_constrains_tokens() -> None:
    constraint = compile_json_schema(SCHEMA, VOCABULARY)
    tokens = [b"{", b'"', b"a", b'":', b"true", b"}"]
    states = [spelled(constraint, *tokens[:count]) for count in range(len(tokens) + 1)]
    assert all(constraint.allowed(s)[TOKENS.index(t)] for s, t in zip(states, tokens, strict=False))
    assert constraint.must_end(states[-1])
    assert all(before != after for before, after in pairwise(states))
