"""Forced bytes, and the tokens drafted for them: those of the tokenizer, up to where what follows could change them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sglc.automata import whole_table
from sglc.automata.automaton import compile_regex
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary
from tests import tokenizers
from tests.automata.token_walks import unpacked

PIECES = [b"a", b"b", b"c", b"ab", b"abc", b"bc", b"bcd", b"d", "é".encode(), "é".encode()[:1], "é".encode()[1:]]


def greedily(text: str) -> list[int]:
    """Write a text with the longest token first."""
    data, tokens = text.encode(), []
    while data:
        best = max((token for token in PIECES if data.startswith(token)), key=len)
        tokens.append(PIECES.index(best))
        data = data[len(best) :]
    return tokens


def draft(pattern: str, begun: Sequence[bytes] = (), encode: object = greedily) -> list[bytes]:
    table = TokenTable(compile_regex(pattern), Vocabulary(PIECES, encode=encode))  # type: ignore[arg-type]
    state = table.start
    for token in begun:
        state = table.next(state, PIECES.index(token))  # type: ignore[assignment]
    return [PIECES[token] for token in table.draft(state)]


@pytest.mark.parametrize(
    ("pattern", "forced"),
    [
        ("abc", b"abc"),
        ("ab(?:c|d)", b"ab"),
        ("ab(?:cd)?", b"ab"),
        ("a*b", b""),
        ("(?:ab|ac)d", b"a"),
        ("é|è", b"\xc3"),
        ("", b""),
        ("x{3000}", b"x" * 3000),
    ],
)
def test_forced_bytes_are_what_every_member_goes_on_with(pattern: str, forced: bytes) -> None:
    table = TokenTable(compile_regex(pattern), Vocabulary(PIECES))
    assert table.forced(table.start) == forced


def test_a_foundis_what_the_tokenizer_writes() -> None:
    assert draft("abcabcd") == [b"abc", b"abc", b"d"]


def test_the_last_token_is_held_back_where_a_longer_one_may_follow() -> None:
    assert draft("aab(?:c|d)") == [b"a"]  # `ab` could become `abc`
    assert draft("aab(?:a|d)") == [b"a", b"ab"]  # no token goes on so
    assert draft("aab(?:cd)?") == [b"a"]


def test_all_tokens_from_the_first_place_that_may_change_are_held_back() -> None:
    assert draft("dab(?:c|a)") == [b"d"]  # also `b` of `ab` begins a longer token
    assert draft("ddc(?:a|b)") == [b"d", b"d", b"c"]


def test_a_character_that_is_not_whole_is_not_drafted() -> None:
    assert draft("a(?:é|è)") == [b"a"]
    assert draft("éa", ["é".encode()[:1]]) == []
    assert draft("dé") == [b"d", "é".encode()]


def test_without_a_tokenizer_or_one_that_writes_other_bytes_there_is_no_draft() -> None:
    assert draft("abc", encode=None) == []
    assert draft("abc", encode=lambda text: greedily(text.replace("c", "d"))) == []


def test_long_runs_are_drafted_piece_by_piece_and_the_tokenizer_is_asked_once_a_state() -> None:
    asked: list[str] = []

    def encode(text: str) -> list[int]:
        asked.append(text)
        return greedily(text)

    table = TokenTable(compile_regex("(?:d{400}|c)"), Vocabulary(PIECES, encode=encode))
    state = table.next(table.start, PIECES.index(b"d"))
    assert table.draft(state) == table.draft(state) == (PIECES.index(b"d"),) * 256
    assert asked == ["d" * 256]
    table.prepare()
    count = len(asked)
    for _ in range(399):
        table.draft(state)
        state = table.next(state, PIECES.index(b"d"))
    assert len(asked) == count


@pytest.mark.parametrize("entries", [whole_table.MAX_ENTRIES, 0])
def test_every_drafted_token_is_allowed_where_it_stands(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_table, "MAX_ENTRIES", entries)
    pattern = r'\{"name": "\w{1,3}", "size": (?:small|large), "colour": "(?:red|green)"\}'
    vocabulary = Vocabulary.from_tokenizer(tokenizers.small())
    table = TokenTable(compile_regex(pattern), vocabulary)
    assert (table.whole is None) == (entries == 0)
    state: object = table.start
    drafted, said = 0, b""
    for _ in range(80):
        tokens = table.draft(state) or [token for token, allowed in enumerate(unpacked(table, state)) if allowed][:1]
        drafted += len(table.draft(state))
        for token in tokens:
            assert unpacked(table, state)[token]
            state, said = table.next(state, token), said + vocabulary.tokens[token]
        if table.is_final(state):
            break
    assert compile_regex(pattern).accepts(said) and drafted > 5


RECORD = r'\{\n    "name": "[\w ]{1,16}",\n    "house": "(Oak|Elm|Ash)",\n    "length": [0-9]{1,2}\.[0-9]\n\}'


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base"])
def test_a_model_that_writes_like_its_tokenizer_accepts_every_draft(name: str) -> None:
    tokenizer = tokenizers.load(name)
    table = TokenTable(compile_regex(RECORD), Vocabulary.from_tokenizer(tokenizer))
    drafted = said = 0
    for person in ("Ada Lovelace", "Bo", "x1 y2"):
        left = tokenizer.encode(f'{{\n    "name": "{person}",\n    "house": "Elm",\n    "length": 12.5\n}}')
        said += len(left)
        state: object = table.start
        while left:
            found = list(table.draft(state))
            assert found == left[: len(found)]
            drafted += len(found)
            for token in left[: len(found) + 1]:
                state = table.next(state, token)
            left = left[len(found) + 1 :]
        assert table.is_final(state)
    assert drafted > 0.4 * said
