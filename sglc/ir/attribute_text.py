"""Attributes as text: JSON on one line in which every character can be seen, and back."""

from __future__ import annotations

import json
import re
from json import JSONDecodeError

from sglc.ir.graph import Attribute

MAX_DEPTH = 8
"""Tuples inside tuples that an attribute may have."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, default=repr)  # repr: so that a message can show what is refused
_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\u3000\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\U000f0000-\U0010ffff"
    "]"
)
"""Controls, format characters, wide spaces, surrogates, private use: fixed, as a Python's own idea of them changes."""

_SPLIT_PAIR = re.compile(r"\\(?:u\{(d[89ab][0-9a-f]{2})\}|.)")


def write_attribute(value: Attribute) -> str:
    """Return `value` as JSON, tuples as lists. What cannot be seen, or not be written as UTF-8, is escaped.

    Two surrogates that stand side by side without being a character are the one thing JSON can't say: the first of
    them is written `\\u{d83d}`.
    """
    return visible(_ENCODER.encode(value))


def visible(text: str) -> str:
    """Return a text in which what cannot be seen is escaped as in JSON."""
    return text if text.isprintable() else _HIDDEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    follower = found.string[found.end() : found.end() + 1]
    if "\ud800" <= character <= "\udbff" and "\udc00" <= follower <= "\udfff":
        return f"\\u{{{ord(character):04x}}}"
    return json.dumps(character)[1:-1]


def read_scalar(text: str) -> Attribute:
    """Return what a JSON string, number or constant says. Raises JSONDecodeError; ValueError for too many digits."""
    if "\\u{" not in text or text[0] != '"':
        return json.loads(text)
    pieces: list[str] = []
    start = 1
    for found in _SPLIT_PAIR.finditer(text):
        if found[1] is not None:
            pieces += [_read_part(text, start, found.start()), chr(int(found[1], 16))]
            start = found.end()
    return "".join((*pieces, _read_part(text, start, len(text) - 1)))


def _read_part(text: str, start: int, end: int) -> str:
    try:
        return str(json.loads(f'"{text[start:end]}"'))
    except JSONDecodeError as error:
        raise JSONDecodeError(error.msg, text, error.pos + start - 1) from None


def attribute_fault(value: Attribute, depth: int = MAX_DEPTH) -> str | None:
    """Return what keeps a value from being an attribute, or None."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or value is None:
        return None
    if kind is int:
        return _length_fault(value) if value.bit_length() > 2000 else None
    if kind is not tuple:
        return f"found {kind.__name__}; wanted text, numbers, truth values, None and tuples of these"
    if not depth:
        return f"found tuples more than {MAX_DEPTH} deep; wanted fewer"
    return next((fault for item in value if (fault := attribute_fault(item, depth - 1))), None)


def _length_fault(number: int) -> str | None:
    try:
        str(number)
    except ValueError:
        return "found a whole number of more digits than Python reads; wanted a shorter one"
    return None
