"""Random schemas: whatever a random walk through their language writes is valid for the jsonschema package."""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import jsonschema
import numpy as np

from sglc.automata.json_schema import compile_json_schema
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary
from sglc.errors import ProgramError, Unsupported

SCHEMAS = 10_000 if os.environ.get("SGLC_TEST_FULL") else 150
BYTES = Vocabulary([bytes([byte]) for byte in range(256)])
# so that open values end: ways on that close something are taken more often
CLOSING = np.frombuffer(b'"]}', dtype=np.uint8)


def random_schema(random: Random, depth: int) -> Any:
    kinds = ["string", "integer", "number", "boolean", "null", "enum"] + ["object", "array", "anyOf", "allOf"] * (
        depth > 0
    )
    match random.choice(kinds):
        case "string":
            least = random.randrange(3)
            schema: dict[str, Any] = {"type": "string", "maxLength": least + random.randrange(4)}
            schema |= {"minLength": least} if least else {}
            return schema | random.choice([{}, {}, {"pattern": "^[a-c]"}, {"pattern": "b|x$"}, {"not": {"const": ""}}])
        case "integer":
            return {"type": "integer", "minimum": random.randrange(-30, 5), "maximum": random.randrange(5, 40)} | (
                {"multipleOf": random.choice([2, 3, 5])} if random.random() < 0.3 else {}
            )
        case "number":
            low = random.randrange(-300, 300) / 100
            return {"type": "number", "exclusiveMinimum": low, "maximum": low + random.choice([0.25, 2, 10])}
        case "enum":
            return {"enum": random.sample(["a", "b", 1, 2.5, None, True, [1], {"k": "v"}], 3)}
        case "object":
            names = random.sample("abcdef", random.randrange(1, 4))
            return {
                "type": "object",
                "properties": {name: random_schema(random, depth - 1) for name in names},
                "required": random.sample(names, random.randrange(len(names))),
                "additionalProperties": random.choice([False, {"type": "boolean"}]),
            } | random.choice([{}, {"patternProperties": {"^x": {"type": "null"}}}, {"maxProperties": 3}])
        case "array":
            return {
                "type": "array",
                "items": random_schema(random, depth - 1),
                "minItems": random.randrange(2),
                "maxItems": random.randrange(2, 4),
            }
        case "anyOf":
            return {random.choice(["anyOf", "oneOf"]): [random_schema(random, depth - 1) for _ in range(2)]}
        case "allOf":
            return {"allOf": [random_schema(random, depth - 1), {"not": random_schema(random, 0)}]}
        case name:
            return {"type": name}


def random_text(table: TokenTable, random: Random, most: int) -> bytes | None:
    """Return a member that a random walk came to; None if it did not end."""
    state, text = table.start, b""
    while len(text) < most:
        if table.is_final(state) and random.random() < 0.3:
            return text
        row = np.unpackbits(table.allowed(state), bitorder="little")
        allowed = np.flatnonzero(row)
        if not len(allowed):
            return text if table.is_final(state) else None
        closing = np.intersect1d(allowed, CLOSING)
        byte = int(random.choice(closing if len(closing) and random.random() < 0.4 else allowed))
        state, text = table.next(state, byte), text + bytes([byte])
    return None


def test_what_a_random_walk_writes_is_valid() -> None:
    random = Random(6)
    walked = 0
    for number in range(SCHEMAS):
        schema = random_schema(random, depth=2)
        try:
            language = compile_json_schema(schema)
        except (ProgramError, Unsupported):
            continue
        table = TokenTable(language, BYTES)
        validator = jsonschema.Draft202012Validator(schema)
        for _ in range(3):
            text = random_text(table, random, 300)
            if text is not None:
                walked += 1
                assert validator.is_valid(json.loads(text)), (number, schema, text)
    assert walked > SCHEMAS
