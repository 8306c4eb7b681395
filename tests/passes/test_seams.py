"""Seams that are said to be certain are: whatever is put before a text and behind it, its tokens end there."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

from sglc.backend.spelling import TokenizerSpelling
from sglc.backend.tokenizer import PACKAGED, Tokenizer
from sglc.passes.seams import FOLLOWING, Seams
from sglc.passes.split_pattern import UnknownPattern, read_pattern
from sglc.passes.splitters import Unsure
from tests.conftest import FULL
from tests.tokenizers import NAMES, load, small, spaced

MANY = 20 if FULL else 1
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {"llama3": LLAMA3, "qwen's": LLAMA3.replace("{1,3}", ""), "o200k's": O200K}
ALPHABETS = (
    " \n",
    "a '\n",
    "sS'tlL dverm\u017f",
    "a1 2'.\n",
    " \t\n\r\u00a0\u3000x",
    "a\u0301e \u0327\u1100\u1161\u11a8\uac00",
    "\u4e2d\u6587\u3002 a\u00e9\u00df",
    "\U0001f642\u200d\ufe0f\u2640 a\n",
    '.!?/"({-_}) a',
    "<think>| im_end",
    "Aa\u01c5\u02b0\u0903'S /",
    "\x00\x1c\x85\u180e\u2028 a",
    "0123456789 a",
    "\u0378\U0001fae9 a",  # not assigned in every version of Unicode
)
WORDS = (
    " the",
    "The",
    "'s",
    "'LL",
    " and",
    "\n\n",
    "  ",
    "Emoji:",
    "...",
    " 2024",
    "1,000",
    "Thought",
    "{",
    "}",
    "\u00e9t\u00e9",
)
BEHIND = (
    "",
    " ",
    "\n",
    "a",
    "'s",
    "'",
    "'S",
    "1",
    ".",
    "/",
    "\u0301",
    "\u11a8",
    "\U0001f642",
    "  x",
    " \n",
    "ing",
    "\u00a0",
    "nk>",
)


def changed(name: str) -> tokenizers.Tokenizer:
    """Return the packaged tokenizer with something about it as other models have it."""
    backend = tokenizers.Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    if name == "nfc":
        backend.normalizer = normalizers.NFC()
    if name == "added":
        backend.add_tokens([AddedToken(each, normalized=False) for each in ("<think>", "think", "\n\n a")])
    if name == "gpt2 by name":
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    if name in PATTERNS:
        split = pre_tokenizers.Split(Regex(PATTERNS[name]), "isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    if name == "removed":
        split = pre_tokenizers.Split(Regex(LLAMA3), "removed", invert=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    return backend


@cache
def tokenizer(name: str) -> Tokenizer:
    """Return a tokenizer by its name in this file."""
    if name in NAMES:
        return load(name)
    if name in ("prepend", "first", "always"):
        return Tokenizer(spaced(name))
    if name == "split at spaces":
        backend = spaced("first")
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
        return Tokenizer(backend)
    if name == "spaces split twice":
        backend = spaced("prepend")
        backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        return Tokenizer(backend)
    return small() if name == "packaged" else Tokenizer(changed(name))


OTHERS = ("packaged", "nfc", "added", "gpt2 by name", "removed", *PATTERNS)
SPACED = ("prepend", "first", "always", "split at spaces", "spaces split twice")
REAL = [pytest.param(name, marks=[pytest.mark.full] * (name in ("qwen", "o200k_base"))) for name in NAMES]


@cache
def seams(name: str) -> Seams:
    """Return what is certain about a tokenizer."""
    return Seams(tokenizer(name).spelling)


def texts(seed: str, count: int, longest: int = 12) -> list[str]:
    """Return random texts, most of them nasty."""
    random = Random(seed)
    found = []
    for _ in range(count):
        alphabet: Any = random.choice([*ALPHABETS, WORDS, [*WORDS, *random.choice(ALPHABETS)]])
        found.append("".join(random.choices(alphabet, k=random.randint(1, longest))))
    return found


def split_at(tokenizer: Tokenizer, text: str, place: int, at_start: bool) -> tuple[list[int], list[int]]:
    """Return the tokens of a text up to a place and behind it. Fails if one reaches across."""
    ids, ends = tokenizer.encode_with_ends(text, at_start=at_start)
    count = bisect_right(ends, place)
    assert place in (0, *ends), f"a token of {text!r} reaches across {place}: {text[:place]!r} | {text[place:]!r}"
    return ids[:count], ids[count:]


def check(name: str, before: str, text: str, behind: str) -> int:
    """Check every place of a text that is said to be certain, and return how many there are."""
    found = seams(name).boundaries(text)
    for place in found:
        for at_start in (False, True):
            left, right = split_at(tokenizer(name), before + text + behind, len(before) + place, at_start)
            assert left == tokenizer(name).encode(before + text[:place], at_start=at_start)
            assert right == tokenizer(name).encode(text[place:] + behind)
    return len(found)


@pytest.mark.parametrize("name", [*OTHERS, *SPACED, *REAL])
def test_certain_places_are_ends_of_tokens(name: str) -> None:
    random = Random(name)
    whole = texts(name, 25 * MANY)
    before = texts(f"before {name}", 25 * MANY, longest=5)
    behind = texts(f"behind {name}", 25 * MANY, longest=5)
    found = 0
    for text in whole:
        for _ in range(4):
            found += check(name, random.choice(before) * random.randint(0, 1), text, random.choice((*behind, *BEHIND)))
    assert found > 100 * MANY


@pytest.mark.parametrize("name", ["packaged", "prepend", "o200k's", "nfc"])
def test_texts_cut_anywhere(name: str) -> None:
    """A text is put together again from three parts of it."""
    for text in texts(f"cut {name}", 6 * MANY):
        for one in range(len(text)):
            for other in range(one + 1, len(text) + 1):
                check(name, text[:one], text[one:other], text[other:])


@pytest.mark.parametrize("name", [*OTHERS, *SPACED, *REAL])
def test_the_table_says_what_each_beginning_leaves_settled(name: str) -> None:
    random = Random(name)
    for text in texts(f"table {name}", 5 * MANY):
        worst = seams(name).settled(text)
        table = seams(name).table(text)
        assert table.keys() == FOLLOWING.keys()
        assert table["nothing"] == len(text)
        assert worst <= min(table.values())
        for kind, settled in table.items():
            for character in random.sample(FOLLOWING[kind], min(2, len(FOLLOWING[kind]))):
                behind = character + random.choice(BEHIND)
                left, _ = split_at(tokenizer(name), text + behind, settled, at_start=True)
                assert left == split_at(tokenizer(name), text + character, settled, at_start=True)[0]


@pytest.mark.parametrize("name", ["packaged", "llama3", "qwen's", "o200k's", *REAL])
def test_every_seam_of_the_agents_templates_has_a_short_tail(name: str, test_data: Path) -> None:
    """Of all 27 places where a value follows a constant, two pre-tokens at most wait for the value."""
    templates = json.loads((test_data / "workloads" / "agent_prompt_templates.json").read_text("utf-8"))
    constants = [part for text in templates.values() for part in re.split(r"!<INPUT \d+>!", text)[:-1] if part]
    tails = [text[seams(name).settled(text) :] for text in constants]
    assert len(tails) == 27
    assert all(len(tail.split()) <= 1 for tail in tails)
    assert sum(map(len, tails)) <= 60
    heads = [text[: seams(name).synchronized(text)] for text in constants]
    assert all(len(head.split()) <= 1 for head in heads if head not in constants)
    for text, tail in zip(constants, tails, strict=True):
        for behind in BEHIND:
            split_at(tokenizer(name), text + behind, len(text) - len(tail), at_start=True)


PIECES = (
    *("a", "[ab]", "[^ab]", r"\s", r"\S", r"\p{L}", "[^\\s\\p{L}]", "'", "(?i:'s)", "(?:a|b ?)", r"[\r\n]"),
    *("(?!a)", r"(?=\s)", "$", r"\z", "(ab)"),
)


RUNS = (
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s*[\r\n]",
    r"\s+\z",
    r"\s+$",
    r"\s+(?=\n)",
    r"\s+",
    " ?[^\\s]+[\\n]*",
    r"\s?[ab]+",
)


def pattern_of(random: Random) -> str:
    """Return a random pattern that matches any character somehow."""

    def repeated(piece: str) -> str:
        once = piece in ("$", r"\z") or piece.startswith(("(?!", "(?="))
        return piece if once else piece + random.choice(("", "", "?", "*", "+", "{1,3}", "+?"))

    ways = [
        "".join(repeated(random.choice(PIECES)) for _ in range(random.randint(1, 3)))
        for _ in range(random.randint(0, 3))
    ]
    ways += random.sample(RUNS, random.randint(0, 4))
    random.shuffle(ways)
    return "|".join([*ways, random.choice((r"\s|\S", r"\s+|\S", r"\S| ?\s", r"\S"))])


def test_random_patterns() -> None:
    """What the pattern reader says of a pattern is what the tokenizer's library does with it."""
    random = Random(0)
    found = 0
    for _ in range(120 * MANY):
        pattern = pattern_of(random)
        try:
            read_pattern(pattern)
        except UnknownPattern:  # one that matches nothing at all
            continue
        backend = changed("")
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
        certain = Seams(TokenizerSpelling(backend, {}))
        for _ in range(12):
            text, before, behind = (
                "".join(random.choices("aab ' \n\r\tsS.", k=random.randint(0, 5))) for _ in range(3)
            )
            parts = [end for _, (_, end) in split.pre_tokenize_str(before + text + behind)]
            for place in certain.boundaries(text):
                left = [end for _, (_, end) in split.pre_tokenize_str(before + text[:place])]
                assert left == parts[: len(left)], (pattern, before, text, behind)
                found += 1
    assert found > 100 * MANY


@pytest.mark.parametrize(
    "pattern",
    ["a*", "(?<=a)b", r"\ba", "a++", "[a", "(a", "a)", "[a&&b]", r"\k<a>", ".", "a{1,2}+", "(?i)a", "[[:alpha:]]"],
)
def test_patterns_that_are_not_read(pattern: str) -> None:
    with pytest.raises(UnknownPattern):
        read_pattern(pattern)


def test_tokenizers_that_are_not_understood() -> None:
    """Each is refused with what is in the way."""
    backend = changed("")
    refused: list[tuple[str, tokenizers.Tokenizer]] = []

    def also(found: str, backend: tokenizers.Tokenizer, **parts: Any) -> None:
        for name, part in parts.items():
            setattr(backend, name, part)
        refused.append((found, backend))

    also("type WordLevel", tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a")))
    also("with dropout", tokenizers.Tokenizer(tokenizers.models.BPE({}, [], dropout=0.5)))
    also("end_of_word_suffix", tokenizers.Tokenizer(tokenizers.models.BPE({}, [], end_of_word_suffix="x")))
    also("puts bytes together", tokenizers.Tokenizer(tokenizers.models.BPE({"<0x0A>b": 0}, [])))
    also("normalizer Lowercase", changed(""), normalizer=normalizers.Lowercase())
    also("changes characters", changed(""), normalizer=normalizers.Replace("a", "b"))
    also("pre-tokenizer Digits", changed(""), pre_tokenizer=pre_tokenizers.Digits())
    also("pre-tokenizer ByteLevel", changed(""), pre_tokenizer=pre_tokenizers.ByteLevel(use_regex=False))
    prefixed = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\s|\S"), "isolated"), pre_tokenizers.ByteLevel(True, use_regex=False)]
    )
    also("pre-tokenizer ByteLevel", changed(""), pre_tokenizer=prefixed)
    also("'(?<=a)b' in it", changed(""), pre_tokenizer=pre_tokenizers.Split(Regex("(?<=a)b"), "isolated"))
    for option in ("single_word", "lstrip", "rstrip"):
        backend = changed("")
        backend.add_tokens([AddedToken("<t>", normalized=False, **{option: True})])
        also(f"that are {option}", backend)
    backend = changed("nfc")
    backend.add_tokens([AddedToken("<t>", normalized=True)])
    also("that are normalized", backend)
    backend = spaced("always")
    backend.add_tokens([AddedToken("<t>", normalized=False)])
    also("begins anew", backend)
    for found, backend in refused:
        with pytest.raises(Unsure, match=re.escape(found)):
            Seams(TokenizerSpelling(backend, backend.get_vocab()))


def test_what_is_not_normalized_has_no_certain_place() -> None:
    assert seams("nfc").boundaries("a b cafe\u0301 d") == []
    assert seams("nfc").boundaries("a b caf\u00e9 d") == [1, 3, 8]
