"""Decimal numbers between bounds, and multiples of numbers, exactly, as regular languages of their JSON texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import EMPTY, NOTHING, Both, Regular, Repeat, char_set, concat, either, literal, optional

_DIGIT = parse_regex("[0-9]")
_POINT = literal(".")
_MINUS = literal("-")
_ZEROS = Repeat(literal("0"), 0, None)
_NATURAL = parse_regex("0|[1-9][0-9]*")
_FRACTION = parse_regex(r"(?:\.[0-9]+)?")
_SMALLEST = Decimal("1e-16")  # stands for "above zero": a nonzero decimal that no reader rounds to zero
_MOST_MODULUS = 9  # the eliminated states' tree grows fast


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a number, None for none; an open bound is not itself a member."""

    low: Decimal | int | None = None
    high: Decimal | int | None = None
    low_open: bool = False
    high_open: bool = False

    def mirrored(self) -> Bounds:
        """Return the bounds of the negated numbers."""
        low, high = (None if bound is None else -bound for bound in (self.high, self.low))
        return Bounds(low, high, self.high_open, self.low_open)

    def tightened(self, other: Bounds) -> Bounds:
        """Return the bounds of the numbers that are within both."""
        # of two equal bounds the open one is tighter
        lows = [(b.low, b.low_open) for b in (self, other) if b.low is not None]
        highs = [(b.high, not b.high_open) for b in (self, other) if b.high is not None]
        low, high = max(lows, default=None), min(highs, default=None)
        return Bounds(low and low[0], high and high[0], bool(low and low[1]), bool(high and not high[1]))

    def hold(self, value: Decimal | Fraction | int) -> bool:
        """Whether a number is within."""
        exact = Fraction(value)
        above = self.low is None or exact > Fraction(self.low) or (exact == Fraction(self.low) and not self.low_open)
        below = self.high is None or exact < Fraction(self.high) or (exact == self.high and not self.high_open)
        return above and below

    @property
    def is_empty(self) -> bool:
        """Whether no number at all is within."""
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))


@lru_cache(maxsize=1024)
def integers(bounds: Bounds) -> Regular:
    """Return the whole numbers within bounds, without fraction or exponent; zero has no sign."""
    low, high = whole_range(bounds)
    up = naturals(max(low or 0, 0), high)
    down = naturals(1 if high is None else max(1, -high), None if low is None else -low)
    return either(up, concat(_MINUS, down))


def whole_range(bounds: Bounds) -> tuple[int | None, int | None]:
    """Return the least and the greatest whole number within bounds, None where there is none."""
    low = None if bounds.low is None else math.ceil(bounds.low)
    high = None if bounds.high is None else math.floor(bounds.high)
    if low is not None:
        low += bounds.low_open and low == bounds.low
    if high is not None:
        high -= bounds.high_open and high == bounds.high
    return low, high


@lru_cache(maxsize=1024)
def decimals(bounds: Bounds) -> Regular:
    """Return the numbers within bounds as decimals without exponent; zero has no sign.

    Next to an open bound the numbers begin at the neighbouring float64, so that no reader's rounding crosses it.
    """
    return either(_magnitudes(bounds, zero=True), concat(_MINUS, _magnitudes(bounds.mirrored(), zero=False)))


@lru_cache(maxsize=1024)
def multiples(divisor: Decimal) -> Regular | None:
    """Return the decimal multiples of a number > 0, as long as a small automaton knows them, else None."""
    places = max(0, -int(divisor.normalize().as_tuple().exponent))
    whole = int(divisor.scaleb(places))
    zeros = optional(concat(_POINT, Repeat(literal("0"), 1, None)))
    if places == 0:
        magnitude = _whole_multiples(whole)
        return None if magnitude is None else concat(optional(_MINUS), magnitude, zeros)
    if 10**places % whole:
        return None  # the last digits alone do not decide
    tails = [str(n).rjust(places, "0").rstrip("0") for n in range(0, 10**places, whole)] if places <= 3 else None
    if whole == 1:
        return concat(optional(_MINUS), _NATURAL, optional(concat(_POINT, Repeat(_DIGIT, 1, places), _ZEROS)))
    if tails is None:
        return None
    fractions = [concat(_POINT, literal(tail), _ZEROS) for tail in tails if tail]
    return concat(optional(_MINUS), _NATURAL, either(EMPTY, *fractions, concat(_POINT, literal("0"), _ZEROS)))


@lru_cache(maxsize=256)
def _whole_multiples(modulus: int) -> Regular | None:
    """Return the multiples of a whole number, without sign: the automaton of remainders, its states eliminated."""
    if modulus == 1:
        return _NATURAL
    rest = modulus
    while rest % 2 == 0 or rest % 5 == 0:
        rest //= 2 if rest % 2 == 0 else 5
    last = modulus // rest  # the last digits alone decide about this factor
    if last > 1:
        places = next((n for n in range(1, 4) if 10**n % last == 0), 0)
        others = _whole_multiples(rest)
        if not places or others is None:
            return None
        ends = either(*(literal(str(number).rjust(places, "0")) for number in range(0, 10**places, last)))
        short = either(*(literal(str(number)) for number in range(0, 10**places, last)))
        ending = either(short, concat(parse_regex("[1-9]"), Repeat(_DIGIT, 0, None), ends))
        return ending if rest == 1 else Both(ending, others)
    if modulus > _MOST_MODULUS:
        return None
    edges: dict[tuple[int, int], Regular] = {}
    for remainder in range(modulus):
        for digit in range(10):
            key = (remainder, (10 * remainder + digit) % modulus)
            edges[key] = either(edges[key], literal(str(digit))) if key in edges else literal(str(digit))
    for gone in range(modulus - 1, 0, -1):
        loop = Repeat(edges[gone, gone], 0, None) if (gone, gone) in edges else EMPTY
        for before in range(gone):
            for after in range(gone):
                if (before, gone) in edges and (gone, after) in edges:
                    around = concat(edges[before, gone], loop, edges[gone, after])
                    old = edges.get((before, after))
                    edges[before, after] = around if old is None else either(old, around)
    return Both(Repeat(edges[0, 0], 1, None), _NATURAL)


@lru_cache(maxsize=1024)
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


def _magnitudes(bounds: Bounds, zero: bool) -> Regular:
    """Return the decimals ≥ 0 (> 0 unless `zero`) within bounds, which are closed first."""
    if not zero:
        bounds = bounds.tightened(Bounds(low=0, low_open=True))
    low = _closed(bounds.low, bounds.low_open, math.inf)
    high = _closed(bounds.high, bounds.high_open, -math.inf)
    if high is not None and (high < 0 or (low is not None and low > high)):
        return NOTHING
    parts = []
    if low is not None and low > 0:
        parts.append(_at_least(*_digits(low)))
    if high is not None:
        parts.append(_at_most(*_digits(high)))
    if not parts:
        return concat(_NATURAL, _FRACTION)
    return parts[0] if len(parts) == 1 else Both(*parts)


def _closed(bound: Decimal | int | None, is_open: bool, inside: float) -> Decimal | None:
    if bound is None or not is_open:
        return None if bound is None else Decimal(bound)
    if bound == 0:
        return _SMALLEST.copy_sign(Decimal(inside))
    # a bound may lie beside its own float64; then the neighbour of that one is far enough inside too
    return Decimal(repr(math.nextafter(float(bound), inside)))


def _digits(value: Decimal) -> tuple[int, str]:
    """Return the whole part of a decimal ≥ 0 and the digits behind its point, without zeros at their end."""
    whole, _, fraction = f"{value:f}".partition(".")
    return int(whole), fraction.rstrip("0")


def _at_least(whole: int, fraction: str) -> Regular:
    above = concat(naturals(whole + 1, None), _FRACTION)
    if not fraction:
        return either(above, concat(literal(str(whole)), _FRACTION))
    options: list[Regular] = [concat(literal(fraction), Repeat(_DIGIT, 0, None))]
    for place, digit in enumerate(fraction):
        if digit < "9":
            greater = char_set([(ord(digit) + 1, ord("9"))])
            options.append(concat(literal(fraction[:place]), greater, Repeat(_DIGIT, 0, None)))
    return either(above, concat(literal(str(whole)), _POINT, either(*options)))


def _at_most(whole: int, fraction: str) -> Regular:
    below: Regular = concat(naturals(0, whole - 1), _FRACTION) if whole else NOTHING
    options: list[Regular] = [concat(literal(fraction), _ZEROS)] if fraction else [concat(literal("0"), _ZEROS)]
    for place, digit in enumerate(fraction):
        if digit > "0":
            smaller = char_set([(ord("0"), ord(digit) - 1)])
            options.append(concat(literal(fraction[:place]), smaller, Repeat(_DIGIT, 0, None)))
        if place:  # the text may end before the bound's digits do
            options.append(literal(fraction[:place]))
    return either(below, concat(literal(str(whole)), optional(concat(_POINT, either(*options)))))
