"""The keywords of JSON Schema that are about one type, as they are and negated, in shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sglc.automata.json_formats import REFUSED_FORMATS, format_language
from sglc.automata.json_numbers import Bounds
from sglc.automata.schema_keywords import (
    BOUNDS,
    malformed,
    pointer_step,
    read_bounds,
    read_count,
    read_divisor,
    read_list,
    read_map,
    read_names,
    read_text,
    read_types,
    unsupported,
)
from sglc.automata.schema_patterns import search_language
from sglc.automata.schema_shapes import (
    ANY,
    NEVER,
    Array,
    Boolean,
    Claim,
    Items,
    Language,
    Members,
    Need,
    Null,
    Number,
    Object,
    Shape,
    String,
    Union,
)


def typed_shapes(schema: Mapping[str, Any], at: str) -> Union:
    """Return one shape for each type that a schema allows, with what its keywords say of that type."""
    makers: dict[str, Callable[[Mapping[str, Any], str], Shape | None]] = {
        "object": _object,
        "array": _array,
        "string": _string,
        "number": _number,
        "integer": _integer,
        "boolean": lambda schema, at: Boolean(),
        "null": lambda schema, at: Null(),
    }
    shapes = (makers[name](schema, at) for name in read_types(schema, at))
    return tuple(shape for shape in shapes if shape is not None)


def _integer(schema: Mapping[str, Any], at: str) -> Number | None:
    number = _number(schema, at)
    return number and Number(at, number.bounds, True, number.divisors)


def _number(schema: Mapping[str, Any], at: str) -> Number | None:
    bounds = read_bounds(schema, at)
    divisors = frozenset([read_divisor(schema, at)] if "multipleOf" in schema else [])
    return None if bounds.is_empty else Number(at, bounds, None, divisors)


def _string(schema: Mapping[str, Any], at: str) -> String | None:
    least, most = read_count(schema, "minLength", at) or 0, read_count(schema, "maxLength", at)
    if most is not None and most < least:
        return None
    return String(least, most, frozenset(_languages(schema, at)))


def _languages(schema: Mapping[str, Any], at: str) -> list[Language]:
    found = []
    if "pattern" in schema:
        pattern = read_text(schema, "pattern", at, "a regular expression")
        found.append(search_language(pattern, f"{at}/pattern"))
    if "format" in schema:
        name = read_text(schema, "format", at, "the name of a format") if isinstance(schema["format"], str) else ""
        if name in REFUSED_FORMATS:
            raise unsupported(f"{at}/format", f"the format {name!r}", "one that is enforced, or one unknown")
        language = _format(name)
        found += [language] if language else []
    return found


@lru_cache(maxsize=64)
def _format(name: str) -> Language | None:
    tree = format_language(name)
    return None if tree is None else Language(f"format {name}", tree)


def _array(schema: Mapping[str, Any], at: str) -> Array | None:
    least, most = read_count(schema, "minItems", at) or 0, read_count(schema, "maxItems", at)
    if most is not None and most < least:
        return None
    rule = _items(schema, at)
    contains = [frozenset([Claim("is", f"{at}/contains")])] if "contains" in schema else []
    unique = schema.get("uniqueItems", False)
    if not isinstance(unique, bool):
        raise malformed(f"{at}/uniqueItems", unique, "true or false")
    if schema.get("unevaluatedItems", True) is not True:
        raise unsupported(f"{at}/unevaluatedItems", "`unevaluatedItems`", "`items`")
    return Array(at, frozenset([rule] if rule else []), least, most, frozenset(contains), unique)


def _items(schema: Mapping[str, Any], at: str) -> Items | None:
    """Return what `prefixItems` and `items` say, or in drafts up to 2019 `items` and `additionalItems`."""
    keyword, rest = "prefixItems", "items"
    if isinstance(schema.get("items"), list):
        keyword, rest = "items", "additionalItems"
    if keyword not in schema and rest not in schema:
        return None
    firsts = read_list(schema.get(keyword, []), f"{at}/{keyword}", least=0)
    prefix = tuple(frozenset([Claim("is", f"{at}/{keyword}/{i}")]) for i in range(len(firsts)))
    return Items(prefix, need_of(schema, rest, at))


def need_of(schema: Mapping[str, Any], keyword: str, at: str) -> Need:
    """Return what the schema under a keyword asks for; where there is none, nothing."""
    value = schema.get(keyword, True)
    if isinstance(value, bool) or value == {}:
        return NEVER if value is False else ANY
    return frozenset([Claim("is", f"{at}/{pointer_step(keyword)}")])


def _object(schema: Mapping[str, Any], at: str) -> Object | None:
    least, most = read_count(schema, "minProperties", at) or 0, read_count(schema, "maxProperties", at)
    required = read_names(schema.get("required", []), f"{at}/required")
    if most is not None and most < max(least, len(required)):
        return None
    properties, patterns = read_map(schema, "properties", at), read_map(schema, "patternProperties", at)
    if schema.get("unevaluatedProperties", True) is not True:
        raise unsupported(f"{at}/unevaluatedProperties", "`unevaluatedProperties`", "`additionalProperties`")
    rules = []
    if properties or patterns or "additionalProperties" in schema:
        by_name = {name: need_of(properties, name, f"{at}/properties") for name in properties}
        place = f"{at}/patternProperties"
        by_pattern = [(search_language(p, place), need_of(patterns, p, place)) for p in patterns]
        rules.append(Members(by_name, tuple(by_pattern), need_of(schema, "additionalProperties", at)))
    return Object(at, tuple(rules), tuple(required), least, most, need_of(schema, "propertyNames", at))


def denials(schema: Mapping[str, Any], at: str) -> Union:
    """Return the values that fail one of a schema's keywords about types."""
    types = read_types(schema, at)
    every: dict[str, Shape] = {
        "object": Object(at),
        "array": Array(at),
        "string": String(),
        "number": Number(at, whole=False) if "integer" in types else Number(at),
        "boolean": Boolean(),
        "null": Null(),
    }
    others = [shape for name, shape in every.items() if name not in types]
    return tuple(others + _string_denials(schema, at) + _number_denials(schema, at) + _inner_denials(schema, at))


def _string_denials(schema: Mapping[str, Any], at: str) -> list[Shape]:
    denied: list[Shape] = []
    if least := read_count(schema, "minLength", at):
        denied.append(String(most=least - 1))
    if (most := read_count(schema, "maxLength", at)) is not None:
        denied.append(String(least=most + 1))
    return denied + [String(excluded=frozenset([language])) for language in _languages(schema, at)]


def _number_denials(schema: Mapping[str, Any], at: str) -> list[Shape]:
    if "multipleOf" in schema:
        raise unsupported(f"{at}/multipleOf", "`multipleOf` in a negated schema", "none there")
    if not schema.keys() & set(BOUNDS):
        return []
    bounds = read_bounds(schema, at)
    denied: list[Shape] = []
    if bounds.low is not None:
        denied.append(Number(at, Bounds(high=bounds.low, high_open=not bounds.low_open)))
    if bounds.high is not None:
        denied.append(Number(at, Bounds(low=bounds.high, low_open=not bounds.high_open)))
    return denied


def _inner_denials(schema: Mapping[str, Any], at: str) -> list[Shape]:
    """Return the arrays and objects that fail a keyword; what would need a stack or a set is refused."""
    for name in ("patternProperties", "propertyNames", "contains", "uniqueItems", "unevaluatedItems"):
        if schema.get(name, False) not in (False, {}):
            raise unsupported(f"{at}/{name}", f"`{name}` in a negated schema", "none there")
    for name in ("additionalProperties", "unevaluatedProperties", "additionalItems"):
        if schema.get(name, True) not in (True, {}):
            raise unsupported(f"{at}/{name}", f"`{name}` in a negated schema", "none there")
    names = read_names(schema.get("required", []), f"{at}/required")
    denied: list[Shape] = [Object(at, (Members({name: NEVER}, (), ANY),)) for name in names]
    for name in read_map(schema, "properties", at):
        wrong = frozenset([Claim("not", f"{at}/properties/{pointer_step(name)}")])
        denied.append(Object(at, (Members({name: wrong}, (), ANY),), (name,)))
    for shape, low, high in ((Object, "minProperties", "maxProperties"), (Array, "minItems", "maxItems")):
        if least := read_count(schema, low, at):
            denied.append(shape(at, most=least - 1))
        if (most := read_count(schema, high, at)) is not None:
            denied.append(shape(at, least=most + 1))
    rule = _items(schema, at)
    if rule is not None:
        if isinstance(schema.get("items"), list) or rule.prefix:
            raise unsupported(f"{at}/items", "`items` by place in a negated schema", "none there")
        denied += [Array(at, contains=frozenset([_negated(rule.rest)]))] if rule.rest else []
    return denied


def _negated(need: Need) -> Need:
    """Return the negation of what one schema asks for."""
    (claim,) = need
    return ANY if claim.kind == "never" else frozenset([Claim("not", claim.place)])
