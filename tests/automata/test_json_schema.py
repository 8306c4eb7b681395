"""JSON schemas: every text of the language validates, chosen texts are in it, and the rest is refused by name."""

from __future__ import annotations

import contextlib
import json
import re
from random import Random
from typing import Any

import jsonschema
import pytest

from sglc.automata.byte_automaton import ByteAutomaton
from sglc.automata.json_numbers import Bounds, decimals, integers
from sglc.automata.languages import check_json_schema, json_schema_positions, json_schema_text
from sglc.automata.positions import live_positions
from sglc.errors import ProgramError, Unsupported
from tests.automata.texts import accepts, random_member


def language(schema: Any) -> ByteAutomaton:
    return ByteAutomaton(json_schema_positions(json_schema_text(schema)))


def object_of(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


INTEGER, STRING, ANY_OBJECT = {"type": "integer"}, {"type": "string"}, {"additionalProperties": {"type": "number"}}
PERSON = object_of("name", name=STRING, age={"type": "integer", "minimum": 0, "maximum": 130}, **{'é"\n': STRING})
TREE = {"$ref": "#/$defs/pair", "$defs": {"pair": {"prefixItems": [{"$ref": "#/$defs/leaf"}, INTEGER]}, "leaf": PERSON}}

# A schema, texts of its language, and texts that are not in it (most valid JSON).
CASES: list[tuple[Any, list[str], list[str]]] = [
    (object_of("b", a=INTEGER, b=INTEGER, c=INTEGER), ['{"b": 1}', '{"a":1,"b":2, "c":3}'], ['{"a": 1}', '{"b":1,}']),
    (object_of("", a=INTEGER, b=INTEGER), ["{}", '{"a":1}', '{"b":1}', '{"a":1,"b":1}'], ['{,"b":1}', '{"b":1,"a":1}']),
    (object_of("a b", a=INTEGER, b=INTEGER), ['{"a":1,"b":1}'], ["{}", '{"a":1}', '{"a":1 "b":1}']),
    ({"type": "object", "additionalProperties": False}, ["{}"], ['{"a":1}', "{ }"]),
    ({"type": "object", **ANY_OBJECT}, ["{}", '{"é":1.5, "":-0}'], ['{"a":true}']),
    (PERSON, ['{"name": "日本🙂"}', '{"name":"","é\\"\\n":"x"}'], ['{"name": "", "age": 131}']),
    (TREE, ["[]", '[{"name":""}]', '[{"name":""},7]'], ["[7]", '[{"name":""},7,8]']),
    ({"type": "array", "items": INTEGER}, ["[]", "[1]", "[1, 2,3]"], ["[1,]", "[,1]", "[1  ,2]"]),
    ({"items": INTEGER, "minItems": 2, "maxItems": 3}, ["[1,2]", "[1,2,3]"], ["[]", "[1]", "[1,2,3,4]"]),
    ({"items": INTEGER, "maxItems": 0}, ["[]"], ["[1]"]),
    ({"items": INTEGER, "minItems": 1}, ["[1]", "[1,2,3]"], ["[]"]),
    (
        {"prefixItems": [STRING, INTEGER], "items": {"type": "null"}, "minItems": 1, "maxItems": 3},
        ['["a"]', '["a",1]', '["a",1,null]'],
        ["[]", '["a",1,null,null]', '["a",null]'],
    ),
    ({"prefixItems": [STRING], "items": INTEGER, "minItems": 2}, ['["",1]', '["",1,2]'], ['[""]', "[]"]),
    ({"prefixItems": [STRING, INTEGER], "maxItems": 1}, ['[""]', "[]"], ['["",1]']),
    ({"items": {"items": {"items": {"items": {"items": INTEGER}}}}}, ["[[[[[1]]],[]]]"], ["[[[[1]]]]"]),
    (STRING, ['""', r'"\u00e9\ud83d\ude42\n\/"', '"é\u2028"'], ['"', '"\n"', r'"\ud83d"', r'"\x"', '"""']),
    ({"type": "string", "minLength": 1, "maxLength": 2}, ['"é"', r'"\ud83d\ude42🙂"'], ['""', '"abc"']),
    ({"type": "string", "pattern": "^[a-c]+$"}, ['"abc"'], ['""', '"abcd"']),
    ({"type": "string", "pattern": "b"}, ['"abc"', '"b"', r'"\"b\\"'], ['"ac"']),
    ({"type": "string", "pattern": '^["\\\\\n\x01]$'}, [r'"\""', r'"\\"', r'"\n"', r'"\u0001"'], ['"""', '"a"']),
    ({"type": "string", "pattern": r"^\S[^\s]\s$"}, ['"éa "'], ['"é\xa0 "', '"\ufeffa "', '"aa\xa0"']),
    ({"type": "string", "pattern": "^a|b$"}, ['"ax"', '"xb"'], ['"xa"', '"bx"']),
    ({"enum": ["a", 'q"', 1, 1.5, None, True, {"k": [1, "é"]}]}, ['"a"', r'"q\""', "1.5", '{"k": [1, "é"]}'], ["2"]),
    ({"type": "integer", "enum": [1, 2.0, 2.5, "a", True]}, ["1", "2.0"], ["2.5", '"a"', "true"]),
    ({"const": {"a": []}}, ['{"a":[]}', '{"a": []}'], ['{"a": [ ]}']),
    ({"const": "\ud83d"}, [r'"\ud83d"'], []),
    ({"type": ["string", "null"], "maxLength": 1}, ['"a"', "null"], ['"ab"', "1"]),
    ({"anyOf": [STRING, {"type": "null"}]}, ['"a"', "null"], ["1"]),
    ({"oneOf": [INTEGER, {"$ref": "#/$defs/s"}], "$defs": {"s": STRING}}, ["1", '""'], ["1.5"]),
    ({"allOf": [INTEGER], "title": "wrapped"}, ["1"], ["a"]),
    ({"anyOf": [False, {"type": "boolean"}]}, ["true", "false"], ["null"]),
    (INTEGER, ["0", "-0", "-17"], ["01", "+1", "1.0"]),
    ({"type": "number"}, ["0.5", "-1e-7", "1E+5", "10"], [".5", "1.", "0x1", "00"]),
    ({"type": "number", "minimum": 0, "maximum": 1}, ["0", "1.0", "0.25"], ["1.1", "-0.1", "2"]),
    ({"type": "number", "exclusiveMinimum": 0, "minimum": 0}, ["0.001", "7", "10.0"], ["0", "0.0", "-1"]),
]


@pytest.mark.parametrize(("schema", "members", "others"), CASES, ids=range(len(CASES)))
def test_texts_of_a_schema(schema: Any, members: list[str], others: list[str]) -> None:
    automaton = language(schema)
    assert [text for text in members + others if accepts(automaton, text)] == members
    validator = jsonschema.Draft202012Validator(schema)
    random = Random(0)
    for text in members + [random_member(automaton, random, random.randrange(60)) for _ in range(25)]:
        validator.validate(json.loads(text))


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (True, "#: found a schema without a type"),
        ({}, "#: found a schema without a type"),
        ({"type": "object"}, "#: found an object without `properties`"),
        ({"type": "array"}, "#: found an array without `items`"),
        ({"type": "array", "items": INTEGER, "uniqueItems": True}, "#: found `uniqueItems`"),
        (object_of("", **{"a/b": {"type": "integer", "multipleOf": 2}}), "#/properties/a~1b: found `multipleOf`"),
        (object_of("a"), "#: found `required` 'a' without a property"),
        ({"type": "number", "minimum": 0.5}, "#/minimum: found the bound 0.5"),
        ({"type": "string", "pattern": "a", "minLength": 2}, "#: found `pattern` beside"),
        ({"type": "string", "pattern": "(?:^a)+"}, "#: found `pattern` with an anchor inside"),
        ({"type": "string", "format": "date"}, "#: found `format`"),
        ({"oneOf": [INTEGER, {"type": "number"}]}, "#/oneOf: found `oneOf` with two schemas of type number"),
        ({"allOf": [INTEGER, INTEGER]}, "#: found `allOf` of several"),
        ({"anyOf": [INTEGER], "minimum": 1}, "#: found `minimum` beside `anyOf`"),
        ({"items": {"$ref": "#"}}, "#/items: found the recursive `$ref` '#'"),
        ({"$ref": "other.json"}, "#: found the `$ref` 'other.json'"),
        ({"not": INTEGER}, "#: found `not` without a `type`"),
        ({"type": "string", "maxLength": 10**9}, ": found a language of more than 50,000 automaton states"),
    ],
)
def test_what_is_not_translated_is_refused_with_its_pointer(schema: Any, found: str) -> None:
    with pytest.raises(Unsupported, match=re.escape(found)):
        check_json_schema(json.dumps(schema))


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ("{", "text that is not JSON"),
        ("[1]", "[1]; wanted a schema"),
        ('{"type": "strin"}', '#/type: found "strin"; wanted one of object, array'),
        ('{"type": "object", "properties": []}', "#/properties: found []; wanted an object of schemas"),
        ('{"type": "string", "maxLength": -1}', "#/maxLength: found -1; wanted a whole number"),
        ('{"type": "string", "pattern": "("}', "found missing ), unterminated subpattern at position 0"),
        ('{"type": "integer", "minimum": "1"}', '#/minimum: found "1"; wanted a number'),
        ('{"const": NaN}', "NaN is not a number in JSON"),
        ('{"$ref": []}', "#/$ref: found []; wanted a JSON pointer"),
        ('{"properties": {"a": false}, "required": [{}]}', "#/required: found {}; wanted names of properties"),
        ('{"enum": []}', "#/enum: found []; wanted a list with something in it"),
        ('{"$ref": "#/$defs/x"}', "wanted a reference to something that is there"),
        ('{"type": "integer", "minimum": 2, "maximum": 1}', "a language without any text"),
        ('{"items": false, "minItems": 1}', "a language without any text"),
    ],
)
def test_a_malformed_schema_is_a_sentence(schema: str, found: str) -> None:
    with pytest.raises(ProgramError, match=re.escape(found)):
        check_json_schema(schema)


def test_a_schema_may_be_a_mapping_but_only_of_json() -> None:
    check_json_schema({"type": "integer"})
    with pytest.raises(ProgramError, match="a value that JSON can't hold"):
        check_json_schema({"const": object()})


@pytest.mark.parametrize("depth", [200, 5000, 100_000])
def test_depth_is_refused_in_words_where_it_is_too_great(depth: int) -> None:
    schema = '{"items":' * depth + "false" + "}" * depth
    with contextlib.suppress(ProgramError, Unsupported):
        check_json_schema(schema)


def test_many_optional_properties_and_nested_arrays_stay_small() -> None:
    schema: Any = object_of("", **{f"key{number}": STRING for number in range(100)})
    for _ in range(20):
        schema = {"type": "array", "items": schema, "minItems": 1}
    check_json_schema(schema)


@pytest.mark.parametrize("low", [None, -120, -10, -1, 0, 1, 7, 98, 100])
@pytest.mark.parametrize("high", [None, -99, -1, 0, 5, 10, 99, 123])
@pytest.mark.parametrize("open_ends", [(False, False), (True, True)])
def test_bounded_numbers_are_exact(low: int | None, high: int | None, open_ends: tuple[bool, bool]) -> None:
    bounds = Bounds(low, high, *open_ends)

    def within(value: float) -> bool:
        above = low is None or (value > low if open_ends[0] else value >= low)
        below = high is None or (value < high if open_ends[1] else value <= high)
        return above and below

    numbers = range(-135, 136)
    wholes = [str(number) for number in numbers]
    assert _members(integers(bounds), wholes) == [text for text in wholes if within(int(text))]
    parts = [f"{number}{part}" for number in wholes for part in ("", ".0", ".5", ".001")] + ["-0.5"]
    wanted = [text for text in parts if within(float(text))]
    assert _members(decimals(bounds), parts) == wanted


def _members(tree: Any, texts: list[str]) -> list[str]:
    try:
        automaton = ByteAutomaton(live_positions(tree, "numbers"))
    except ProgramError:
        return []
    return [text for text in texts if accepts(automaton, text)]
