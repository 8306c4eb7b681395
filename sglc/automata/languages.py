"""What an author may write as a constraint, checked and compiled; without one, a program loads no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sglc.automata.json_text import STRING
from sglc.errors import ProgramError

if TYPE_CHECKING:
    from sglc.automata.automaton import Automaton
    from sglc.automata.context_free import ContextFree

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


def regex_language(pattern: str) -> Automaton:
    """Return the texts that `pattern` matches as a whole.

    Raises ProgramError for an invalid pattern or an empty language, Unsupported for what is not regular or too large.
    """
    from sglc.automata.automaton import compile_regex

    automaton = compile_regex(pattern)
    if automaton.is_empty:
        raise ProgramError(f"{automaton.name}: found a language without any text; wanted one that some text belongs to")
    return automaton


def json_schema_text(schema: str | Mapping[str, Any] | type) -> str:
    """Return a schema as JSON text: that of Python values, of a pydantic model or of a dataclass."""
    from sglc.automata.json_schema import schema_text

    return schema if isinstance(schema, str) else schema_text(schema)


def json_schema_language(schema: str) -> Automaton | ContextFree:
    """Return the JSON texts that are valid under `schema`, JSON text itself; otherwise as `regex_language`."""
    from sglc.automata.json_schema import compile_json_schema

    return compile_json_schema(schema)


def grammar_language(grammar: str) -> Automaton | ContextFree:
    """Return the texts that a grammar in lark's syntax derives; otherwise as `regex_language`."""
    from sglc.automata.grammar import compile_grammar

    return compile_grammar(grammar)
