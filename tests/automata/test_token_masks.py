"""Rows and next states of real languages over real vocabularies equal a walk of every byte of every token."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from sglc.automata.automaton import Automaton, compile_regex
from sglc.automata.json_schema import compile_json_schema
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary
from sglc.errors import SglcError
from tests.automata.token_walks import EveryToken, differences, reachable_states, unpacked
from tests.conftest import FULL
from tests.tokenizers import load

PATTERNS = 300 if FULL else 16
SCHEMAS = 100 if FULL else 6
ASKED_TOKENS = 2000 if FULL else 60
STATES = 20 if FULL else 4
RECORD = r'\{\n    "name": "[\w\d\s]{1,16}",\n    "house": "(Oak|Elm|Ash)",\n    "length": [0-9]{1,2}\.[0-9]{0,2}\n\}'
OWN = ["(?s).*", r"[^\x00-\x7f]+", r"(?u)\w{2,4} \w+", '"[^"\\\\]*"', RECORD]


@lru_cache(maxsize=3)
def vocabulary(name: str) -> tuple[Vocabulary, EveryToken]:
    known = Vocabulary.from_tokenizer(load(name))
    return known, EveryToken(known.tokens)


def patterns_of_the_wild(test_data: Path, count: int) -> list[str]:
    lines = [
        line
        for name in ("realworld", "engines", "rust")
        for line in (test_data / "constrained" / f"regex_{name}.jsonl").read_text(encoding="utf-8").split("\n")
        if line
    ]
    Random(6).shuffle(lines)
    return [row["pattern"] for row in map(json.loads, lines[: 2 * count]) if row["regular"]][:count]


def compiled(pattern: str) -> Automaton | None:
    try:
        automaton = compile_regex(pattern)
    except SglcError:
        return None
    return automaton if automaton.dfa is not None and not automaton.is_empty else None


@pytest.mark.filterwarnings("ignore:Possible (nested )?set:FutureWarning")
@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "qwen"])
def test_tables_of_patterns_equal_a_walk_of_every_token(name: str, test_data: Path) -> None:
    known, every = vocabulary(name)
    random, checked = Random(name), 0
    for pattern in [*OWN, *patterns_of_the_wild(test_data, PATTERNS)]:
        automaton = compiled(pattern)
        if automaton is None:
            continue
        table = TokenTable(automaton, known)
        for state in reachable_states(table, random, STATES):
            assert isinstance(state, int)
            assert differences(automaton, table, every, state, random) == 0, (pattern, state)
            checked += 1
    assert checked > 2 * PATTERNS


def schemas_of_the_wild(test_data: Path) -> Iterator[Any]:
    """Yield schemas, in the quick test small ones alone."""
    rows = gzip.decompress((test_data / "constrained" / "jsonschema_maskbench.jsonl.gz").read_bytes()).splitlines()
    Random(6).shuffle(rows)
    for row in rows:
        schema = json.loads(row)["schema"]
        if FULL or len(json.dumps(schema)) < 600:
            yield schema


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "qwen"])
def test_tables_of_schemas_equal_a_walk_of_every_token(name: str, test_data: Path) -> None:
    known, every = vocabulary(name)
    random, tables, matched = Random(name), 0, 0
    for schema in schemas_of_the_wild(test_data):
        if tables >= SCHEMAS and matched >= SCHEMAS // 3:
            break
        try:
            automaton = compile_json_schema(schema)
        except SglcError:
            continue
        if isinstance(automaton, Automaton):
            if tables >= SCHEMAS or automaton.dfa is None:
                continue
            table = TokenTable(automaton, known)
            for state in reachable_states(table, random, STATES):
                assert isinstance(state, int)
                assert differences(automaton, table, every, state, random) == 0, (schema, state)
            tables += 1
        elif matched < SCHEMAS // 3:
            table = TokenTable(automaton, known)
            assert matcher_differences(automaton, table, random) == 0, schema
            matched += 1
    assert (tables, matched) == (SCHEMAS, SCHEMAS // 3)


def matcher_differences(automaton: Any, table: TokenTable, random: Random) -> int:
    """Return for how many of some tokens, half of them allowed ones, the row is not what the language itself says."""
    state: Any = table.start
    wrong, text = 0, b""
    for _ in range(STATES):
        row = unpacked(table, state)
        allowed = np.flatnonzero(row).tolist()
        asked = random.choices(range(len(table.vocabulary)), k=ASKED_TOKENS // 2)
        for token in [*asked, *random.sample(allowed, min(len(allowed), ASKED_TOKENS // 2))]:
            longer = text + table.vocabulary.tokens[token]
            viable = len(longer) > len(text) and automaton.viable(longer) == len(longer)
            wrong += row[token] != viable or (table.next(state, token) is not None) != viable
        wrong += table.is_final(state) != automaton.accepts(text)
        if not allowed:
            break
        token = random.choice(allowed)
        state, text = table.next(state, token), text + table.vocabulary.tokens[token]
    return wrong
