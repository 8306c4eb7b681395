"""Token tables over small vocabularies: rows and next states, equal tokens, bytes that are no text, ends, distances."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from itertools import product
from random import Random

import numpy as np
import pytest

from sglc.automata import token_table, whole_table
from sglc.automata.automaton import Automaton, compile_regex
from sglc.automata.mask_rows import MaskRows, packed
from sglc.automata.on_demand_rows import OnDemandRows
from sglc.automata.token_classes import TooLarge, token_classes
from sglc.automata.token_states import PackedRow
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary
from sglc.errors import Unsupported
from tests.automata.token_walks import EveryToken, differences, reachable_states, unpacked

WORDS = ["ab", "abc", "a", "12", ' "', '":', "true", "日本", "ab", " " * 40]
SPLIT = ["日".encode()[:1], "日".encode()[1:], "🙂".encode()[:3], "本a".encode()[2:], b"\xff\xfe", b"\x00\x00"]
BYTES = [bytes([byte]) for byte in range(256)]
SPECIAL = (0, 7 + 256)
TOKENS = [b"<s>", *BYTES, *(word.encode() for word in WORDS), *SPLIT, None, b""]
VOCABULARY = Vocabulary(TOKENS, special=SPECIAL, width=300)
PATTERNS = ["(?:ab)+c?", "日本(?:語|a)", "[^a]{2,5}", r"(?s).*", r"\d{1,3}", "a {40}b", "🙂|\U0001f643", "(?:ab|true)*"]


def tables(automaton: Automaton, vocabulary: Vocabulary) -> Iterator[TokenTable]:
    """Yield the table that is worked out ahead, those whose rows are made on demand, from a DFA and from positions."""
    yield TokenTable(automaton, vocabulary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_table, "MAX_ENTRIES", -1)
        table = TokenTable(automaton, vocabulary)
        assert table.whole is None
        yield table
    yield TokenTable(Automaton(automaton.name, automaton.positions, None), vocabulary)


def after(table: TokenTable, *tokens: bytes) -> Hashable | None:
    state: Hashable | None = table.start
    for token in tokens:
        state = table.next(state, TOKENS.index(token))
    return state


@pytest.mark.parametrize("pattern", PATTERNS)
def test_rows_and_next_states_equal_a_walk_of_every_token(pattern: str) -> None:
    automaton, every = compile_regex(pattern), EveryToken(VOCABULARY.tokens)
    whole, on_demand, _ = tables(automaton, VOCABULARY)
    for state in reachable_states(whole, Random(pattern), 30):
        assert isinstance(state, int)
        for table in (whole, on_demand):
            assert differences(automaton, table, every, state, Random(0)) == 0


@pytest.mark.parametrize("pattern", PATTERNS)
def test_states_worked_out_on_demand_say_the_same(pattern: str) -> None:
    whole, _, lazy = tables(compile_regex(pattern), VOCABULARY)
    random = Random(pattern)
    one: Hashable = whole.start
    two: Hashable = lazy.start
    for _ in range(40):
        assert (whole.allowed(one) == lazy.allowed(two)).all()
        assert (whole.is_final(one), whole.forced(one)) == (lazy.is_final(two), lazy.forced(two))
        tokens = np.flatnonzero(unpacked(whole, one))
        if not len(tokens):
            break
        token = int(random.choice(tokens))
        one, two = whole.next(one, token), lazy.next(two, token)


def test_a_token_that_is_not_allowed_leads_nowhere() -> None:
    for table in tables(compile_regex("(?:ab)+"), VOCABULARY):
        nowhere = [TOKENS.index(b"b"), *SPECIAL, len(TOKENS) - 1, len(TOKENS), 299, 300, 10**9, -1]
        assert [table.next(table.start, token) for token in nowhere] == [None] * len(nowhere)


def test_equal_tokens_do_the_same_and_special_ones_are_never_allowed() -> None:
    for table in tables(compile_regex("(?s).*"), VOCABULARY):
        allowed = unpacked(table, table.start)
        first, second = (number for number, token in enumerate(TOKENS) if token == b"ab")
        assert allowed[first] and allowed[second]
        assert table.next(table.start, first) == table.next(table.start, second)
        assert not allowed[[*SPECIAL, len(TOKENS) - 2, len(TOKENS) - 1]].any() and not allowed[len(TOKENS) :].any()
        assert not allowed[TOKENS.index(b"\xff\xfe")]


def test_tokens_may_split_a_character() -> None:
    for table in tables(compile_regex("日本?"), VOCABULARY):
        state = after(table, SPLIT[0])
        assert {TOKENS[token] for token in np.flatnonzero(unpacked(table, state))} == {SPLIT[1], SPLIT[1][:1]}
        assert not table.is_final(state)
        assert table.is_final(after(table, *SPLIT[:2]))
        assert after(table, *SPLIT[:2]) == after(table, *(bytes([byte]) for byte in "日".encode()))


def test_the_empty_language_and_the_empty_text() -> None:
    nothing, empty = compile_regex("[^\x00-\U0010ffff]"), compile_regex("")
    for table in tables(nothing, VOCABULARY):
        assert not unpacked(table, table.start).any() and not table.is_final(table.start)
        assert table.forced(table.start) == b""
    for table in tables(empty, VOCABULARY):
        assert not unpacked(table, table.start).any() and table.is_final(table.start)


def test_a_vocabulary_without_tokens_allows_none() -> None:
    for table in tables(compile_regex("a"), Vocabulary([None, b""], width=9)):
        assert table.allowed(table.start).tolist() == [0, 0]


def test_tables_are_narrow_plain_and_read_only() -> None:
    whole = TokenTable(compile_regex("(?:ab)+c?"), VOCABULARY).whole
    assert whole is not None
    assert {whole.rows.dtype, whole.class_of_token.dtype, whole.row_of_state.dtype} == {np.dtype(np.uint8)}
    for array in (whole.rows, whole.class_of_token, whole.row_of_state, whole.final):
        assert array.flags.c_contiguous and not array.flags.writeable
    assert whole.nbytes < 400


def test_too_many_steps_are_refused_before_they_are_taken() -> None:
    dfa = compile_regex("[ab]{1,20}").dfa
    assert dfa is not None
    with pytest.raises(TooLarge):
        token_classes(dfa, VOCABULARY, most_steps=30)


def brute_distance(pattern: str, tokens: list[bytes], begun: bytes) -> int | None:
    """Return the fewest of some tokens, at most four, that complete a text."""
    for count in range(5):
        for chosen in product(tokens, repeat=count):
            if re.fullmatch(pattern.encode(), begun + b"".join(chosen)):
                return count
    return None


@pytest.mark.parametrize("pattern", ["a+b", "(?:ab)?c{2,3}", "(?:abc|cab)a*", "a{1,4}", "ab|d"])
def test_the_distance_is_the_fewest_tokens_to_a_member(pattern: str) -> None:
    tokens = [b"a", b"b", b"c", b"ab", b"ca", b"cc"]
    table = TokenTable(compile_regex(pattern), Vocabulary(tokens))
    state: Hashable | None
    for begun in [b"", b"a", b"c", b"ab", b"aa", b"cca"]:
        state = table.start
        for byte in begun:
            state = state and table.next(state, tokens.index(bytes([byte])))
        if state is None:
            continue
        assert table.distance(state) == brute_distance(pattern, tokens, begun)
        for most in range(4):
            wanted = []
            for text in tokens:
                left = brute_distance(pattern, tokens, begun + text)
                wanted.append(left is not None and left < most)
            bits = np.unpackbits(table.allowed_within(state, most), bitorder="little")[: len(tokens)]
            assert bits.astype(bool).tolist() == wanted


def test_a_state_that_no_tokens_complete_has_no_distance() -> None:
    table = TokenTable(compile_regex("ad?|d"), Vocabulary([b"a"]))
    assert table.distance(table.start) == 1
    stuck = TokenTable(compile_regex("ad"), Vocabulary([b"a"]))
    assert stuck.distance(stuck.start) is None
    assert not stuck.allowed_within(stuck.start, 9).any()


def test_distances_want_a_table() -> None:
    _, on_demand, _ = tables(compile_regex("a+"), VOCABULARY)
    with pytest.raises(Unsupported, match="found no token table"):
        on_demand.distance(on_demand.start)


def test_what_is_not_regular_is_asked_of_its_matcher() -> None:
    class Matched:
        is_table = False
        name = "a grammar"

        def states(self, vocabulary: Vocabulary) -> OnDemandRows:
            other = TokenTable(compile_regex("ab+"), vocabulary)
            return other._states  # type: ignore[return-value]

    table = token_table.TokenTable(Matched(), VOCABULARY)
    state = after(table, b"a")
    assert table.forced(table.start) == b"ab" and table.is_final(after(table, b"ab"))
    assert unpacked(table, state)[TOKENS.index(b"b")] and table.nbytes == 0


def test_rows_are_kept_while_there_is_room() -> None:
    made: list[int] = []

    def make(key: int) -> PackedRow:
        made.append(key)
        return packed(np.array([True]), 80)

    rows = MaskRows(80, max_bytes=30)
    for key in (1, 2, 3, 1, 4, 1, 4):
        rows.get(key, lambda key=key: make(key))  # type: ignore[misc]
    assert made == [1, 2, 3, 4, 1] and len(rows) == 3
