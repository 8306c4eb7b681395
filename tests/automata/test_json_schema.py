"""JSON schemas: every text of the language validates, chosen texts are in it, and the rest is refused by name."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import time
from random import Random
from typing import Annotated, Any

import jsonschema
import pydantic
import pytest

from sglc.automata.assertions import live_positions
from sglc.automata.automaton import Automaton
from sglc.automata.byte_automaton import ByteAutomaton
from sglc.automata.json_numbers import Bounds, decimals, integers
from sglc.automata.json_schema import compile_json_schema
from sglc.errors import ProgramError, Unsupported
from tests.automata.texts import accepts, random_member


def language(schema: Any) -> ByteAutomaton:
    """Return the texts of a schema as read closed: what is described, and nothing else."""
    compiled = compile_json_schema(schema, closed=True)
    assert isinstance(compiled, Automaton)
    return ByteAutomaton(compiled.positions)


def object_of(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


def nested(schema: dict[str, Any], levels: int) -> dict[str, Any]:
    return {"type": "array", "items": nested(schema, levels - 1)} if levels else schema


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
    (
        {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 3},
        ["[1,2]", "[1,2,3]"],
        ["[]", "[1]", "[1,2,3,4]"],
    ),
    ({"type": "array", "items": INTEGER, "maxItems": 0}, ["[]"], ["[1]"]),
    ({"type": "array", "items": INTEGER, "minItems": 1}, ["[1]", "[1,2,3]"], ["[]"]),
    (
        {"type": "array", "prefixItems": [STRING, INTEGER], "items": {"type": "null"}, "minItems": 1, "maxItems": 3},
        ['["a"]', '["a",1]', '["a",1,null]'],
        ["[]", '["a",1,null,null]', '["a",null]'],
    ),
    (
        {"type": "array", "prefixItems": [STRING], "items": INTEGER, "minItems": 2},
        ['["",1]', '["",1,2]'],
        ['[""]', "[]"],
    ),
    ({"type": "array", "prefixItems": [STRING, INTEGER], "maxItems": 1}, ['[""]', "[]"], ['["",1]']),
    (nested(INTEGER, 5), ["[[[[[1]]],[]]]"], ["[[[[1]]]]"]),
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
        ({"type": "array", "items": STRING, "uniqueItems": True}, "#/uniqueItems: found `uniqueItems`"),
        ({"type": "number", "multipleOf": 0.7}, "#/multipleOf: found `multipleOf` 0.7"),
        ({"type": "integer", "multipleOf": 977}, "#/multipleOf: found `multipleOf` 977"),
        ({"type": "string", "format": "idn-email"}, "#/format: found the format 'idn-email'"),
        (object_of("", **{"a/b": {"not": {"multipleOf": 2}}}), "#/properties/a~1b/not/multipleOf: found `multipleOf`"),
        ({"$ref": "other.json"}, "#: found the `$ref` 'other.json'"),
        ({"$ref": "#"}, "#: found a schema that refers to itself"),
        ({"anyOf": [{"$ref": "#"}, INTEGER]}, "#: found a schema that refers to itself"),
        ({"type": "object", "minProperties": 2}, "#/minProperties: found `minProperties` 2"),
        ({"items": {"unevaluatedItems": False}}, "#/items/unevaluatedItems: found"),
    ],
)
def test_what_is_not_translated_is_refused_with_its_pointer(schema: Any, found: str) -> None:
    with pytest.raises(Unsupported, match=re.escape(found)):
        compile_json_schema(schema)


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
        ('{"type": "array", "items": false, "minItems": 1}', "a language without any text"),
    ],
)
def test_a_malformed_schema_is_a_sentence(schema: str, found: str) -> None:
    with pytest.raises(ProgramError, match=re.escape(found)):
        compile_json_schema(schema)


def test_a_schema_may_be_a_mapping_but_only_of_json() -> None:
    compile_json_schema({"type": "integer"})
    with pytest.raises(ProgramError, match="a value that JSON can't hold"):
        compile_json_schema({"const": object()})


@pytest.mark.parametrize("depth", [200, 5000, 100_000])
def test_depth_is_refused_in_words_where_it_is_too_great(depth: int) -> None:
    schema = '{"items":' * depth + "false" + "}" * depth
    with contextlib.suppress(ProgramError, Unsupported):
        compile_json_schema(schema)


def test_many_optional_properties_and_nested_arrays_stay_small() -> None:
    schema: Any = object_of("", **{f"key{number}": STRING for number in range(100)})
    for _ in range(20):
        schema = {"type": "array", "items": schema, "minItems": 1}
    compile_json_schema(schema)


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


class Person(pydantic.BaseModel):
    name: str
    age: Annotated[int, pydantic.Field(ge=0, le=130)]
    tags: list[str] = []


@dataclasses.dataclass
class Point:
    x: int
    y: int | None = None


def test_a_pydantic_model_and_a_dataclass_are_schemas() -> None:
    person = compile_json_schema(Person, closed=True)
    assert person.is_table and person.accepts('{"name": "Ada", "age": 36, "tags": []}')
    assert not person.accepts('{"name": "Ada", "age": 131}')
    assert compile_json_schema(Person).accepts('{"name": "Ada", "age": 36, "more": {}}')
    assert compile_json_schema(Point).accepts('{"x": 1, "y": null}')
    with pytest.raises(ProgramError, match="found the class int; wanted a pydantic model or a dataclass"):
        compile_json_schema(int)


@pytest.mark.parametrize(
    ("schema", "members", "others"),
    [
        (
            {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            ['{"a": 1}', '{"b": 1}'],
            ['{"a": 1, "b": 1}', "{}"],
        ),
        ({"not": {"required": ["a"]}}, ['{"b": 1}', "{}"], ['{"a": 1}', "7"]),
        (
            {"if": {"properties": {"k": {"const": 1}}}, "then": {"required": ["z"]}, "properties": {"k": {}}},
            ['{"k": 1, "z": 0}', '{"k": 2}'],
            ['{"k": 1}', "{}"],
        ),
        ({"dependentRequired": {"a": ["b"]}}, ['{"a": 1, "b": 1}', '{"b": 1}', "{}"], ['{"a": 1}']),
        ({"type": "array", "contains": {"const": 5}}, ["[5]", "[1, 5, {}]"], ["[]", "[1]"]),
        (
            {"type": "array", "items": {"enum": ["a", "b", 1]}, "uniqueItems": True, "minItems": 1},
            ['["a"]', '[1, "b", "a"]'],
            ["[]", '["a", "a"]'],
        ),
        ({"type": "string", "pattern": "^a", "maxLength": 2, "minLength": 2}, ['"ab"'], ['"a"', '"abc"', '"ba"']),
        ({"type": "string", "format": "date"}, ['"2024-02-29"'], ['"2023-02-29"', '"2024-13-01"']),
        ({"type": "string", "format": "no such"}, ['"x"'], []),
        ({"type": "integer", "multipleOf": 7, "minimum": 1}, ["7", "7007"], ["8", "0", "-7"]),
        ({"type": "number", "multipleOf": 0.01}, ["1.25", "3", "-0.5"], ["1.255"]),
        ({"type": "number", "minimum": 0.1, "exclusiveMaximum": 2.5}, ["0.1", "2.4999", "1"], ["0.09", "2.5", "3"]),
        (
            {"type": "object", "patternProperties": {"^n": INTEGER}, "additionalProperties": {"type": "null"}},
            ['{"n1": 1, "x": null}'],
            ['{"n1": null}', '{"x": 1}'],
        ),
        ({"allOf": [{"$ref": "#/$defs/a"}, {"minimum": 3}], "$defs": {"a": INTEGER}}, ["3"], ["2", '"x"']),
        ({"type": ["integer", "null"], "not": {"enum": [1, None]}}, ["2", "-1"], ["1", "null"]),
        ({"type": "string", "pattern": "é"}, ['"é"', r'"\u00e9"', r'"\u00E9x"'], ['"e"']),
        ({"type": "string", "pattern": r"a\b"}, ['"a"', '"a b"', r'"a\n"'], ['"ab"']),
        ({"type": "string", "pattern": "^(?!no).+$"}, ['"yes"'], ['"no"', '"not"']),
    ],
)
def test_keywords_that_combine(schema: Any, members: list[str], others: list[str]) -> None:
    language = compile_json_schema(schema)
    assert [text for text in members + others if language.accepts(text)] == members
    validator = jsonschema.Draft202012Validator(schema)
    for text in members:
        assert validator.is_valid(json.loads(text)), text


def test_a_large_schema_takes_bounded_time() -> None:
    many = {f"name{number}": {"type": "string", "description": "x" * 60} for number in range(10_000)}
    schema = {"type": "object", "properties": many, "additionalProperties": False}
    assert len(json.dumps(schema)) > 10**6
    began = time.process_time()
    with contextlib.suppress(ProgramError, Unsupported):
        compile_json_schema(schema)
    assert time.process_time() - began < 5
