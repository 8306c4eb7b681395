"""Reads the keywords of a JSON schema: types, counts and bounds, with errors that name their JSON pointer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sglc.automata.json_numbers import Bounds
from sglc.errors import ProgramError, Unsupported

_PROSE = ["title", "description", "$comment", "default", "example", "examples", "deprecated", "readOnly", "writeOnly"]
ANNOTATIONS = frozenset([*_PROSE, "$schema", "$id", "$defs", "definitions", "discriminator"])
"""Keywords that allow and forbid nothing by themselves."""

BOUNDS = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])

KEYWORDS: dict[str, frozenset[str]] = {
    "object": frozenset(["properties", "required", "additionalProperties"]),
    "array": frozenset(["items", "prefixItems", "minItems", "maxItems"]),
    "string": frozenset(["minLength", "maxLength", "pattern"]),
    "integer": BOUNDS,
    "number": BOUNDS,
    "boolean": frozenset(),
    "null": frozenset(),
}
"""The types, each with the keywords about it that are translated."""

_MAX_BOUND = 10**15


def read_bounds(schema: Mapping[str, Any], at: str) -> Bounds:
    """Return the tightest bounds of a number; only whole ones are translated."""
    ends = {name: _whole(schema[name], f"{at}/{name}") for name in BOUNDS & schema.keys()}
    # of two equal bounds the open one is tighter, so it sorts last
    low = max([(ends[n], n != "minimum") for n in ("minimum", "exclusiveMinimum") if n in ends], default=None)
    high = min([(ends[n], n == "maximum") for n in ("maximum", "exclusiveMaximum") if n in ends], default=None)
    return Bounds(low and low[0], high and high[0], bool(low and low[1]), bool(high and not high[1]))


def _whole(value: Any, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(at, value, "a number")
    if value != value // 1 or abs(value) > _MAX_BOUND:
        raise unsupported(at, f"the bound {value!r}", "a whole number of at most 15 digits")
    return int(value)


def read_count(schema: Mapping[str, Any], name: str, at: str) -> int | None:
    value = schema.get(name)
    if value is None and name not in schema:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < 0:
        raise malformed(f"{at}/{name}", value, "a whole number ≥ 0")
    return int(value)


def read_types(schema: Mapping[str, Any], at: str) -> list[str]:
    """Return the types a schema names, or the one that its keywords are about."""
    if "type" in schema:
        types = schema["type"]
        names = [types] if isinstance(types, str) else read_list(types, f"{at}/type", least=1)
        for name in names:
            if not isinstance(name, str) or name not in KEYWORDS:
                raise malformed(f"{at}/type", name, f"one of {', '.join(KEYWORDS)}")
        return names
    for name in ("object", "array", "string", "number"):
        if schema.keys() & KEYWORDS[name]:
            return [name]
    keywords = sorted(schema.keys() - ANNOTATIONS)
    found = f"`{keywords[0]}` without a `type`" if keywords else "a schema without a type, which allows any JSON"
    raise unsupported(at, found, "a `type`")


def is_of(value: Any, types: Iterable[str]) -> bool:
    """Whether a JSON value has one of some types; a whole float is an integer too."""
    match value:
        case bool():
            return "boolean" in types
        case None:
            return "null" in types
        case int():
            return "integer" in types or "number" in types
        case float():
            return "number" in types or (value.is_integer() and "integer" in types)
        case str():
            return "string" in types
        case list():
            return "array" in types
    return "object" in types


def read_list(value: Any, at: str, least: int) -> list[Any]:
    if not isinstance(value, list) or len(value) < least:
        raise malformed(at, value, "a list" if least == 0 else "a list with something in it")
    return value


def pointer_step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def malformed(at: str, found: Any, wanted: str) -> ProgramError:
    return ProgramError(f"json_schema at {at}: found {json.dumps(found)}; wanted {wanted}")


def unsupported(at: str, found: str, wanted: str) -> Unsupported:
    return Unsupported(f"json_schema at {at}: found {found}; wanted {wanted}")
