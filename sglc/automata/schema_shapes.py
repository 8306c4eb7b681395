"""What a JSON schema allows, one type at a time: shapes, which can be intersected.

A shape says everything about one type of JSON value except its inner values: these are needs, sets of claims that have
to hold at once and are looked into later. So `allOf` is a union of sets, and a recursive schema has finitely many
needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from sglc.automata.json_numbers import Bounds
from sglc.automata.regular import Regular


class Claim(NamedTuple):
    """One condition on a JSON value. `kind`: `is` valid under the schema at a place of the document, `not` valid under
    it, equal to the value there (`const`), or `never` true."""

    kind: str
    place: str


Need = frozenset[Claim]
"""Claims that all hold; none is any JSON value."""

ANY: Need = frozenset()
NEVER: Need = frozenset([Claim("never", "#")])


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """Texts of strings as characters, without quotes and escapes. Compared by identity: one object a pattern."""

    name: str
    tree: Regular


@dataclass(frozen=True, slots=True)
class Null:
    """The value null."""


@dataclass(frozen=True, slots=True)
class Boolean:
    values: frozenset[bool] = frozenset([False, True])


@dataclass(frozen=True, slots=True)
class Number:
    """Numbers; `whole` True or False for whole or broken ones only; `values` are the texts of a few that are meant."""

    place: str = "#"
    bounds: Bounds = field(default_factory=Bounds)
    whole: bool | None = None
    divisors: frozenset[Decimal] = frozenset()
    excluded: frozenset[Fraction] = frozenset()
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class String:
    """Strings of `least` to `most` code points, in all of `languages` and none of `excluded`."""

    least: int = 0
    most: int | None = None
    languages: frozenset[Language] = frozenset()
    excluded: frozenset[Language] = frozenset()
    values: tuple[str, ...] | None = None
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """What one schema says of an array's items: the first ones each, then the rest."""

    prefix: tuple[Need, ...]
    rest: Need


@dataclass(frozen=True, slots=True)
class Array:
    place: str = "#"
    rules: frozenset[Items] = frozenset()
    least: int = 0
    most: int | None = None
    contains: frozenset[Need] = frozenset()
    unique: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """What one schema says of an object's members: by name, by patterns of names, and of all the others."""

    properties: Mapping[str, Need]
    patterns: tuple[tuple[Language, Need], ...]
    rest: Need


@dataclass(frozen=True, slots=True)
class Object:
    """Objects; `rules` and `required` are in the order in which the schemas were met, which is that of the keys."""

    place: str = "#"
    rules: tuple[Members, ...] = ()
    required: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    names: Need = ANY


Shape = Null | Boolean | Number | String | Array | Object
Union = tuple[Shape, ...]
"""Shapes, one of which a value has to have."""

EVERYTHING: Union = (Object(), Array(), String(), Number(), Boolean(), Null())


def intersect(left: Shape, right: Shape) -> Shape | None:
    """Return the values of both shapes; None where there is none at a glance."""
    match left, right:
        case Null(), Null():
            return left
        case Boolean(), Boolean():
            both = left.values & right.values
            return Boolean(both) if both else None
        case Number(), Number():
            return _numbers(left, right)
        case String(), String():
            return _strings(left, right)
        case Array(), Array():
            most = _least_of(left.most, right.most)
            least = max(left.least, right.least)
            if most is not None and most < least:
                return None
            rules, contains = left.rules | right.rules, left.contains | right.contains
            place = left.place if left.rules else right.place
            return Array(place, rules, least, most, contains, left.unique or right.unique)
        case Object(), Object():
            most = _least_of(left.most, right.most)
            least = max(left.least, right.least)
            if most is not None and most < least:
                return None
            rules_in_order = tuple(dict.fromkeys(left.rules + right.rules))
            required = tuple(dict.fromkeys(left.required + right.required))
            place = left.place if left.rules else right.place
            return Object(place, rules_in_order, required, least, most, left.names | right.names)
    return None


def _numbers(left: Number, right: Number) -> Number | None:
    bounds = left.bounds.tightened(right.bounds)
    wholes = {side.whole for side in (left, right)} - {None}
    if bounds.is_empty or len(wholes) == 2:
        return None
    values = left.values if right.values is None else right.values
    if left.values is not None and right.values is not None:
        others = {Fraction(text) for text in right.values}
        values = tuple(text for text in left.values if Fraction(text) in others)
    whole = next(iter(wholes), None)
    divisors, excluded = left.divisors | right.divisors, left.excluded | right.excluded
    if values is not None:
        values = tuple(text for text in values if _is_number(Fraction(text), bounds, whole, divisors, excluded))
        return Number(left.place, values=values) if values else None
    return Number(left.place, bounds, whole, divisors, excluded)


def _is_number(
    value: Fraction,
    bounds: Bounds,
    whole: bool | None,
    divisors: frozenset[Decimal],
    excluded: frozenset[Fraction],
) -> bool:
    if value in excluded or (whole is not None and (value.denominator == 1) != whole):
        return False
    return bounds.hold(value) and all((value / Fraction(divisor)).denominator == 1 for divisor in divisors)


def _strings(left: String, right: String) -> String | None:
    least, most = max(left.least, right.least), _least_of(left.most, right.most)
    without = left.without | right.without
    values = left.values if right.values is None else right.values
    if left.values is not None and right.values is not None:
        values = tuple(text for text in left.values if text in set(right.values))
    if values is not None:
        values = tuple(t for t in values if least <= len(t) and (most is None or len(t) <= most) and t not in without)
        without, least, most = frozenset(), 0, None
    if values == () or (most is not None and most < least):
        return None
    languages, excluded = left.languages | right.languages, left.excluded | right.excluded
    return String(least, most, languages, excluded, values, without)


def _least_of(left: int | None, right: int | None) -> int | None:
    return min((count for count in (left, right) if count is not None), default=None)
