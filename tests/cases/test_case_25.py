"""Case 25: variables over stretches of text."""

import json

import pytest

import sglc
from tests.cases.models import Models, line_marked


def test_a_scope_around_several_pieces(models: Models) -> None:
    """var_scope around several pieces."""

    @sglc.function
    def stretch(s):
        s += "Before. "
        with s.var_scope("stretch"):
            s += "Name:" + sglc.gen("name", max_tokens=2)
            s += ", tool: " + sglc.select("tool", choices=["saw", "axe"])
            s += "."
        s += " After."

    state = models.run_one(stretch)
    assert state["stretch"] == f"Name:{state['name']}, tool: {state['tool']}."
    assert state.text() == f"Before. {state['stretch']} After."


def test_it_is_read_after_the_scope(models: Models) -> None:
    """Read after, inside the program; a read inside its own scope is an error, not a deadlock."""

    @sglc.function
    def after(s):
        with s.var_scope("part"):
            s += "a" + sglc.gen("x", max_tokens=2)
        s += " Again: " + s["part"]

    @sglc.function
    def within(s):
        with s.var_scope("part"):
            s += "a"
            s["part"]  # inside

    state = models.run_one(after)
    assert state.text() == f"a{state['x']} Again: a{state['x']}"
    with pytest.raises(sglc.ProgramError, match="inside its own var_scope") as caught:
        models.run_one(within)
    assert caught.value.location == line_marked(within, "inside")


def test_nested_scopes(models: Models) -> None:
    """Nested scopes."""

    @sglc.function
    def nested(s):
        with s.var_scope("outer"):
            s += "(" + sglc.gen("a", max_tokens=2)
            with s.var_scope("inner"):
                s += "[" + sglc.gen("b", max_tokens=2) + "]"
            s += ")"

    state = models.run_one(nested)
    assert state["inner"] == f"[{state['b']}]"
    assert state["outer"] == f"({state['a']}{state['inner']})"


def test_a_scope_parsed_as_json(models: Models) -> None:
    """Parse as JSON."""

    @sglc.function
    def record(s, name):
        with s.var_scope("json"):
            s += '{"name": ' + json.dumps(name)
            s += ', "age": ' + sglc.gen("age", regex="[1-9][0-9]")
            s += ', "likes": ' + sglc.select("likes", choices=['"tea"', '"ice"']) + "}"
        return json.loads(s["json"])

    names = ["Ada", 'Bob "B"', "雪"]
    for name, state in zip(names, models.run(record, [(name,) for name in names]), strict=True):
        likes = json.loads(state["likes"])
        assert state.ret_value == {"name": name, "age": int(state["age"]), "likes": likes}
