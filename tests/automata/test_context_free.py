"""Languages that llguidance follows: their masks are exact to the byte, their states never move."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema
import numpy as np
import pytest

from sglc.automata.context_free import ContextFree
from sglc.automata.json_schema import compile_json_schema
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary
from sglc.errors import Unsupported

TOKENS: list[bytes | None] = [bytes([byte]) for byte in range(256)]
TOKENS += [
    b'{"',
    b'":',
    b'": ',
    b'", "',
    b"}}",
    b"]}",
    b"[[",
    b'"}',
    b"true",
    b"12",
    b'{"v"',
    b"\xc3\xa9",
    b"\xa9x",
    b"e1",
]
TOKENS += [None, b"", b"<|special|>", b'{"']  # a text may belong to two tokens
VOCABULARY = Vocabulary(TOKENS, special=[len(TOKENS) - 2], width=len(TOKENS) + 9)

NODE = {
    "type": "object",
    "properties": {
        "v": {"type": "number", "minimum": 0.5},
        "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
    "required": ["v"],
    "additionalProperties": False,
}
TREE = {"$ref": "#/$defs/node", "$defs": {"node": NODE}}
OPEN = {"type": "object", "properties": {"é": {"enum": ["x", "yy"]}, "n": {"type": "integer"}}, "required": ["é"]}


@pytest.mark.parametrize("schema", [{}, TREE, OPEN], ids=["any", "tree", "open"])
def test_masks_are_exact_along_random_walks(schema: Any) -> None:
    language = compile_json_schema(schema)
    assert isinstance(language, ContextFree) and not language.is_table and language.dfa is None
    table = TokenTable(language, VOCABULARY)
    random = Random(1)
    for _ in range(4):
        state, text = table.start, b""
        for _ in range(25):
            row = table.allowed(state)
            assert row.dtype == np.uint8 and row.shape == ((VOCABULARY.width + 7) // 8,) and not row.flags.writeable
            allowed = np.flatnonzero(np.unpackbits(row, bitorder="little")).tolist()
            texts = enumerate(VOCABULARY.tokens)
            assert allowed == [i for i, t in texts if t and language.viable(text + t) == len(text + t)]
            assert table.is_final(state) == language.accepts(text)
            forced = table.forced(state)
            assert language.viable(text + forced) == len(text + forced)
            refused = set(range(VOCABULARY.width)) - set(allowed)
            assert all(table.next(state, token) is None for token in random.sample(sorted(refused), 10))
            if not allowed:
                break
            token = random.choice(allowed)
            after = table.next(state, token)
            assert after is not None and {state, after} == {after, state}  # hashable
            assert np.array_equal(row, table.allowed(state))  # the state itself has not moved
            state, text = after, text + VOCABULARY.tokens[token]


def test_forced_bytes_are_those_without_a_choice() -> None:
    table = TokenTable(compile_json_schema(TREE, whitespace="none"), VOCABULARY)
    assert table.forced(table.start) == b'{"v":'


def test_how_much_of_a_text_is_viable() -> None:
    language = compile_json_schema(OPEN)
    assert language.viable('{"é": "x", "n": 1, "n": 2}') == len('{"é": "x", "n": 1, "n')
    assert language.viable('{"é": "x", "n": 1, "n": 2}'.encode()) == len('{"é": "x", "n": 1, "n'.encode())
    assert language.accepts(r'{"\u00e9":"yy","other":{"a":[null]}}') and not language.accepts('{"n": 1}')


def test_deep_values_are_followed_to_their_end() -> None:
    language = compile_json_schema(True)
    text = "[" * 200 + "]" * 200
    assert language.accepts(text) and not language.accepts(text[:-1]) and language.viable(text + "]") == 400


@pytest.mark.parametrize("whitespace", ["none", "spaces", "lines"])
def test_white_space_is_bounded_by_choice(whitespace: str) -> None:
    language = compile_json_schema(OPEN, whitespace=whitespace)
    value = {"é": "x", "n": 1, "o": [{}, []]}
    assert language.accepts(json.dumps(value, separators=(",", ":")))
    assert language.accepts(json.dumps(value)) == (whitespace != "none")
    assert language.accepts(json.dumps(value, indent=2)) == (whitespace == "lines")
    assert not language.accepts(json.dumps(value, indent=20)) and not language.accepts(' {"é":"x"}')


def test_closing_a_schema_makes_it_regular() -> None:
    language = compile_json_schema(OPEN, closed=True)
    assert language.is_table and language.accepts('{"é": "x"}') and not language.accepts('{"é": "x", "o": 1}')
    jsonschema.validate({"é": "x", "o": 1}, OPEN)


def test_a_grammar_that_llguidance_refuses_is_refused() -> None:
    with pytest.raises(Unsupported, match="a grammar that llguidance refuses"):
        ContextFree("start: missing", "grammar")
