"""The parameters of random programs, and rows of arguments for them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.program_source_writer import Value

TEXTS = (
    "",
    "apple",
    "the quick fox",
    "好的，你好",
    "🎉 party",
    "Yes",
    "no",
    "x" * 9,
    "a,b,c",
    "Ünï",
    "line\nbreak",
    "{0}%s",
)
WORDS = ("red", "green", "blue", "好", "🎉", "one two", "e")
KEYS = ("yes", "no", "A", "好")
DIGITS = ("7", "12", "0", "x7", "", " 3 ", "٣")


@dataclass
class Parcel:
    """An argument that is an object."""

    name: str
    parts: list[int]


THINGS: tuple[Any, ...] = (
    *(None, 3, 1, True, 1.0, "1", 0, False, 2.5, -1, 10**20, -0.0, "", "text"),
    *(["a", "b"], [], ("t", 1), {"k": "v"}, {}, [["x"], None], {"only"}, b"ab", range(2), Parcel("box", [1, 2])),
)
"""Arguments of all types; some of other types are equal."""


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name, how values are drawn, as what programs read it, and its default's code if it has one."""

    name: str
    draw: Callable[[Random], Any]
    value: Value
    default: str | None = None
    keyword_only: bool = False


def _words(random: Random) -> list[str]:
    return [random.choice(WORDS) for _ in range(random.randint(0, 3))]


def _thing(random: Random) -> Any:
    return copy.deepcopy(random.choice(THINGS))


def _record(random: Random) -> dict[str, Any]:
    return {"name": random.choice(WORDS), "tags": _words(random), "size": random.randint(0, 9)}


PARAMETERS = (
    Parameter("title", lambda r: r.choice(TEXTS), Value("title", "text")),
    Parameter("topic", lambda r: r.choice(TEXTS), Value("topic", "text"), '"cats"'),
    Parameter("word", lambda r: r.choice(WORDS), Value("word", "text"), '"好"', keyword_only=True),
    Parameter("key", lambda r: r.choice(KEYS), Value("key", "text", shape="key")),
    Parameter("digits", lambda r: r.choice(DIGITS), Value("digits", "text")),
    Parameter("n", lambda r: r.randint(0, 4), Value("n", "int")),
    Parameter("size", lambda r: r.randint(1, 9), Value("size", "int"), "2"),
    Parameter(
        "ratio",
        lambda r: r.choice((0.25, 1.0, 3.5, -0.5, 0.0, -0.0)),
        Value("ratio", "float"),
        "0.5",
        keyword_only=True,
    ),
    Parameter("flag", lambda r: r.random() < 0.5, Value("flag", "bool"), "False", keyword_only=True),
    Parameter("note", lambda r: r.choice((None, None, "", "see above")), Value("note", "optional"), "None"),
    Parameter("items", _words, Value("items", "texts")),
    Parameter(
        "pairs", lambda r: [(r.choice(WORDS), r.randint(0, 9)) for _ in range(r.randint(0, 2))], Value("pairs", "pairs")
    ),
    Parameter("facts", lambda r: {k: r.choice(WORDS) for k in r.sample(KEYS, r.randint(0, 3))}, Value("facts", "dict")),
    Parameter("thing", _thing, Value("thing", "thing")),
    Parameter("record", _record, Value("record", "record")),
)

ROW = Parameter("row", lambda r: r.randrange(10**6), Value("row", "int"))
"""The name that a row's effects bear."""


ANNOTATIONS = {"text": "str", "int": "int", "float": "float", "bool": "bool", "optional": "str | None"}
"""Annotations of parameters, by the kind of value."""


def draw_rows(random: Random, parameters: tuple[Parameter, ...], varied: bool) -> list[Any]:
    """Return 4 to 8 rows, dicts or tuples; unless `varied`, all have arguments of one shape."""
    positional = [p for p in parameters if not p.keyword_only]
    rows: list[Any] = []
    first: dict[str, Any] = {}
    for number in range(random.choice((4, 4, 4, 4, 4, 4, 5, 8))):
        drawn = {p.name: p.draw(random) for p in parameters}
        if not varied:
            drawn = {name: _alike(value, first.get(name, value)) for name, value in drawn.items()}
        first = first or drawn
        if "items" in drawn and "record" in drawn and random.random() < 0.15:
            drawn["record"]["tags"] = drawn["items"]  # one list by two names
        if "row" in drawn:
            drawn["row"] = 100 * number + 7
        if random.random() < 0.2:
            given = positional
            while given and given[-1].default is not None and random.random() < 0.5:
                given = given[:-1]
            rows.append(tuple(drawn[p.name] for p in given))
            if any(p.default is None for p in parameters if p.keyword_only):
                rows[-1] = drawn
            continue
        left_out = {p.name for p in parameters if p.default is not None and random.random() < 0.2}
        rows.append({name: value for name, value in drawn.items() if name not in left_out})
    return rows


def _alike(value: Any, model: Any) -> Any:
    """Return a value of the model's type and structure."""
    if type(value) is not type(model) or (isinstance(value, dict) and value.keys() != model.keys()):
        return copy.deepcopy(model)
    if isinstance(value, list | tuple) and len(value) != len(model):
        return copy.deepcopy(model)
    if isinstance(value, dict):
        return {key: _alike(each, model[key]) for key, each in value.items()}
    return value
