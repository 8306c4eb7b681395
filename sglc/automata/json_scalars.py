"""Numbers and strings of a shape, as the JSON texts they are written in."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, reduce

from sglc.automata.assertions import live_positions
from sglc.automata.automaton import Automaton
from sglc.automata.budget import Budget
from sglc.automata.json_numbers import Bounds, decimals, integers, multiples, whole_range
from sglc.automata.json_text import CHARACTER, INTEGER, NUMBER, QUOTE, inside_string, quoted
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import (
    ANY_CHARACTER,
    Both,
    Either,
    Except,
    Regular,
    Repeat,
    concat,
    either,
    literal,
    optional,
)
from sglc.automata.schema_keywords import unsupported
from sglc.automata.schema_patterns import ANYTHING
from sglc.automata.schema_shapes import Language, Number, String
from sglc.errors import ProgramError, Unsupported

_MAX_LISTED = 4_000
_MAX_EXCLUDED = 10**9
_LOOKED_AT_STATES = 5_000  # beyond, a language is taken to have a text
_LOOKED_AT_SECONDS = 0.25
_CHARACTERS = parse_regex(CHARACTER)
_BROKEN = parse_regex(r"-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,5}[1-9]")
_SHORT = parse_regex(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]{1,6})?")


def number_tree(shape: Number) -> Regular | None:
    """Return the texts of a number; None where there is none. Raises Unsupported where no automaton knows them."""
    if shape.values is not None:
        return either(*map(literal, shape.values))
    if shape.whole:
        tree = _whole_tree(shape)
    elif shape == Number(shape.place):
        tree = parse_regex(NUMBER)
    else:
        tree = parse_regex(NUMBER) if shape.bounds == Bounds() else decimals(shape.bounds)
        for divisor in sorted(shape.divisors):
            parts = multiples(divisor)
            if parts is None:
                raise unsupported(f"{shape.place}/multipleOf", f"`multipleOf` {divisor} of a number", "of an integer")
            tree = Both(tree, parts)
        if shape.whole is False:
            tree = Both(tree, _BROKEN)
    if tree is None or not shape.excluded:
        return tree
    return _without(tree, shape)


def _whole_tree(shape: Number) -> Regular | None:
    low, high = whole_range(shape.bounds)
    if low is not None and high is not None and low > high:
        return None
    tree = parse_regex(INTEGER) if shape.bounds == Bounds() else integers(shape.bounds)
    for divisor in sorted(shape.divisors):
        modulus = Fraction(divisor).numerator  # a whole multiple of p/q is a multiple of p
        parts = multiples(Decimal(modulus))
        if parts is not None:
            tree = Both(tree, parts)
            continue
        if low is None or high is None or (high - low) // modulus > _MAX_LISTED:
            raise unsupported(f"{shape.place}/multipleOf", f"`multipleOf` {divisor}", "a smaller one, or bounds")
        first = -(-low // modulus) * modulus
        tree = Both(tree, either(*(literal(str(number)) for number in range(first, high + 1, modulus))))
    return tree


def _without(tree: Regular, shape: Number) -> Regular:
    """Leave out some numbers, in all their spellings; of broken ones, what a reader might round to them too."""
    spellings = []
    for value in shape.excluded:
        if abs(value) > _MAX_EXCLUDED or (value * 10**6).denominator != 1:
            raise unsupported(shape.place, f"the excluded number {float(value)!r}", "one of few digits")
        whole, _, fraction = f"{Decimal(value.numerator) / Decimal(value.denominator):f}".partition(".")
        zeros = Repeat(literal("0"), 0, None)
        fraction = fraction.rstrip("0")
        tail = concat(literal("." + fraction), zeros) if fraction else optional(concat(literal(".0"), zeros))
        spellings.append(concat(literal(whole), tail) if value else concat(optional(literal("-")), literal("0"), tail))
    return Except(tree if shape.whole else Both(tree, _SHORT), either(*spellings))


def string_tree(shape: String) -> Regular | None:
    """Return the texts of a string, with quotes; None where there is none."""
    if shape.values is not None:
        kept = _kept(shape)
        return either(*map(quoted, kept)) if kept else None
    if not (shape.languages or shape.excluded or shape.without):
        return concat(QUOTE, Repeat(_CHARACTERS, shape.least, shape.most), QUOTE)
    content = string_content(shape)
    return None if content is None else concat(QUOTE, inside_string(content), QUOTE)


def string_content(shape: String) -> Regular | None:
    """Return the characters of a string; None where there is none."""
    if shape.values is not None:
        kept = _kept(shape)
        return either(*map(literal, kept)) if kept else None
    trees = [language.tree for language in sorted(shape.languages, key=_name)]
    if shape.least or shape.most is not None:
        trees.append(Repeat(ANY_CHARACTER, shape.least, shape.most))
    tree = reduce(Both, trees) if trees else ANYTHING
    others = [language.tree for language in sorted(shape.excluded, key=_name)]
    others += [literal(text) for text in sorted(shape.without)]
    if others:
        tree = Except(tree, either(*others))
    return None if is_void(tree) else tree


def is_void(tree: Regular) -> bool:
    """Whether a language has no text; False also where it is too large to know."""
    if isinstance(tree, Either) and not tree.options:
        return True
    return isinstance(tree, Both | Except) and _is_void(tree)


def holds(language: Language, text: str) -> bool:
    """Whether a text, as characters, is in a language."""
    try:
        return _automaton(language).accepts(text)
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _kept(shape: String) -> list[str]:
    """Return the values that are in all languages and none of those left out."""
    return [
        text
        for text in shape.values or ()
        if text not in shape.without
        and all(holds(language, text) for language in shape.languages)
        and not any(holds(language, text) for language in shape.excluded)
    ]


def _name(language: Language) -> str:
    return language.name


@lru_cache(maxsize=512)
def _automaton(language: Language) -> Automaton:
    # a few names are looked up: states on demand are quicker than a whole table
    return Automaton(language.name, live_positions(language.tree, language.name, Budget()), None)


@lru_cache(maxsize=512)
def _is_void(tree: Regular) -> bool:
    try:
        return not live_positions(tree, "strings", Budget(_LOOKED_AT_STATES, _LOOKED_AT_SECONDS)).final
    except Unsupported:
        return False
    except ProgramError:
        return True
