"""Reads the keywords of a JSON schema: types, counts and bounds, with errors that name their JSON pointer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sglc.automata.json_numbers import Bounds
from sglc.errors import ProgramError, Unsupported

TYPES = ("object", "array", "string", "number", "boolean", "null")
"""The types of JSON values; `integer` is a part of `number`."""

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
COMBINERS = ("$ref", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const")

REFUSED = frozenset(
    ["$dynamicRef", "$recursiveRef", "extends", "disallow", "divisibleBy", "minContains", "maxContains", "$data"]
)
"""Keywords of some draft that forbid something and are not translated. An unknown keyword is an annotation."""

_MAX_EXPONENT = 300
_MAX_COUNT = 10**9


def read_bounds(schema: Mapping[str, Any], at: str) -> Bounds:
    """Return the tightest bounds of a number; draft 4's `exclusiveMinimum: true` makes `minimum` open."""
    bounds = Bounds()
    for name in BOUNDS:
        value = schema.get(name)
        if name not in schema or (name.startswith("exclusive") and isinstance(value, bool)):
            continue
        is_open = name.startswith("exclusive") or schema.get(f"exclusive{name.capitalize()}") is True
        number = read_number(value, f"{at}/{name}")
        is_low = name in ("minimum", "exclusiveMinimum")
        one = Bounds(low=number, low_open=is_open) if is_low else Bounds(high=number, high_open=is_open)
        bounds = bounds.tightened(one)
    return bounds


def read_number(value: Any, at: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(at, value, "a number")
    number = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    if number and abs(number.adjusted()) > _MAX_EXPONENT:
        raise unsupported(at, f"the number {value!r}", "one of at most 300 digits")
    return number


def read_divisor(schema: Mapping[str, Any], at: str) -> Decimal:
    divisor = read_number(schema["multipleOf"], f"{at}/multipleOf")
    if divisor <= 0:
        raise malformed(f"{at}/multipleOf", schema["multipleOf"], "a number > 0")
    return divisor


def read_count(schema: Mapping[str, Any], name: str, at: str) -> int | None:
    value = schema.get(name)
    if value is None and name not in schema:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < 0:
        raise malformed(f"{at}/{name}", value, "a whole number ≥ 0")
    return min(int(value), _MAX_COUNT)


def read_types(schema: Mapping[str, Any], at: str) -> list[str]:
    """Return the types a schema allows, all of them where it names none; with `number`, `integer` says nothing."""
    if "type" not in schema:
        return list(TYPES)
    types = schema["type"]
    names = [types] if isinstance(types, str) else read_list(types, f"{at}/type", least=1)
    for name in names:
        if not isinstance(name, str) or (name not in TYPES and name != "integer"):
            raise malformed(f"{at}/type", name, f"one of {', '.join(TYPES)}, integer")
    return [name for name in dict.fromkeys(names) if name != "integer" or "number" not in names]


def read_names(value: Any, at: str) -> list[str]:
    names = read_list(value, at, least=0)
    for name in names:
        if not isinstance(name, str):
            raise malformed(at, name, "names of properties")
    return list(dict.fromkeys(names))


def read_text(schema: Mapping[str, Any], name: str, at: str, wanted: str) -> str:
    if not isinstance(schema[name], str):
        raise malformed(f"{at}/{name}", schema[name], wanted)
    return str(schema[name])


def read_map(schema: Mapping[str, Any], name: str, at: str) -> Mapping[str, Any]:
    value = schema.get(name, {})
    if not isinstance(value, Mapping):
        raise malformed(f"{at}/{name}", value, "an object of schemas")
    return value


def read_list(value: Any, at: str, least: int) -> list[Any]:
    if not isinstance(value, list) or len(value) < least:
        raise malformed(at, value, "a list" if least == 0 else "a list with something in it")
    return value


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


def pointer_step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def malformed(at: str, found: Any, wanted: str) -> ProgramError:
    shown = json.dumps(found)
    return ProgramError(f"json_schema at {at}: found {shown[:200]}{'…' * (len(shown) > 200)}; wanted {wanted}")


def unsupported(at: str, found: str, wanted: str) -> Unsupported:
    return Unsupported(f"json_schema at {at}: found {found}; wanted {wanted}")
