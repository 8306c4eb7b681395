"""Errors in the text of graphs: what was found, what was wanted, and the line with a caret under the place."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from sglc.errors import InputError, Location
from sglc.ir.attribute_text import visible

_WIDTH = 100
_SHOWN = 40

_READABLE = {
    "LEVEL": "graph or plan",
    "GRAPH_NAME": "the name of a graph (@name)",
    "VALUE": "a value (%name)",
    "OPERATION": "an operation",
    "BRANCH": "branch",
    "RETURN": "return",
    "CASE": "case",
    "ATTRIBUTE": "an attribute",
    "TYPE": "a type",
    "NAME": "the name of a variable",
    "STRING": "a string",
    "NUMBER": "a number",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "null",
    "LPAR": "(",
    "RPAR": ")",
    "OPEN": "[",
    "RSQB": "]",
    "LBRACE": "{",
    "CLOSE": "}",
    "EQUAL": "=",
    "COMMA": "a comma",
    "COLON": ":",
    "ARROW": "->",
    "LOC": 'loc("file":line)',
    "$END": "the end of the line",
}
"""Terminal of the grammar → what a reader calls it, in the order in which they are listed."""


class TextFault(Exception):
    """A fault at a column, from 1, of the line at hand."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


def error_at(message: str, file: str, number: int, line: str, column: int) -> InputError:
    """Return the error that a reader sees, of a line by its number and its text."""
    return InputError(f"{message}\n{excerpt(line.rstrip(), column)}", Location(file, number))


def excerpt(line: str, column: int) -> str:
    """Return the part of a line around a column, from 1, and below it a caret under that column."""
    start = max(0, min(column - 1 - _WIDTH // 2, len(line) - _WIDTH))
    end = start + _WIDTH
    before = ("…" if start else "") + visible(line[start : column - 1])
    behind = visible(line[column - 1 : end]) + ("…" if end < len(line) else "")
    return f"    {before}{behind}\n    {' ' * columns(before)}^"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def found_token(kind: str, text: str) -> str:
    """Return how a message names a token that was found."""
    if kind == "$END":
        return _READABLE[kind]
    shown = visible(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    return shown if shown.startswith('"') else f"'{shown}'"


def wanted_tokens(kinds: Collection[str]) -> str:
    """Return how a message names the kinds of token of which one was wanted."""
    names = [name for kind, name in _READABLE.items() if kind in kinds]
    *most, last = names or ["something else"]
    return f"{', '.join(most)} or {last}" if most else last
