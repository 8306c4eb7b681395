"""Case 26: generations within a language."""

import json
import re

import jsonschema
import pytest

import sglc
from tests.cases.models import Models

CITY = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "size": {"enum": ["small", "large"]}},
    "required": ["name", "size"],
    "additionalProperties": False,
}


def values(models: Models, **constraint: object) -> list[str]:
    """Return what several rows generate under a constraint, each text ending there."""

    @sglc.function
    def within(s, n):
        s += f"Value {n}: " + sglc.gen("x", max_tokens=60, temperature=2.0, **constraint) + ";"

    states = models.run(within, [(n,) for n in range(4)])
    assert [state.text() for state in states] == [f"Value {n}: {state['x']};" for n, state in enumerate(states)]
    assert len({state["x"] for state in states}) > 1
    return [state["x"] for state in states]


def test_a_regex(models: Models) -> None:
    """Gen with regex."""
    pattern = r"((25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)"
    for text in values(models, regex=pattern):
        assert re.fullmatch(pattern, text, re.ASCII)


def test_dtype_int(models: Models) -> None:
    """Dtype int."""
    for text in values(models, dtype=int, frequency_penalty=2.0):
        assert str(int(text)).lstrip("-") in text


def test_dtype_float(models: Models) -> None:
    """Dtype float."""
    for text in values(models, dtype="float"):
        float(text)


def test_dtype_bool(models: Models) -> None:
    """Dtype bool."""
    assert set(values(models, dtype=bool)) <= {"True", "False"}


def test_dtype_str(models: Models) -> None:
    """Dtype str: a quoted string."""
    bias = closing(models)

    @sglc.function
    def quoted(s):
        s += "Name: " + sglc.gen("x", dtype=str, max_tokens=40, logit_bias=bias)

    text = models.run_one(quoted)["x"]
    assert isinstance(json.loads(text), str)


def closing(models: Models) -> dict[int, float]:
    """Return a bias towards quotation marks, so that a string ends before long."""
    return {models.engine.tokenizer.encode('"')[0]: 26.0 if models.scripted else 8.0}


def test_gen_int_and_gen_string(models: Models) -> None:
    """gen_int/gen_string: `gen` with a fixed dtype."""
    bias = closing(models)

    @sglc.function
    def short(s):
        s += "Age: " + sglc.gen_int("age", max_tokens=4) + "\n"
        s += "Name: " + sglc.gen_string("name", max_tokens=40, logit_bias=bias)

    @sglc.function
    def long(s):
        s += "Age: " + sglc.gen("age", max_tokens=4, dtype=int) + "\n"
        s += "Name: " + sglc.gen("name", max_tokens=40, dtype=str, logit_bias=bias)

    state = models.run_one(short)
    int(state["age"])
    assert isinstance(json.loads(state["name"]), str)
    assert state.text() == models.run_one(long).text()


def test_json_from_constant_keys_and_small_regexes(models: Models) -> None:
    """JSON assembled from constant keys + small regex gens."""

    @sglc.function
    def character(s, name):
        s += f"{name} as JSON:\n"
        with s.var_scope("json"):
            s += '{\n  "name": "' + sglc.gen("name", regex="[A-Z][a-z]{2,6}") + '",\n'
            s += '  "house": "' + sglc.gen("house", regex="(Oak|Elm|Ash)") + '",\n'
            s += '  "age": ' + sglc.gen("age", regex="[1-9][0-9]?") + "\n}"

    for state in models.run(character, [("Ada",), ("Kim",)]):
        assert json.loads(state["json"]) == {
            "name": state["name"],
            "house": state["house"],
            "age": int(state["age"]),
        }
        assert state["house"] in ("Oak", "Elm", "Ash")


def test_json_from_one_regex(models: Models) -> None:
    """One whole regex."""
    pattern = r'\{\n  "name": "[\w ]{1,9}",\n  "age": [0-9]{1,2},\n  "tags": \["[a-z]{1,3}"(, "[a-z]{1,3}"){0,2}\]\n\}'
    for text in values(models, regex=pattern):
        assert re.fullmatch(pattern, text, re.ASCII)


def test_a_constant_json_schema(models: Models) -> None:
    """json_schema constant, as text and as a dict."""
    texts = values(models, json_schema=json.dumps(CITY))
    for text in texts:
        jsonschema.validate(json.loads(text), CITY)
    assert texts == values(models, json_schema=CITY)


def test_a_json_schema_of_the_row(models: Models) -> None:
    """json_schema per item."""

    @sglc.function
    def fill(s, schema):
        s += "JSON: " + sglc.gen("record", json_schema=schema, max_tokens=80)

    schemas = [
        CITY,
        {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
        {"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"], "additionalProperties": False},
    ]
    for schema, state in zip(schemas, models.run(fill, [(schema,) for schema in schemas]), strict=True):
        jsonschema.validate(json.loads(state["record"]), schema)


def test_two_constraints_are_refused(models: Models) -> None:
    """A regex, a schema and a dtype exclude each other; a broken regex is refused where it is written."""
    with pytest.raises(sglc.ProgramError, match="found more than one of dtype, regex and json_schema"):
        sglc.gen("x", regex="a", dtype=int)
    with pytest.raises(sglc.ProgramError) as caught:
        sglc.gen("x", regex="(")
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
