"""JSON texts as regular languages: the layout that all constrained JSON here has.

One optional space after each `:` and `,`, no other white space outside strings. Fixed strings (keys, enum values,
strings with a pattern) are written without needless escapes; free strings may escape as JSON allows, except that
lone surrogates, which no UTF-8 text holds, are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import (
    CharSet,
    Concat,
    Either,
    Regular,
    Repeat,
    char_set,
    complement,
    concat,
    either,
    literal,
)

CHARACTER = (
    r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)
"""A regex for one character inside a JSON string, counted as JSON Schema counts lengths."""

STRING = f'"{CHARACTER}*"'
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
INTEGER = r"-?(?:0|[1-9][0-9]*)"

COMMA = parse_regex(", ?")
COLON = parse_regex(": ?")
QUOTE = literal('"')

_ESCAPED = char_set([(0, 0x1F), (ord('"'), ord('"')), (ord("\\"), ord("\\"))])


def quoted(text: str) -> Regular:
    """Return the language of one JSON string, written without needless escapes."""
    try:
        text.encode()
        return literal(json.dumps(text, ensure_ascii=False))
    except UnicodeEncodeError:  # a lone surrogate can only be written as an escape
        return literal(json.dumps(text))


def constant(value: Any) -> Regular:
    """Return the language of one JSON value in our layout; its keys keep their order."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        members = [concat(quoted(key), COLON, constant(item)) for key, item in value.items()]
        return concat(literal("{"), _joined(members), literal("}"))
    if isinstance(value, list):
        return concat(literal("["), _joined([constant(item) for item in value]), literal("]"))
    return literal(json.dumps(value, allow_nan=False))


def inside_string(tree: Regular) -> Regular:
    """Return a language of texts as it is written between the quotes of a JSON string."""
    match tree:
        case CharSet():
            plain = complement(char_set([*complement(tree).ranges, *_ESCAPED.ranges]))
            escaped = [code for low, high in tree.ranges for code in range(low, min(high, 0x5C) + 1)]
            escapes = [literal(json.dumps(chr(code))[1:-1]) for code in escaped if code in _ESCAPED_CODES]
            return either(*[plain] * bool(plain.ranges), *escapes)
        case Concat():
            return concat(*map(inside_string, tree.parts))
        case Either():
            return either(*map(inside_string, tree.options))
        case Repeat():
            return Repeat(inside_string(tree.body), tree.least, tree.most)
    return tree


_ESCAPED_CODES = frozenset(code for low, high in _ESCAPED.ranges for code in range(low, high + 1))


def _joined(items: list[Regular]) -> Regular:
    return concat(*(part for item in items for part in (COMMA, item)[item is items[0] :]))
