"""Numbers of a shape, as the JSON texts they are written in."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from sglc.automata.json_numbers import Bounds, decimals, integers, multiples, whole_range
from sglc.automata.json_text import INTEGER, NUMBER
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import Both, Except, Regular, Repeat, concat, either, literal, optional
from sglc.automata.schema_keywords import unsupported
from sglc.automata.schema_shapes import Number

_MAX_LISTED = 4_000
_MAX_EXCLUDED = 10**9
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
