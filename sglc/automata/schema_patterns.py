"""JSON Schema's `pattern`: a search in ECMA-262's dialect, as a language of whole texts."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import (
    ANY_CHARACTER,
    EMPTY,
    Ahead,
    Anchor,
    Behind,
    Both,
    CharSet,
    Concat,
    Either,
    Except,
    Look,
    Regular,
    Repeat,
    concat,
    either,
)
from sglc.automata.schema_shapes import Language
from sglc.errors import ProgramError, Unsupported

ANYTHING = Repeat(ANY_CHARACTER, 0, None)
_GROUP_NAME = re.compile(r"\\.|\(\?<(?=[A-Za-z_])", re.DOTALL)


def search_language(pattern: str, at: str) -> Language:
    """Return the texts in which a pattern is found somewhere. Errors name the place `at` of the pattern."""
    try:
        return _search_language(pattern)
    except (ProgramError, Unsupported) as error:
        raise type(error)(f"json_schema at {at}: {error.message}") from None


@lru_cache(maxsize=4096)
def _search_language(pattern: str) -> Language:
    source = _GROUP_NAME.sub(lambda match: "(?P<" if match[0] == "(?<" else match[0], pattern)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `[[` is a plain bracket, now and in ECMA-262
        tree = parse_regex(source, flags=0)
    return Language(f"pattern {pattern!r}", _searched(_anchored(tree)))


def _anchored(tree: Regular) -> Regular:
    """Return a tree in which `$` is the very end of the text, as in ECMA-262, not also before a newline there."""
    match tree:
        case Anchor():
            return Anchor(tree.behind, Ahead.NOTHING) if tree.ahead is Ahead.LAST_LINE_END else tree
        case Concat():
            return concat(*map(_anchored, tree.parts))
        case Either():
            return either(*map(_anchored, tree.options))
        case Repeat():
            return Repeat(_anchored(tree.body), tree.least, tree.most)
        case Look():
            return Look(_anchored(tree.body), tree.backward, tree.negated)
    return tree


def _searched(tree: Regular) -> Regular:
    """Return the texts in which a tree is found: anything may surround it, but not beyond an anchor."""
    options: list[Regular] = []
    for option in tree.options if isinstance(tree, Either) else (tree,):
        parts = list(option.parts if isinstance(option, Concat) else (option,))
        begins = bool(parts) and parts[0] == Anchor(behind=Behind.TEXT_START)
        ends = bool(parts) and parts[-1] == Anchor(ahead=Ahead.NOTHING) and len(parts) > begins
        inner = parts[begins : len(parts) - ends]
        found = concat(EMPTY if begins else ANYTHING, *inner, EMPTY if ends else ANYTHING)
        # an anchor inside minds the string's text, not the JSON text around it
        options.append(Both(found, ANYTHING) if any(map(has_anchor, inner)) else found)
    return either(*options)


def has_anchor(tree: Regular) -> bool:
    """Whether a tree asks what surrounds it."""
    match tree:
        case Anchor() | Look():
            return True
        case CharSet():
            return False
        case Repeat():
            return has_anchor(tree.body)
        case Both() | Except():
            return has_anchor(tree.left) or has_anchor(tree.right)
    return any(map(has_anchor, tree.parts if isinstance(tree, Concat) else tree.options))
