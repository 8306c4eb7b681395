"""Languages that constrain a text, and members of them: four patterns, a nested schema, and schemas met in the wild."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import data

_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ENUMS = {
    "house": ("Gryffindor", "Slytherin", "Ravenclaw", "Hufflepuff"),
    "blood status": ("Pure-blood", "Half-blood", "Muggle-born"),
    "occupation": (
        "student",
        "teacher",
        "auror",
        "ministry of magic",
        "death eater",
        "order of the phoenix",
    ),
    "alive": ("Alive", "Deceased"),
}
_WORD = r"[\w\d\s]{1,16}"


def _choice(field: str) -> str:
    return f'"({"|".join(_ENUMS[field])})"'


_FIELDS = {
    "name": f'"{_WORD}"',
    "house": _choice("house"),
    "blood status": _choice("blood status"),
    "occupation": _choice("occupation"),
    "wand": f'\\{{\n        "wood": "{_WORD}",\n        "core": "{_WORD}",\n'
    '        "length": [0-9]{1,2}\\.[0-9]{0,2}\n    \\}',
    "alive": _choice("alive"),
    "patronus": f'"{_WORD}"',
    "bogart": f'"{_WORD}"',
    "age": "[0-9]{1,3}",
}

PATTERNS = {
    "date": r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    "ipv4": rf"({_OCTET}\.){{3}}{_OCTET}",
    "email": r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,6}",
    "record": r"\{\n" + ",\n".join(f'    "{name}": {value}' for name, value in _FIELDS.items()) + r"\n\}",
}
"""Name → regex. The record has twelve fields, three of them in an object of its own."""

_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
NESTED_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "state": {"enum": ["open", "closed", "merged"]},
        "author": _PERSON,
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 4},
        "place": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "mayor": _PERSON},
            "required": ["city", "mayor"],
            "additionalProperties": False,
        },
    },
    "required": ["id", "state", "author", "tags", "place"],
    "additionalProperties": False,
}
"""Five keys, objects three deep."""


def members(name: str, count: int, seed: int = 1) -> list[str]:
    """Return members of a pattern, or of the nested schema ("nested")."""
    random = Random(f"{name} {seed}")
    return [_MEMBERS[name](random) for _ in range(count)]


def _date(random: Random) -> str:
    return f"{random.randint(1900, 2100)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"


def _ipv4(random: Random) -> str:
    return ".".join(str(random.randint(0, 255)) for _ in range(4))


def _email(random: Random) -> str:
    return f"{_word(random)}.{_word(random)}{random.randint(1, 99)}@{_word(random)}-{_word(random)}.org"


def _record(random: Random) -> str:
    chosen = {name: f'"{random.choice(values)}"' for name, values in _ENUMS.items()}
    parts = {"wood": f'"{_word(random)}"', "core": f'"{_word(random)}"', "length": f"1{_tenth(random)}"}
    wand = "{\n" + ",\n".join(f'        "{name}": {value}' for name, value in parts.items()) + "\n    }"
    free = {name: f'"{_word(random)}"' for name in ("name", "patronus", "bogart")}
    values = chosen | free | {"wand": wand, "age": str(random.randint(1, 120))}
    return "{\n" + ",\n".join(f'    "{name}": {values[name]}' for name in _FIELDS) + "\n}"


def _nested(random: Random) -> str:
    def person() -> dict[str, object]:
        return {"name": _word(random), "age": random.randint(1, 99)}

    place = {"city": _word(random), "mayor": person()}
    value = {"id": random.randint(1, 9999), "state": random.choice(["open", "closed", "merged"]), "author": person()}
    value |= {"tags": [_word(random) for _ in range(random.randint(0, 4))], "place": place}
    return json.dumps(value, separators=(",", ":"))


_MEMBERS = {"date": _date, "ipv4": _ipv4, "email": _email, "record": _record, "nested": _nested}


def _tenth(random: Random) -> str:
    return f"{random.randint(0, 9)}.{random.randint(0, 9)}"


def _word(random: Random) -> str:
    return "".join(
        random.choice(("al", "be", "cor", "dun", "el", "fen", "gar", "ho")) for _ in range(random.randint(1, 4))
    )


def schemas() -> Iterator[tuple[Any, list[str]]]:
    """Yield schemas met in the wild, in an order of their own, each with compact JSON texts that are valid under it."""
    folder = data.folder()
    path = Path(folder) / "constrained" / "jsonschema_maskbench.jsonl.gz" if folder else None
    if path is None or not path.is_file():
        return
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    Random(1).shuffle(rows)
    for row in map(json.loads, rows):
        valid = [test["data"] for test in row["tests"] if test["valid"]]
        yield row["schema"], [json.dumps(value, separators=(",", ":"), ensure_ascii=False) for value in valid]
