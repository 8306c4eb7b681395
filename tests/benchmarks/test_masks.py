"""The benchmark of token masks: its languages have the members it walks, and its figures are there without peers."""

from __future__ import annotations

import json
import re
from importlib import import_module

import jsonschema
import pytest

from benchmarks import masks
from benchmarks.peers.engines import WORKERS
from benchmarks.peers.mask_engines import MASK_RECIPES
from benchmarks.registry import Options
from benchmarks.workloads.constraints import NESTED_SCHEMA, PATTERNS, members
from sglc.automata.vocabulary import Vocabulary
from sglc.backend.tokenizer import Tokenizer


@pytest.mark.parametrize("name", PATTERNS)
def test_members_match_their_pattern(name: str) -> None:
    assert all(re.fullmatch(PATTERNS[name], text, re.ASCII) for text in members(name, 40))


def test_members_of_the_nested_schema_are_valid() -> None:
    for text in members("nested", 20):
        jsonschema.validate(json.loads(text), NESTED_SCHEMA)


def test_the_record_has_twelve_fields() -> None:
    assert PATTERNS["record"].count('": ') == 12


def test_every_mask_engine_has_a_worker() -> None:
    assert list(MASK_RECIPES) == ["xgrammar", "llguidance", "outlines"]
    assert all((WORKERS / recipe.worker).is_file() for recipe in MASK_RECIPES.values())


def test_figures_are_there_without_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGLC_TEST_DATA", raising=False)
    result = masks.run(Options(quick=True))
    for name in (*PATTERNS, "nested"):
        assert result.figures[f"compile_ms_{name}"] > 0
    assert 0 < result.figures["p50_us"] <= result.figures["p99_us"] <= result.figures["max_us"]
    assert result.figures["calls"] > 500 and result.figures["vocabulary_ms"] > 0
    assert not any("outlines" in name for name in result.figures)
    assert all("not installed" in result.notes[f"peer_{name}"] for name in MASK_RECIPES)


def test_a_token_that_is_refused_is_no_walk() -> None:
    tokenizer = Tokenizer.packaged()
    tables = masks.Tables(Vocabulary.from_tokenizer(tokenizer))
    tables.compile("regex", PATTERNS["date"])
    table = tables.tables[PATTERNS["date"]]
    assert masks.accepts(table, tokenizer.encode("2024-02-29"))
    assert not masks.accepts(table, tokenizer.encode("2024-02-")) and not masks.accepts(table, tokenizer.encode("x"))


def test_workers_time_each_token_of_all_rounds_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Matcher:
        def advance(self, token: int) -> bool:
            return token < 5

        def fill(self) -> None:
            pass

    class Engine:
        def start(self, language: object) -> Matcher:
            return Matcher()

    monkeypatch.syspath_prepend(WORKERS)
    loop = import_module("mask_loop")
    assert len(loop.walk(Engine(), None, [[1, 2], [3]], 4)) == 12
    with pytest.raises(ValueError, match="found the token 7 refused"):
        loop.walk(Engine(), None, [[7]], 1)
