"""Decimal numbers between two bounds, exactly, as regular languages of their JSON texts."""

from __future__ import annotations

from dataclasses import dataclass

from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import NOTHING, Regular, Repeat, char_set, concat, either, literal, optional

_DIGIT = parse_regex("[0-9]")
_MINUS = literal("-")
_EXACT_DIGITS = 15  # any decimal of so many digits survives a round trip through float64


@dataclass(frozen=True, slots=True)
class Bounds:
    """Whole bounds of a number, None for none; an open bound is not itself a member."""

    low: int | None = None
    high: int | None = None
    low_open: bool = False
    high_open: bool = False

    def mirrored(self) -> Bounds:
        """Return the bounds of the negated numbers."""
        low, high = (None if bound is None else -bound for bound in (self.high, self.low))
        return Bounds(low, high, self.high_open, self.low_open)


def integers(bounds: Bounds) -> Regular:
    """Return the whole numbers within bounds, without fraction or exponent; zero has no sign."""
    low = None if bounds.low is None else bounds.low + bounds.low_open
    high = None if bounds.high is None else bounds.high - bounds.high_open
    up = naturals(max(low or 0, 0), high)
    down = naturals(1 if high is None else max(1, -high), None if low is None else -low)
    return either(up, concat(_MINUS, down))


def decimals(bounds: Bounds) -> Regular:
    """Return the numbers within bounds as decimals without exponent; zero has no sign."""
    return either(_magnitudes(bounds), concat(_MINUS, _magnitudes(bounds.mirrored(), zero=False)))


def naturals(low: int, high: int | None) -> Regular:
    """Return the whole numbers low..high (None: no end) without leading zeros; low ≥ 0."""
    if high is not None and high < low:
        return NOTHING
    digits = len(str(low))
    longest = digits if high is None else len(str(high))
    options = []
    for count in range(digits, longest + 1):
        first = low if count == digits else 10 ** (count - 1)
        last = high if high is not None and count == longest else 10**count - 1
        options.append(_equally_long(str(first), str(last)))
    if high is None:
        options.append(concat(parse_regex("[1-9]"), Repeat(_DIGIT, digits, None)))
    return either(*options)


def _equally_long(low: str, high: str) -> Regular:
    """Return the digit strings low..high, all of their common length."""
    rest = len(low) - 1
    if rest < 0:
        return literal("")
    if low[0] == high[0]:
        return concat(literal(low[0]), _equally_long(low[1:], high[1:]))
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return concat(char_set([(ord(low[0]), ord(high[0]))]), Repeat(_DIGIT, rest, rest))
    options = [
        concat(literal(low[0]), _equally_long(low[1:], "9" * rest)),
        concat(literal(high[0]), _equally_long("0" * rest, high[1:])),
    ]
    if ord(high[0]) - ord(low[0]) > 1:
        between = char_set([(ord(low[0]) + 1, ord(high[0]) - 1)])
        options.append(concat(between, Repeat(_DIGIT, rest, rest)))
    return either(*options)


def _magnitudes(bounds: Bounds, zero: bool = True) -> Regular:
    """Return the decimals ≥ 0 (> 0 unless `zero`) within bounds: by their whole part, then what may follow its point.

    Fractions are kept so short that a reader's rounding to float64 never carries a number over an open bound.
    """
    low, low_open = bounds.low, bounds.low_open
    if low is None or low < 0 or (low == 0 and not zero):
        low, low_open = 0, not zero
    high = bounds.high
    if high is not None and (high < low or (high == low and (low_open or bounds.high_open))):
        return NOTHING
    places = max(1, _EXACT_DIGITS - len(str(low if high is None else high)))
    zeros = optional(concat(literal("."), Repeat(literal("0"), 1, places)))
    any_fraction = optional(concat(literal("."), Repeat(_DIGIT, 1, places)))
    if high == low:
        return concat(literal(str(low)), zeros)
    first = concat(literal(str(low)), _nonzero_fraction(places) if low_open else any_fraction)
    inner = concat(naturals(low + 1, None if high is None else high - 1), any_fraction)
    if high is None or bounds.high_open:
        return either(first, inner)
    return either(first, inner, concat(literal(str(high)), zeros))


def _nonzero_fraction(places: int) -> Regular:
    """Return a point and 1..places digits, one of them not 0: by the number of zeros before that one."""
    nonzero = parse_regex("[1-9]")
    options = [
        concat(Repeat(literal("0"), zeros, zeros), nonzero, Repeat(_DIGIT, 0, places - zeros - 1))
        for zeros in range(places)
    ]
    return concat(literal("."), either(*options))
