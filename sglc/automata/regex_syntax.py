"""Python's regular expressions, read with Python's own parser into `regular` trees.

The only file that knows `re`'s private parser (Python 3.11 to 3.13). `\\d \\w \\s` and case folding are ASCII; a lazy
quantifier is read as the greedy one, because which texts match as a whole does not depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from sglc.automata.regular import (
    ANY_CHARACTER,
    NOTHING,
    Ahead,
    Anchor,
    Behind,
    CharSet,
    Range,
    Regular,
    Repeat,
    char_set,
    complement,
    concat,
    either,
)
from sglc.errors import ProgramError, Unsupported

_parser: Any = import_module("re._parser")  # typeshed has no stubs for it

_NEWLINE = char_set([(10, 10)])
_CATEGORIES = {
    "DIGIT": char_set([(0x30, 0x39)]),
    "SPACE": char_set([(0x09, 0x0D), (0x20, 0x20)]),
    "WORD": char_set([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]),
}
# Whatever ECMAScript or Python counts as white space, in any alphabet.
_ALL_SPACE = [(0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)]
_ALL_SPACE += [(0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)]
_ANCHORS = {
    "AT_BEGINNING": Anchor(behind=Behind.TEXT_START),
    "AT_BEGINNING_STRING": Anchor(behind=Behind.TEXT_START),
    "AT_END": Anchor(ahead=Ahead.LAST_LINE_END),
    "AT_END_STRING": Anchor(ahead=Ahead.NOTHING),
}
_LINE_ANCHORS = {"AT_BEGINNING": Anchor(behind=Behind.LINE_START), "AT_END": Anchor(ahead=Ahead.LINE_END)}

# Constructs that no automaton here can follow: the parser's name, ours, and how the source spells it.
_REFUSED = {
    "ASSERT": ("a lookaround", r"\(\?<?="),
    "ASSERT_NOT": ("a negative lookaround", r"\(\?<?!"),
    "GROUPREF": ("a backreference", r"\\[1-9]|\(\?P="),
    "GROUPREF_EXISTS": ("a conditional group", r"\(\?\("),
    "ATOMIC_GROUP": ("an atomic group", r"\(\?>"),
    "POSSESSIVE_REPEAT": ("a possessive quantifier", r"[*+?}]\+"),
    "AT_BOUNDARY": (r"a word boundary \b", r"\\b"),
    "AT_NON_BOUNDARY": (r"a non-boundary \B", r"\\B"),
    "UNICODE": ("the flag u", r"\(\?[a-zA-Z]*u"),
}
_LEXEME = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:<?[=!]|P=|[>(]|[a-zA-Z]+)|[*+?}]\+|.", re.DOTALL)


def parse_regex(pattern: str, flags: int = re.ASCII) -> Regular:
    """Return the language of the texts that a pattern matches as a whole, as `re.fullmatch` with `re.ASCII`.

    With flags 0, `\\S` and `[^\\s]` leave out the white space of all alphabets, as JSON Schema's dialect does.
    Raises ProgramError, with the place, for what Python's `re` refuses too; Unsupported for lookaround,
    backreferences, word boundaries, conditional, atomic and possessive constructs.
    """
    try:
        tree = _parser.parse(pattern, flags)
        return _Reader(pattern).sequence(tree, tree.state.flags)
    except re.error as error:
        raise ProgramError(
            f"regex {pattern!r}: found {error.msg} at position {error.pos}; wanted the syntax of Python's re"
        ) from None
    except OverflowError as error:
        raise ProgramError(f"regex {pattern!r}: found that {error}; wanted fewer repeats") from None
    except RecursionError:
        raise Unsupported("regex: found groups nested too deep for Python's parser; wanted fewer levels") from None
    except ValueError:  # the parser's only one: the flags a and u exclude each other
        raise _refusal(pattern, "UNICODE") from None


class _Reader:
    """Translates the parser's tree of one pattern; `flags` are those in force where a method is called."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def sequence(self, tree: Any, flags: int) -> Regular:
        return concat(*(self._item(op.name, argument, flags) for op, argument in tree))

    def _item(self, name: str, argument: Any, flags: int) -> Regular:
        match name:
            case "LITERAL" | "RANGE" | "CATEGORY" | "NOT_LITERAL" | "IN":
                return _char_class(name, argument, flags)
            case "ANY":
                return ANY_CHARACTER if flags & re.DOTALL else complement(_NEWLINE)
            case "BRANCH":
                return either(*(self.sequence(option, flags) for option in argument[1]))
            case "SUBPATTERN":
                _, added, removed, body = argument
                if added & re.UNICODE:
                    raise _refusal(self._pattern, "UNICODE")
                return self.sequence(body, (flags | added) & ~removed)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, body = argument
                return Repeat(self.sequence(body, flags), int(least), None if most is _parser.MAXREPEAT else int(most))
            case "AT" if argument.name in _ANCHORS:
                anchors = _ANCHORS | _LINE_ANCHORS if flags & re.MULTILINE else _ANCHORS
                return anchors[argument.name]
            case "AT":
                raise _refusal(self._pattern, argument.name)
            case "FAILURE":
                return NOTHING
        raise _refusal(self._pattern, name)


def _char_class(name: str, argument: Any, flags: int, negated: bool = False) -> CharSet:
    """Return a class of characters, or a part of one that will be negated; case is folded before that."""
    match name:
        case "LITERAL":
            return _folded([(argument, argument)], flags)
        case "NOT_LITERAL":
            return complement(_folded([(argument, argument)], flags))
        case "RANGE":
            return _folded([argument], flags)
        case "CATEGORY":
            return _category(argument.name.removeprefix("CATEGORY_"), flags, negated)
    negated = argument[0][0].name == "NEGATE"
    parts = [_char_class(op.name, value, flags, negated) for op, value in argument[negated:]]
    union = char_set(pair for part in parts for pair in part.ranges)
    return complement(union) if negated else union


def _category(name: str, flags: int, negated: bool) -> CharSet:
    r"""Return the characters of `\d`, `\w` or `\s`, or those that are not among them."""
    excludes = name.startswith("NOT_")
    members = _CATEGORIES[name.removeprefix("NOT_")]
    if name.endswith("SPACE") and excludes != negated and not flags & re.ASCII:
        members = char_set(_ALL_SPACE)
    return complement(members) if excludes else members


def _folded(ranges: Iterable[Range], flags: int) -> CharSet:
    """Return the characters of some ranges, and under IGNORECASE the other case of their ASCII letters."""
    ranges = list(ranges)
    if flags & re.IGNORECASE:
        for first, distance in ((0x41, 32), (0x61, -32)):  # A–Z moves up to a–z, a–z down to A–Z
            cut = [(max(low, first), min(high, first + 25)) for low, high in ranges[:]]
            ranges += [(low + distance, high + distance) for low, high in cut if low <= high]
    return char_set(ranges)


def _refusal(pattern: str, name: str) -> Unsupported:
    """Return the error for a construct, with the place where its spelling first stands in the source."""
    construct, spelling = _REFUSED.get(name, (name.lower(), "(?!)"))
    place = next((f" at position {m.start()}" for m in _LEXEME.finditer(pattern) if re.match(spelling, m[0])), "")
    return Unsupported(
        f"regex {pattern!r}: found {construct}{place}; wanted a regular expression that an automaton can follow"
    )
