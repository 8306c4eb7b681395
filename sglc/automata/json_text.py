"""JSON texts as regular languages: how characters, strings and white space may be written.

Fixed strings (keys, enum values, strings with a pattern) are written without needless escapes: a character that JSON
does not force to be escaped stands for itself or, if it is not ASCII, for its `\\u` escape. Free strings may escape as
JSON allows, except that lone surrogates, which no UTF-8 text holds, are left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import (
    ANY_CHARACTER,
    EMPTY,
    MAX_CODE_POINT,
    Anchor,
    Behind,
    Both,
    CharSet,
    Concat,
    Either,
    Except,
    Look,
    Range,
    Regular,
    Repeat,
    char_set,
    complement,
    concat,
    either,
    literal,
    optional,
)

CHARACTER = (
    r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)
"""A regex for one character inside a JSON string, counted as JSON Schema counts lengths."""

STRING = f'"{CHARACTER}*"'
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
INTEGER = r"-?(?:0|[1-9][0-9]*)"

QUOTE = literal('"')

_MOST_BLANKS = 16


@dataclass(frozen=True, slots=True)
class Whitespace:
    """What may stand around the punctuation of a JSON text; every place is bounded, so that no model can loop there."""

    comma: Regular
    colon: Regular
    opening: Regular = EMPTY
    """After `{` and `[`, where something follows."""
    closing: Regular = EMPTY
    """Before `}` and `]`, where something stands before."""


_NEW_LINE = concat(literal("\n"), Repeat(literal(" "), 0, _MOST_BLANKS))

WHITESPACE = {
    "none": Whitespace(literal(","), literal(":")),
    "spaces": Whitespace(parse_regex(", ?"), parse_regex(": ?")),
    "lines": Whitespace(
        concat(literal(","), either(EMPTY, literal(" "), _NEW_LINE)),
        parse_regex(": ?"),
        optional(_NEW_LINE),
        optional(_NEW_LINE),
    ),
}
"""The layouts an author can choose from: without white space; with at most one space after each `:` and `,`; and that
or new lines, each with up to 16 blanks."""

_ESCAPED = char_set([(0, 0x1F), (ord('"'), ord('"')), (ord("\\"), ord("\\"))])
_ESCAPED_CODES = frozenset(code for low, high in _ESCAPED.ranges for code in range(low, high + 1))
_ASTRAL = 0x10000
_SURROGATES = (0xD800, 0xDFFF)


@lru_cache(maxsize=4096)
def quoted(text: str) -> Regular:
    """Return the language of one JSON string, written without needless escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate can only be written as an escape
        return literal(json.dumps(text))
    return concat(QUOTE, inside_string(literal(text)), QUOTE)


def inside_string(tree: Regular) -> Regular:
    """Return a language of texts as it is written between the quotes of a JSON string.

    Every written form reads as one text only, so intersections and differences stay what they are.
    """
    match tree:
        case CharSet():
            return _written(tree)
        case Concat():
            return concat(*map(inside_string, tree.parts))
        case Either():
            return either(*map(inside_string, tree.options))
        case Repeat():
            return Repeat(inside_string(tree.body), tree.least, tree.most)
        case Both():
            return Both(inside_string(tree.left), inside_string(tree.right))
        case Except():
            return Except(inside_string(tree.left), inside_string(tree.right))
        case Look(backward=False):
            return Look(inside_string(tree.body), negated=tree.negated)
        case Look():
            # from the beginning on, because the end of an escape may look like another character
            body = concat(Anchor(behind=Behind.TEXT_START), Repeat(_written(ANY_CHARACTER), 0, None))
            return Look(concat(body, inside_string(tree.body)), backward=True, negated=tree.negated)
    return tree


@lru_cache(maxsize=4096)
def _written(chars: CharSet) -> Regular:
    plain = complement(char_set([*complement(chars).ranges, *_ESCAPED.ranges]))
    escaped = [code for low, high in chars.ranges for code in range(low, min(high, 0x5C) + 1)]
    options: list[Regular] = [literal(json.dumps(chr(code))[1:-1]) for code in escaped if code in _ESCAPED_CODES]
    for low, high in chars.ranges:
        options += _unit_escapes(max(low, 0x80), min(high, _SURROGATES[0] - 1))
        options += _unit_escapes(max(low, _SURROGATES[1] + 1), min(high, _ASTRAL - 1))
        options += _pair_escapes(max(low, _ASTRAL), min(high, MAX_CODE_POINT))
    return either(*[plain] * bool(plain.ranges), *options)


def _unit_escapes(low: int, high: int) -> list[Regular]:
    return [concat(literal("\\u"), _hex_digits(low, high, 4))] if low <= high else []


def _pair_escapes(low: int, high: int) -> list[Regular]:
    """Return the pairs of surrogate escapes of characters above U+FFFF: by their first half."""
    if low > high:
        return []
    low, high = low - _ASTRAL, high - _ASTRAL
    first, last = low >> 10, high >> 10
    pieces = [(first, first, low & 0x3FF, high & 0x3FF if first == last else 0x3FF)]
    if first + 1 < last:
        pieces.append((first + 1, last - 1, 0, 0x3FF))
    if first < last:
        pieces.append((last, last, 0, high & 0x3FF))
    return [
        concat(*_unit_escapes(0xD800 + a, 0xD800 + b), *_unit_escapes(0xDC00 + c, 0xDC00 + d)) for a, b, c, d in pieces
    ]


@lru_cache(maxsize=4096)
def _hex_digits(low: int, high: int, digits: int) -> Regular:
    """Return the numbers low..high in so many hexadecimal digits of either case."""
    if digits == 0:
        return EMPTY
    unit = 16 ** (digits - 1)
    (first, low_rest), (last, high_rest) = divmod(low, unit), divmod(high, unit)
    if first == last:
        return concat(_hex_digit(first, first), _hex_digits(low_rest, high_rest, digits - 1))
    options = []
    if low_rest:
        options.append(concat(_hex_digit(first, first), _hex_digits(low_rest, unit - 1, digits - 1)))
        first += 1
    above = []
    if high_rest < unit - 1:
        above.append(concat(_hex_digit(last, last), _hex_digits(0, high_rest, digits - 1)))
        last -= 1
    if first <= last:
        options.append(concat(_hex_digit(first, last), _hex_digits(0, unit - 1, digits - 1)))
    return either(*options, *above)


def _hex_digit(low: int, high: int) -> Regular:
    ranges: list[Range] = []
    if low < 10:
        ranges.append((ord("0") + low, ord("0") + min(high, 9)))
    if high >= 10:
        ranges += [(ord(letter) + max(low, 10) - 10, ord(letter) + high - 10) for letter in "aA"]
    return char_set(ranges)
