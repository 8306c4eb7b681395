"""JSON Schema as a regular language of JSON texts: the part of it that needs no stack.

Objects have the keys of `properties` only, in that order; arrays the items of `prefixItems` and `items` only. So every
text is valid, but not every valid text is in the language. What can't be translated exactly so is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sglc.automata.json_numbers import decimals, integers
from sglc.automata.json_text import CHARACTER, COLON, COMMA, INTEGER, NUMBER, QUOTE, constant, inside_string, quoted
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import (
    ANY_CHARACTER,
    EMPTY,
    NOTHING,
    Ahead,
    Anchor,
    Behind,
    CharSet,
    Concat,
    Either,
    Regular,
    Repeat,
    concat,
    either,
    literal,
    optional,
)
from sglc.automata.schema_keywords import (
    ANNOTATIONS,
    BOUNDS,
    KEYWORDS,
    is_of,
    malformed,
    pointer_step,
    read_bounds,
    read_count,
    read_list,
    read_types,
    unsupported,
)

_COMBINERS = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")  # each stands alone in its schema


def parse_json_schema(schema: Any) -> Regular:
    """Return JSON texts that are valid under a schema (draft 2020-12, as Python values), in `json_text`'s layout.

    Raises ProgramError for a malformed schema, Unsupported, with JSON pointer and keyword, for what is not translated.
    """
    try:
        return _Translator(schema).schema(schema, "#", ())
    except RecursionError:
        raise unsupported("#", "schemas nested too deep for Python's stack", "fewer levels") from None


class _Translator:
    """Translates one schema document. Each method takes a part of it and its JSON pointer `at`."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._referred: dict[str, Regular] = {}

    def schema(self, schema: Any, at: str, open_refs: tuple[str, ...]) -> Regular:
        """Translate a schema; `open_refs` are the references it stands inside."""
        if schema is False:
            return NOTHING
        if schema is True:
            raise unsupported(at, "a schema without a type, which allows any JSON", "a `type`")
        if not isinstance(schema, Mapping):
            raise malformed(at, schema, "a schema: an object, true or false")
        keywords = schema.keys() - ANNOTATIONS
        combiner = next((name for name in _COMBINERS if name in keywords), None)
        if combiner is not None:
            beside = {"type"} if combiner in ("const", "enum") else set()
            if extra := sorted(keywords - beside - {combiner}):
                raise unsupported(at, f"`{extra[0]}` beside `{combiner}`", "one of them")
            return self._combined(combiner, schema, at, open_refs)
        types = read_types(schema, at)
        known = frozenset().union(*(KEYWORDS[name] for name in types), {"type"})
        if extra := sorted(keywords - known):
            raise unsupported(at, f"`{extra[0]}`", f"keywords of {' and '.join(types)} that are translated")
        return either(*(self._typed(name, schema, at, open_refs) for name in types))

    def _combined(self, combiner: str, schema: Mapping[str, Any], at: str, open_refs: tuple[str, ...]) -> Regular:
        value, inside = schema[combiner], f"{at}/{combiner}"
        if combiner == "$ref":
            return self._reference(value, at, open_refs)
        if combiner in ("const", "enum"):
            values = [value] if combiner == "const" else read_list(value, inside, least=1)
            types = read_types(schema, at) if "type" in schema else None
            return either(*(constant(item) for item in values if types is None or is_of(item, types)))
        parts = read_list(value, inside, least=1)
        if combiner == "allOf" and len(parts) > 1:
            raise unsupported(at, "`allOf` of several schemas", "one schema")
        if combiner == "oneOf":
            self._check_disjoint(parts, inside)
        return either(*(self.schema(part, f"{inside}/{i}", open_refs) for i, part in enumerate(parts)))

    def _reference(self, pointer: Any, at: str, open_refs: tuple[str, ...]) -> Regular:
        target = self._resolve(pointer, at)
        if pointer in open_refs:
            raise unsupported(at, f"the recursive `$ref` {pointer!r}", "references that end")
        if pointer not in self._referred:
            self._referred[pointer] = self.schema(target, pointer, (*open_refs, pointer))
        return self._referred[pointer]

    def _resolve(self, pointer: Any, at: str) -> Any:
        if not isinstance(pointer, str):
            raise malformed(f"{at}/$ref", pointer, "a JSON pointer")
        if pointer != "#" and not pointer.startswith("#/"):
            raise unsupported(at, f"the `$ref` {pointer!r}", "a reference into this schema, `#/…`")
        place = self._document
        for step in pointer.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, list) and step.isdecimal() and int(step) < len(place):
                place = place[int(step)]
            elif isinstance(place, Mapping) and step in place:
                place = place[step]
            else:
                raise malformed(f"{at}/$ref", pointer, "a reference to something that is there")
        return place

    def _check_disjoint(self, parts: list[Any], at: str) -> None:
        """Refuse `oneOf` unless no value can have the type of two parts."""
        seen: set[str] = set()
        for part in parts:
            kinds = {"number" if name == "integer" else name for name in self._possible_types(part, at, ())}
            if kinds & seen:
                raise unsupported(at, f"`oneOf` with two schemas of type {min(kinds & seen)}", "`anyOf`")
            seen |= kinds

    def _possible_types(self, schema: Any, at: str, open_refs: tuple[str, ...]) -> Iterable[str]:
        if not isinstance(schema, Mapping):
            return () if schema is False else KEYWORDS
        if "$ref" in schema and schema["$ref"] not in open_refs:
            target = self._resolve(schema["$ref"], at)
            return self._possible_types(target, at, (*open_refs, schema["$ref"]))
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else read_list(schema["enum"], at, least=1)
            return [name for name in KEYWORDS if any(is_of(value, [name]) for value in values)]
        return read_types(schema, at) if "type" in schema else KEYWORDS

    def _typed(self, name: str, schema: Mapping[str, Any], at: str, open_refs: tuple[str, ...]) -> Regular:
        match name:
            case "object":
                return self._object(schema, at, open_refs)
            case "array":
                return self._array(schema, at, open_refs)
            case "string":
                return _string(schema, at)
            case "integer":
                return integers(read_bounds(schema, at)) if schema.keys() & BOUNDS else parse_regex(INTEGER)
            case "number":
                return decimals(read_bounds(schema, at)) if schema.keys() & BOUNDS else parse_regex(NUMBER)
            case "boolean":
                return parse_regex("true|false")
        return literal("null")

    def _object(self, schema: Mapping[str, Any], at: str, open_refs: tuple[str, ...]) -> Regular:
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            raise malformed(f"{at}/properties", properties, "an object of schemas")
        required = read_list(schema.get("required", []), f"{at}/required", least=0)
        if odd := [name for name in required if not isinstance(name, str)]:
            raise malformed(f"{at}/required", odd[0], "names of properties")
        if missing := [name for name in required if name not in properties]:
            raise unsupported(at, f"`required` {missing[0]!r} without a property of that name", "a schema for it")
        others = schema.get("additionalProperties", True)
        if not properties and others is True:
            raise unsupported(at, "an object without `properties`, which allows any JSON", "`properties`")
        if not properties and others is not False:
            value = self.schema(others, f"{at}/additionalProperties", open_refs)
            key = concat(QUOTE, Repeat(parse_regex(CHARACTER), 0, None), QUOTE)
            return concat(literal("{"), _listing(concat(key, COLON, value), 0, None), literal("}"))
        members = []
        for name, part in properties.items():
            value = self.schema(part, f"{at}/properties/{pointer_step(name)}", open_refs)
            members.append((concat(quoted(name), COLON, value), name in required))
        return concat(literal("{"), _members(members), literal("}"))

    def _array(self, schema: Mapping[str, Any], at: str, open_refs: tuple[str, ...]) -> Regular:
        if "items" not in schema and "prefixItems" not in schema:
            raise unsupported(at, "an array without `items`, which allows any JSON", "`items`")
        least, most = read_count(schema, "minItems", at) or 0, read_count(schema, "maxItems", at)
        firsts = read_list(schema.get("prefixItems", []), f"{at}/prefixItems", least=0)
        items = [self.schema(first, f"{at}/prefixItems/{i}", open_refs) for i, first in enumerate(firsts)][:most]
        rest = self.schema(schema.get("items", False), f"{at}/items", open_refs)
        left = None if most is None else most - len(items)
        if left is not None and left < max(least - len(items), 0):
            return NOTHING
        if not items:
            return concat(literal("["), _listing(rest, least, most), literal("]"))
        tail: Regular = Repeat(concat(COMMA, rest), max(least - len(items), 0), left)
        for place in reversed(range(len(items))):
            tail = concat(COMMA if place else EMPTY, items[place], tail)
            tail = tail if place < least else optional(tail)
        return concat(literal("["), tail, literal("]"))


def _members(members: list[tuple[Regular, bool]]) -> Regular:
    """Return members in order with commas between those that are there; the flag says which must be.

    Both tails of a place, the one after a member and the one before any, share their trees, so that the automaton
    shares their states.
    """
    first: Regular = EMPTY
    later: Regular = EMPTY
    for member, required in reversed(members):
        first, later = (
            concat(member, later) if required else either(concat(member, later), first),
            concat(COMMA, member, later) if required else either(concat(COMMA, member, later), later),
        )
    return first


def _listing(item: Regular, least: int, most: int | None) -> Regular:
    """Return `least` to `most` items with commas between them."""
    if most == 0:
        return EMPTY if least == 0 else NOTHING
    more = Repeat(concat(COMMA, item), max(least - 1, 0), None if most is None else most - 1)
    return concat(item, more) if least else optional(concat(item, more))


def _string(schema: Mapping[str, Any], at: str) -> Regular:
    least, most = read_count(schema, "minLength", at), read_count(schema, "maxLength", at)
    if "pattern" not in schema:
        if most is not None and most < (least or 0):
            return NOTHING
        return concat(QUOTE, Repeat(parse_regex(CHARACTER), least or 0, most), QUOTE)
    if least is not None or most is not None:
        raise unsupported(at, "`pattern` beside `minLength` or `maxLength`", "one of them")
    if not isinstance(schema["pattern"], str):
        raise malformed(f"{at}/pattern", schema["pattern"], "a regular expression")
    return concat(QUOTE, inside_string(_searched(parse_regex(schema["pattern"], flags=0), at)), QUOTE)


def _searched(tree: Regular, at: str) -> Regular:
    """Return the texts in which a pattern is found somewhere: anything may surround it, but not beyond an anchor."""
    anything = Repeat(ANY_CHARACTER, 0, None)
    options = []
    for option in tree.options if isinstance(tree, Either) else (tree,):
        parts = list(option.parts if isinstance(option, Concat) else (option,))
        begins = bool(parts) and parts[0] == Anchor(behind=Behind.TEXT_START)
        ends = bool(parts) and isinstance(parts[-1], Anchor) and parts[-1].ahead >= Ahead.LAST_LINE_END
        inner = parts[begins : len(parts) - ends]
        if any(map(_has_anchor, inner)):
            raise unsupported(at, "`pattern` with an anchor inside", "`^` at the beginning and `$` at the end only")
        options.append(concat(EMPTY if begins else anything, *inner, EMPTY if ends else anything))
    return either(*options)


def _has_anchor(tree: Regular) -> bool:
    match tree:
        case Anchor():
            return True
        case CharSet():
            return False
        case Repeat():
            return _has_anchor(tree.body)
    return any(map(_has_anchor, tree.parts if isinstance(tree, Concat) else tree.options))
