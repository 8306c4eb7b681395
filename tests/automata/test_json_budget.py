"""One budget holds over a whole schema: large and tangled ones are served or refused in bounded time, never fatal."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sglc.automata import budget as limits
from sglc.automata.budget import Budget, OverBudget
from sglc.automata.json_schema import compile_json_schema
from sglc.errors import ProgramError, Unsupported

STRING = {"type": "string"}


def text_of(pattern: str) -> dict[str, str]:
    return {"type": "string", "pattern": pattern}


def names(count: int) -> dict[str, Any]:
    return {f"name{number}": STRING for number in range(count)}


def compiled(schema: Any) -> Any:
    """Return the language, or the error, of a schema that has to take less than five seconds."""
    began = time.process_time()
    try:
        return compile_json_schema(schema if isinstance(schema, str) else json.dumps(schema))
    except (ProgramError, Unsupported) as error:
        return error
    finally:
        assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"type": "object", "properties": names(4_000)}, "an object of more than 1,500 names"),
        (
            {"properties": names(300), "maxProperties": 100},
            "#/maxProperties: found a count of members beside 300 names",
        ),
        ({"enum": list(range(150_000))}, "#/enum/0: found values of more than 300,000 characters"),
        ({"const": "abc" * 330_000}, "#/const: found values of more than 300,000 characters"),
        (text_of("a{100000000}"), "#/pattern: regex 'a{100000000}': found a language (with 100,000,000 repeats"),
        ('{"items":' * 10_000 + "true" + "}" * 10_000, "found text that is not JSON (maximum recursion depth exceeded"),
        (
            {"const": 1, "$ref": "#/$defs/0", "$defs": {str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(9_999)}},
            "too",
        ),
    ],
)
def test_what_is_too_large_is_refused_in_words(schema: Any, found: str) -> None:
    error = compiled(schema)
    assert isinstance(error, ProgramError | Unsupported) and found in str(error)


def test_a_language_of_too_many_states_is_worked_out_state_by_state() -> None:
    language = compiled(text_of("^(a|b)*a(a|b){20}$"))
    assert not language.is_table
    assert language.accepts('"' + "a" * 21 + '"') and not language.accepts('"' + "b" * 21 + '"')
    assert language.viable('"' + "b" * 40) == 41


def test_a_schema_whose_parts_are_quick_but_many_ends_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.Budget.__init__, "__defaults__", (limits.MAX_STATES, 0.05))
    parts = [{"type": "object", "properties": {f"k{n}": STRING}, "required": [f"k{n}"]} for n in range(2_000)]
    error = compiled({"oneOf": parts})
    assert isinstance(error, Unsupported) and "#/oneOf" in str(error)
    assert "found schemas that take over 0.05 s to put together" in str(error)


def test_a_question_never_outlasts_its_compilation() -> None:
    spent = Budget(seconds=0)
    with pytest.raises(OverBudget, match="#/here"):
        spent.check(0, "#/here")
    with pytest.raises(OverBudget):
        spent.part(states=10, seconds=5).check(0)
    with pytest.raises(OverBudget):
        list(spent.paced(range(3)))
    with pytest.raises(OverBudget):
        Budget().part(states=10, seconds=5).check(11)
