"""Python's regular expressions, read with Python's own parser into `regular` trees.

The only file that knows `re`'s private parser (Python 3.11 to 3.13). A lazy quantifier is read as the greedy one,
because which texts match as a whole does not depend on it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Any

from sglc.automata.budget import MAX_STATES
from sglc.automata.characters import category, folded
from sglc.automata.regular import (
    ANY_CHARACTER,
    ANY_TEXT,
    NOTHING,
    Ahead,
    Anchor,
    Behind,
    CharSet,
    Look,
    Regular,
    Repeat,
    char_set,
    complement,
    concat,
    either,
    least_states,
)
from sglc.errors import ProgramError, Unsupported

_parser: Any = import_module("re._parser")  # typeshed has no stubs for it

_MAX_CHARACTERS = 100_000  # Python's parser takes half a second for these
_MAX_SHOWN = 300
_NEWLINE = char_set([(10, 10)])
_ANCHORS = {
    "AT_BEGINNING": Anchor(behind=Behind.TEXT_START),
    "AT_BEGINNING_STRING": Anchor(behind=Behind.TEXT_START),
    "AT_END": Anchor(ahead=Ahead.LAST_LINE_END),
    "AT_END_STRING": Anchor(ahead=Ahead.NOTHING),
}
_LINE_ANCHORS = {"AT_BEGINNING": Anchor(behind=Behind.LINE_START), "AT_END": Anchor(ahead=Ahead.LINE_END)}

# Constructs that no automaton here can follow: the parser's name, ours, and how the source spells it.
_REFUSED = {
    "GROUPREF": ("a backreference", r"\\[1-9]|\(\?P="),
    "GROUPREF_EXISTS": ("a conditional group", r"\(\?\("),
    "ATOMIC_GROUP": ("an atomic group whose body may match texts of several lengths", r"\(\?>"),
    "POSSESSIVE_REPEAT": ("a possessive repeat of texts of several lengths", r"[*+?}]\+"),
    "LOOKBEHIND": ("a lookbehind that looks ahead too", r"\(\?<"),
}
_LEXEME = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:<?[=!]|P=|[>(]|[a-zA-Z]+)|\{[0-9]*,?[0-9]*\}(?!\+)|[*+?}]\+|.", re.DOTALL
)
_COUNT = re.compile(r"\{.*[0-9]")


def regex_name(pattern: str) -> str:
    """Return what errors call a pattern: all of a short one, both ends of a long one."""
    return f"regex {pattern!r}" if len(pattern) <= _MAX_SHOWN else f"regex {pattern[:60]!r} … {pattern[-60:]!r}"


def parse_regex(pattern: str, flags: int = re.ASCII) -> Regular:
    """Return the language of the texts that a pattern matches as a whole, as `re.fullmatch` with `re.ASCII`.

    `(?u)` asks for Unicode's categories and cases. With flags 0 categories are ASCII, but `\\S` and `[^\\s]` leave out
    the white space of all alphabets, as JSON Schema's dialect does. Raises ProgramError, with the place, for what
    Python's `re` refuses too; Unsupported for backreferences, conditional groups, atomic groups and possessive repeats
    whose bodies match texts of several lengths, lookbehinds that look ahead, and repeats beyond the budget.
    """
    if len(pattern) > _MAX_CHARACTERS:
        raise Unsupported(
            f"{regex_name(pattern)}: found a pattern of {len(pattern):,} characters; wanted at most {_MAX_CHARACTERS:,}"
        )
    try:
        tree = _parsed(pattern, flags)
        if not flags:
            tree.state.flags &= ~re.UNICODE
        regular = _Reader(pattern).sequence(tree, tree.state.flags)
        too_large = least_states(regular) > MAX_STATES
    except re.error as error:
        raise ProgramError(
            f"{regex_name(pattern)}: found {error.msg} at position {error.pos}; wanted the syntax of Python's re"
        ) from None
    except OverflowError as error:
        raise ProgramError(f"{regex_name(pattern)}: found that {error}; wanted fewer repeats") from None
    except RecursionError:
        raise Unsupported("regex: found groups nested too deep for Python's parser; wanted fewer levels") from None
    if too_large:
        raise Unsupported(
            f"{regex_name(pattern)}: found a language{_largest_repeat(pattern)} of more than {MAX_STATES:,} automaton "
            "states; wanted smaller repeat counts or fewer alternatives"
        )
    return regular


def _parsed(pattern: str, flags: int) -> Any:
    try:
        return _parser.parse(pattern, flags)
    except ValueError:  # the parser's only one: the flags a and u exclude each other, so the pattern asks for u
        return _parser.parse(pattern, re.UNICODE)


class _Reader:
    """Translates the parser's tree of one pattern; `flags` are those in force where a method is called."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._looks_behind = False

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
                return self.sequence(argument[3], _inside(argument, flags))
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, body = argument
                return Repeat(self.sequence(body, flags), int(least), _most(most))
            case "POSSESSIVE_REPEAT":
                return self._possessive(argument, flags, name)
            case "ATOMIC_GROUP":
                return self._atomic(argument, flags)
            case "ASSERT" | "ASSERT_NOT":
                direction, body = argument
                return self._look(body, direction < 0, name == "ASSERT_NOT", flags)
            case "AT":
                return self._at(argument.name, flags)
            case "FAILURE":
                return NOTHING
        raise _refusal(self._pattern, name)

    def _at(self, name: str, flags: int) -> Regular:
        if name in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
            place = (_boundary if name == "AT_BOUNDARY" else _non_boundary)(bool(flags & re.UNICODE))
        else:
            place = (_ANCHORS | _LINE_ANCHORS if flags & re.MULTILINE else _ANCHORS)[name]
        if self._looks_behind and (not isinstance(place, Anchor) or place.ahead is not Ahead.ANYTHING):
            raise _refusal(self._pattern, "LOOKBEHIND")
        return place

    def _look(self, body: Any, backward: bool, negated: bool, flags: int) -> Regular:
        if not backward and self._looks_behind:
            raise _refusal(self._pattern, "LOOKBEHIND")
        if not backward:
            return _ahead(self.sequence(body, flags), negated)
        if _width(body) is None:
            raise re.error("a lookbehind of no fixed width", self._pattern, _position(self._pattern, r"\(\?<"))
        outside, self._looks_behind = self._looks_behind, True
        look = _before(self.sequence(body, flags), negated)
        self._looks_behind = outside
        return look

    def _possessive(self, argument: Any, flags: int, refused_as: str) -> Regular:
        """Return a greedy repeat that gives nothing back: where it may go on, it does. Only for bodies of one width."""
        least, most, tree = int(argument[0]), _most(argument[1]), argument[2]
        width = _width(tree)
        if width is None:
            raise _refusal(self._pattern, refused_as)
        body = self.sequence(tree, flags)
        if width == 0 or least == most:
            return Repeat(body, least, most)
        short = concat(Repeat(body, least, None if most is None else most - 1), _ahead(body, negated=True))
        return short if most is None else either(Repeat(body, most, most), short)

    def _atomic(self, tree: Any, flags: int) -> Regular:
        """Return the text that a body matches first; only where all but its last part have one width each."""
        if _width(tree) is not None:
            return self.sequence(tree, flags)
        *parts, (op, argument) = tree
        if any(_width_of_item(part, tree) is None for part in parts):
            raise _refusal(self._pattern, "ATOMIC_GROUP")
        first = [self._item(part.name, value, flags) for part, value in parts]
        match op.name:
            case "MAX_REPEAT" | "POSSESSIVE_REPEAT":
                return concat(*first, self._possessive(argument, flags, "ATOMIC_GROUP"))
            case "ATOMIC_GROUP":
                return concat(*first, self._atomic(argument, flags))
            case "SUBPATTERN":
                return concat(*first, self._atomic(argument[3], _inside(argument, flags)))
            case "BRANCH":
                return concat(*first, self._first_option(argument[1], flags))
        raise _refusal(self._pattern, "ATOMIC_GROUP")

    def _first_option(self, options: Any, flags: int) -> Regular:
        """Return the first of the options that matches at all."""
        refused: list[Regular] = []
        chosen = []
        for option in options:
            chosen.append(concat(*refused, self._atomic(option, flags)))
            refused.append(_ahead(self.sequence(option, flags), negated=True))
        return either(*chosen)


def _inside(argument: Any, flags: int) -> int:
    """Return the flags in force inside a group; a and u replace each other."""
    _, added, removed, _ = argument
    if added & (re.ASCII | re.UNICODE):
        flags &= ~(re.ASCII | re.UNICODE)
    return int((flags | added) & ~removed)


def _most(most: Any) -> int | None:
    return None if most is _parser.MAXREPEAT else int(most)


def _width(tree: Any) -> int | None:
    """Return the length in characters of all texts that a body matches; None where they have several."""
    low, high = tree.getwidth()
    return int(low) if low == high and high < _parser.MAXREPEAT else None


def _width_of_item(item: Any, tree: Any) -> int | None:
    return _width(_parser.SubPattern(tree.state, [item]))


def _ahead(body: Regular, negated: bool = False) -> Look:
    return Look(concat(body, ANY_TEXT), negated=negated)


def _before(body: Regular, negated: bool = False) -> Look:
    return Look(concat(ANY_TEXT, body), backward=True, negated=negated)


@cache
def _boundary(unicode: bool) -> Regular:
    word = category("WORD", re.UNICODE if unicode else re.ASCII)
    starts = concat(_before(word, negated=True), _ahead(word))
    return either(starts, concat(_before(word), _ahead(word, negated=True)))


@cache
def _non_boundary(unicode: bool) -> Regular:
    """Return the places inside a word or outside of any; the empty text has none, as in Python before 3.14."""
    word = category("WORD", re.UNICODE if unicode else re.ASCII)
    inside = concat(_before(word), _ahead(word))
    outside = concat(_before(word, negated=True), _ahead(word, negated=True))
    return either(inside, concat(outside, either(_before(ANY_CHARACTER), _ahead(ANY_CHARACTER))))


def _char_class(name: str, argument: Any, flags: int, negated: bool = False) -> CharSet:
    """Return a class of characters, or a part of one that will be negated; case is folded before that."""
    match name:
        case "LITERAL":
            return folded([(argument, argument)], flags)
        case "NOT_LITERAL":
            return complement(folded([(argument, argument)], flags))
        case "RANGE":
            return folded([argument], flags)
        case "CATEGORY":
            return category(argument.name.removeprefix("CATEGORY_"), flags, negated)
    negated = argument[0][0].name == "NEGATE"
    parts = [_char_class(op.name, value, flags, negated) for op, value in argument[negated:]]
    union = char_set(pair for part in parts for pair in part.ranges)
    return complement(union) if negated else union


def _refusal(pattern: str, name: str) -> Unsupported:
    """Return the error for a construct, with the place where its spelling first stands in the source."""
    construct, spelling = _REFUSED.get(name, (name.lower(), "(?!)"))
    position = _position(pattern, spelling)
    place = "" if position is None else f" at position {position}"
    return Unsupported(f"{regex_name(pattern)}: found {construct}{place}; wanted what an automaton can follow")


def _position(pattern: str, spelling: str) -> int | None:
    return next((lexeme.start() for lexeme in _LEXEME.finditer(pattern) if re.match(spelling, lexeme[0])), None)


def _largest_repeat(pattern: str) -> str:
    """Return the place of the greatest count in a pattern, in words."""
    counts = (
        (max(map(int, re.findall("[0-9]+", lexeme[0]))), lexeme.start())
        for lexeme in _LEXEME.finditer(pattern)
        if _COUNT.match(lexeme[0])
    )
    count, position = max(counts, default=(0, 0))
    return f" (with {count:,} repeats at position {position})" if count else ""
