"""Vocabularies: which entries are never allowed, when two are equal, and the trie of their bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sglc.automata.vocabulary import Vocabulary
from sglc.automata.vocabulary_trie import ROOT, build_trie
from tests import tokenizers

BYTE_STRINGS = st.lists(st.binary(max_size=5) | st.text("ab\x00é", max_size=6).map(str.encode), max_size=40)


def test_missing_empty_and_special_entries_have_no_bytes() -> None:
    vocabulary = Vocabulary([b"a", None, b"", b"</s>", b"b"], special=[3], width=8)
    assert vocabulary.tokens == (b"a", b"", b"", b"", b"b")
    assert vocabulary.node_of_token.tolist()[1:4] == [ROOT] * 3
    assert len(vocabulary) == 5 and vocabulary.width == 8


def test_a_width_below_the_tokens_and_a_special_id_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="width: found 1; wanted at least the 2 tokens"):
        Vocabulary([b"a", b"b"], width=1)
    with pytest.raises(ValueError, match="special: found the id 2; wanted one from 0 to 1"):
        Vocabulary([b"a", b"b"], special=[2])


def test_equal_vocabularies_are_equal_keys() -> None:
    one, two = Vocabulary([b"ab", b"c", b"</s>"], special=[2]), Vocabulary([b"ab", b"c", None])
    assert one == two and hash(one) == hash(two)
    assert len({one, two, Vocabulary([b"a", b"bc", None]), Vocabulary([b"ab", b"c", None], width=4)}) == 3


@given(BYTE_STRINGS)
@settings(max_examples=100, deadline=None)
def test_the_trie_has_a_node_for_each_prefix_and_siblings_side_by_side(tokens: list[bytes]) -> None:
    vocabulary = Vocabulary(tokens)
    trie = vocabulary.trie
    prefixes = {token[:length] for token in tokens for length in range(1, len(token) + 1)}
    assert len(trie.children) == len(prefixes) + 1
    for prefix in prefixes:
        node = trie.walk(ROOT, prefix)
        assert node is not None and trie.last_byte[node] == prefix[-1]
        assert bool(trie.is_text[node]) == (prefix in tokens)
        nexts = range(int(trie.first_child[node]), int(trie.first_child[node] + trie.children[node]))
        assert [trie.last_byte[child] for child in nexts] == sorted(
            {longer[len(prefix)] for longer in prefixes if longer.startswith(prefix) and len(longer) > len(prefix)}
        )
        assert trie.walk(node, b"\xfe\xff") is None
    for token, node in zip(vocabulary.tokens, vocabulary.node_of_token, strict=True):
        assert trie.walk(ROOT, token) == node


def test_a_trie_of_nothing_is_a_root() -> None:
    trie = build_trie([])
    assert trie.children.tolist() == [0] and trie.walk(ROOT, b"a") is None


def test_a_tokenizer_says_its_tokens_and_how_it_writes() -> None:
    tokenizer = tokenizers.small()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, width=tokenizer.vocab_size + 7)
    assert vocabulary.tokens == tuple(tokenizer.token_bytes)
    assert vocabulary.width == tokenizer.vocab_size + 7
    assert vocabulary.encode is not None and vocabulary.encode(' "name"') == tokenizer.encode(' "name"')
    assert all(vocabulary.tokens[token] == b"" for token in tokenizer.special_ids.values())
