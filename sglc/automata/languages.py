"""What an author may write as a constraint, checked and turned into a language; no numpy, so a program loads fast."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

from sglc.automata.json_schema import parse_json_schema
from sglc.automata.json_text import STRING
from sglc.automata.positions import Positions, live_positions
from sglc.automata.regex_syntax import parse_regex
from sglc.errors import ProgramError

_DTYPES = {
    "int": r"[-+]?[0-9]+[ \n]*",
    "float": r"[-+]?[0-9]*\.?[0-9]+[ \n]*",
    "str": STRING,
    "bool": "(True|False)",
}


def dtype_pattern(dtype: type | str) -> str:
    """Return the regex of `int`, `float`, `str` (a JSON string with its quotes) or `bool`, types or their names.

    A number may be followed by spaces and newlines, because models write one after it. Raises ValueError for others.
    """
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", repr(dtype))
    if name not in _DTYPES or not (isinstance(dtype, str) or dtype in (int, float, str, bool)):
        raise ValueError(f"dtype: found {dtype!r}; wanted int, float, str or bool")
    return _DTYPES[name]


def check_regex(pattern: str) -> None:
    """Raise what `compile_regex` would raise, without a vocabulary."""
    regex_positions(pattern)


def check_json_schema(schema: str | Mapping[str, Any]) -> None:
    """Raise what `compile_json_schema` would raise, without a vocabulary."""
    json_schema_positions(json_schema_text(schema))


@lru_cache(maxsize=128)
def regex_positions(pattern: str) -> Positions:
    """Return the live positions of the texts that `pattern` matches as a whole."""
    return live_positions(parse_regex(pattern), f"regex {pattern!r}")


@lru_cache(maxsize=128)
def json_schema_positions(schema: str) -> Positions:
    """Return the live positions of the texts that are valid under `schema`, JSON text."""
    try:
        parsed = json.loads(schema, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"json_schema: found text that is not JSON ({error}); wanted a JSON schema") from None
    return live_positions(parse_json_schema(parsed), "json_schema")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def json_schema_text(schema: str | Mapping[str, Any]) -> str:
    """Return a schema as JSON text, its keys in the author's order."""
    if isinstance(schema, str):
        return schema
    try:
        return json.dumps(schema)
    except (TypeError, ValueError) as error:
        raise ProgramError(f"json_schema: found a value that JSON can't hold ({error}); wanted a JSON schema") from None
