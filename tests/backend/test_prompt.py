"""Prompts are values: text gathers in the tail until a generation settles it, with the prefix once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sglc.backend.prompt import Piece, Prompt

if TYPE_CHECKING:
    from sglc.backend.tokenizer import Tokenizer

PREFIX = (1,)


def encode(text: str) -> list[int]:
    """One id per character: enough to see what is settled with what."""
    return [1000 + ord(character) for character in text]


def settled(prompt: Prompt, prefix: Sequence[int] = PREFIX, restarts: bool = False) -> Prompt:
    return prompt.settle([encode(text) for text, _ in prompt.texts(restarts)], prefix)


def tokens(prompt: Prompt) -> list[int]:
    return settled(prompt).tokens.tolist()


@given(st.lists(st.text(max_size=3), max_size=6))
def test_text_is_one_string_however_many_pieces_it_came_in(pieces: list[str]) -> None:
    prompt = Prompt()
    for piece in pieces:
        prompt = prompt.append(piece)
    whole = "".join(pieces)
    assert prompt == Prompt().append(whole)
    assert prompt.texts(False) == ([(whole, True)] if whole else [])
    assert tokens(prompt) == [*PREFIX, *encode(whole)]


def test_a_prompt_never_changes() -> None:
    prompt = Prompt().append("a")
    longer, other = prompt.append("b"), prompt.append("c")
    assert (prompt.tail, longer.tail, other.tail) == (("a",), ("ab",), ("ac",))
    with pytest.raises(FrozenInstanceError):
        prompt.tail = ()  # type: ignore[misc]
    assert not Prompt().tokens.flags.writeable


def test_only_the_first_text_begins_a_prompt() -> None:
    first = settled(Prompt().append("ab"))
    assert first.started
    second = first.extended([7, 8]).append("cd")
    assert second.texts(False) == [("cd", False)]
    assert tokens(second) == [*PREFIX, *encode("ab"), 7, 8, *encode("cd")]


def test_settling_twice_changes_nothing() -> None:
    once = settled(Prompt().append("ab"))
    assert settled(once) is once
    assert settled(Prompt(), prefix=()).started


def test_an_empty_prompt_is_its_prefix() -> None:
    assert tokens(Prompt()) == [*PREFIX]
    assert tokens(Prompt().append("")) == [*PREFIX]


def test_a_template_that_comes_first_speaks_for_the_whole_prompt() -> None:
    prompt = Prompt().append_template([9, "user\n"], PREFIX).append("hi")
    assert prompt.texts(False) == [("user\nhi", False)]
    assert tokens(prompt) == [9, *encode("user\nhi")]


def test_a_template_behind_text_leaves_its_prefix_out() -> None:
    prompt = Prompt().append("hi").append_template([*PREFIX, 9, "x"], PREFIX)
    assert prompt.tail == ("hi", 9, "x")
    assert tokens(prompt) == [*PREFIX, *encode("hi"), 9, *encode("x")]


def test_a_template_behind_tokens_keeps_all() -> None:
    prompt = settled(Prompt().append("hi")).append_template([*PREFIX, "x"], PREFIX)
    assert tokens(prompt) == [*PREFIX, *encode("hi"), *PREFIX, *encode("x")]


def test_texts_after_special_tokens_may_restart() -> None:
    prompt = Prompt().append_template([9, "a", 8, "b"], PREFIX).append("c")
    assert prompt.texts(False) == [("a", False), ("bc", False)]
    assert prompt.texts(True) == [("a", True), ("bc", True)]


def test_extending_takes_arrays_and_lists() -> None:
    base = settled(Prompt().append("a"))
    ids = np.array([5, 6], np.int64)
    assert base.extended(ids).tokens.tolist() == base.extended([5, 6]).tokens.tolist()
    assert base.tokens.tolist() == [*PREFIX, *encode("a")]
    assert base.extended([]).tokens.dtype == np.int64


def test_text_whose_ids_are_known_is_not_tokenized() -> None:
    prompt = Prompt().append_tokens((7, 8)).append("ab").append_tokens((9,)).append("c")
    assert prompt.texts(True) == [("ab", False), ("c", False)]
    assert tokens(prompt) == [*PREFIX, 7, 8, *encode("ab"), 9, *encode("c")]
    behind_a_special_token = Prompt().append_template([3], PREFIX).append("ab").append_tokens((9,))
    assert behind_a_special_token.texts(True) == [("ab", True)]
    assert tokens(behind_a_special_token) == [3, *encode("ab"), 9]


def test_a_template_leaves_out_its_prefix_behind_anchored_text() -> None:
    """What has been tokenized ahead goes on as text would."""
    prompt = Prompt().append("ab")
    anchored = prompt.anchored([encode("ab")], PREFIX)
    assert (anchored.tail, anchored.tokens.tolist()) == ((), [*PREFIX, *encode("ab")])
    templates: tuple[list[Piece], ...] = ([1, 3, "x"], [3, "x"])
    for template in templates:
        wanted = settled(prompt.append_template(template, PREFIX).append("cd")).tokens.tolist()
        assert settled(anchored.append_template(template, PREFIX).append("cd")).tokens.tolist() == wanted
    assert Prompt().anchored([], PREFIX).is_empty


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    "texts", [(), ("ab",), (3, "ab"), (3,), ("ab", 3, "cd"), ("ab", (9,)), ((9,), "cd"), ("a", (9,), "b", 3)]
)
def test_all_but_the_last_text_is_anchored(texts: tuple[Piece, ...], restarts: bool) -> None:
    prompt = Prompt(tail=texts)
    letters = Letters(restarts)
    anchored = prompt.anchored_inside(cast("Tokenizer", letters))
    after, wanted = (letters.ids(each.append("z")) for each in (anchored, prompt))
    assert after == wanted
    assert len(anchored.tail) <= 1 + restarts


class Letters(NamedTuple):
    """A tokenizer with one id per character, and one more where a text begins."""

    restarts_after_special: bool
    prefix: tuple[int, ...] = PREFIX

    def encode_batch(self, texts: Sequence[str], at_start: Sequence[bool]) -> list[list[int]]:
        """Return the ids of each text."""
        return [[2] * first + encode(text) for text, first in zip(texts, at_start, strict=True)]

    def ids(self, prompt: Prompt) -> list[int]:
        """Return a prompt's tokens."""
        texts = prompt.texts(self.restarts_after_special)
        encoded = self.encode_batch([t for t, _ in texts], [s for _, s in texts])
        return [*map(int, prompt.settle(encoded, PREFIX).tokens)]
