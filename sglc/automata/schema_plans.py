"""What a text of each shape is made of, in order: members by name, further members, items, or one plain value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Protocol

from sglc.automata.budget import Budget
from sglc.automata.json_scalars import number_tree
from sglc.automata.json_strings import Strings
from sglc.automata.regular import Both, Except, Regular, either, literal
from sglc.automata.schema_claims import Claims, OpenClaim
from sglc.automata.schema_document import SchemaDocument
from sglc.automata.schema_keywords import unsupported
from sglc.automata.schema_patterns import ANYTHING
from sglc.automata.schema_shapes import (
    ANY,
    NEVER,
    Array,
    Boolean,
    Language,
    Members,
    Need,
    Null,
    Number,
    Object,
    Shape,
    String,
)
from sglc.errors import Unsupported

_MAX_PATTERNS = 4  # of these every combination is looked at; more have to be disjoint
_MAX_COUNTED = 200  # names whose number an automaton counts: every one at every count is a state
_MAX_UNIQUE = 6  # distinct values whose subsets an automaton may remember


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A value without inner values."""

    tree: Regular


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    name: str
    need: Need
    required: bool


@dataclass(frozen=True, slots=True, eq=False)
class Extra:
    """Members whose name is in a language of characters; None: any name at all."""

    key: Regular | None
    need: Need


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPlan:
    """Members in order, then any number of extra ones, `least` to `most` of them in all.

    Names of extra members could repeat, so that only one of them counts towards `least`.
    """

    members: tuple[Member, ...]
    extras: tuple[Extra, ...]
    least: int
    most: int | None


@dataclass(frozen=True, slots=True, eq=False)
class ArrayPlan:
    """The first items, then more of `rest` (None: no more); with `hit`, one item at least is of that need.

    `unique` are the only values there are, none of which may come twice.
    """

    prefix: tuple[Need, ...]
    rest: Need | None
    least: int
    most: int | None
    hit: Need | None = None
    unique: tuple[Regular, ...] = ()


Plan = Scalar | ObjectPlan | ArrayPlan


class Planned(Protocol):
    """Where the plans of needs are found."""

    def of(self, need: Need) -> tuple[Plan, ...]:
        """Return the plans of a need, one of which a value follows."""


class Plans:
    """The plans of one document's needs. A need without any plan can't be met."""

    def __init__(self, document: SchemaDocument, budget: Budget) -> None:
        """Begin with a document. Whatever is asked later raises OverBudget once the budget is spent."""
        self._claims = Claims(document, self.is_possible, budget)
        self._strings = Strings(budget)
        self._plans: dict[Need, tuple[Plan, ...]] = {}
        self._open: set[Need] = set()

    def of(self, need: Need) -> tuple[Plan, ...]:
        """Return the plans of a need, one of which a value follows."""
        if need not in self._plans:
            self._open.add(need)
            try:
                plans = (plan for shape in self._claims.union(need) if (plan := self.shape_plan(shape)) is not None)
                self._plans[need] = tuple(plans)
            finally:
                self._open.discard(need)
        return self._plans[need]

    def can_be_met(self, need: Need) -> bool:
        """Whether some value meets a need; where that depends on what is being worked out, it is taken for granted."""
        try:
            return need in self._open or bool(self.of(need))
        except OpenClaim:
            return True

    def is_possible(self, shape: Shape) -> bool:
        """Whether some value may have a shape; True also where that can't be told."""
        try:
            return self.shape_plan(shape) is not None
        except (OpenClaim, Unsupported):
            return True

    def shape_plan(self, shape: Shape) -> Plan | None:
        """Return what texts of a shape are made of, None where there are none."""
        match shape:
            case Null():
                return Scalar(literal("null"))
            case Boolean():
                return Scalar(either(*(literal(str(value).lower()) for value in sorted(shape.values))))
            case Number():
                return _scalar(number_tree(shape))
            case String():
                return _scalar(self._strings.tree(shape))
            case Array():
                return self._array(shape)
            case _:
                return self._object(shape)

    def _array(self, shape: Array) -> ArrayPlan | None:
        most = shape.most
        length = max((len(rule.prefix) for rule in shape.rules), default=0)
        needs = [_united(r.prefix[i] if i < len(r.prefix) else r.rest for r in shape.rules) for i in range(length)]
        for place, need in enumerate(needs):
            if not self.can_be_met(need):
                most = place if most is None else min(place, most)
                break
        needs = needs[:most]
        rest: Need | None = _united(rule.rest for rule in shape.rules)
        if (most is not None and most <= len(needs)) or not self.can_be_met(rest or ANY):
            rest, most = None, len(needs)
        if most is not None and most < shape.least:
            return None
        hit = None
        if shape.contains:
            hit = _united([NEVER if rest is None else rest, *shape.contains])
            plain = not needs and shape.least <= 1 and most is None and len(shape.contains) == 1
            if not plain and rest is not None:
                raise unsupported(f"{shape.place}/contains", "`contains` beside counts or `prefixItems`", "one of them")
            if rest is None and needs:
                raise unsupported(f"{shape.place}/contains", "`contains` beside `prefixItems`", "one of them")
            if not self.can_be_met(hit):
                return None
        unique: tuple[Regular, ...] = ()
        if shape.unique and (most is None or most > 1):
            unique = self._distinct(shape, needs, rest)
            if len(unique) < shape.least:
                return None
        return ArrayPlan(tuple(needs), rest, shape.least, most, hit, unique)

    def _distinct(self, shape: Array, needs: list[Need], rest: Need | None) -> tuple[Regular, ...]:
        """Return the only values of an array's items, each with all its spellings in one tree."""
        union = () if needs or rest is None else self._claims.union(rest)
        trees: list[Regular] = []
        for part in union:
            match part:
                case Null():
                    trees.append(literal("null"))
                case Boolean():
                    trees += [literal(str(value).lower()) for value in sorted(part.values)]
                case String(values=tuple() as texts):
                    kept = (String(part.least, part.most, part.languages, part.excluded, (text,)) for text in texts)
                    trees += [tree for one in kept if (tree := self._strings.tree(one)) is not None]
                case Number(values=tuple() as texts):
                    by_value: dict[Decimal, list[Regular]] = {}
                    for text in texts:
                        by_value.setdefault(Decimal(text), []).append(literal(text))
                    trees += [either(*spellings) for spellings in by_value.values()]
                case _:
                    trees += [literal("")] * (_MAX_UNIQUE + 1)
        if not trees or len(trees) > _MAX_UNIQUE or shape.contains:
            raise unsupported(
                f"{shape.place}/uniqueItems", "`uniqueItems`", f"it only where items are {_MAX_UNIQUE} values at most"
            )
        return tuple(trees)

    def _object(self, shape: Object) -> ObjectPlan | None:
        names = list(dict.fromkeys([*(name for rule in shape.rules for name in rule.properties), *shape.required]))
        wanted = set(shape.required)
        allowed = self._names(shape)
        languages = [Language("names", tree) for tree in allowed or ()]
        if allowed is not None and not allowed:
            return None if wanted or shape.least else ObjectPlan((), (), 0, 0)
        members = []
        for name in names:
            need = _united(self._member_need(rule, name) for rule in shape.rules)
            if allowed is not None and not any(self._strings.holds(language, name) for language in languages):
                need = NEVER
            if self.can_be_met(need):
                members.append(Member(name, need, name in wanted))
            elif name in wanted:
                return None
        extras = self._extras(shape, names, allowed)
        least, most = shape.least, shape.most
        needed = sum(member.required for member in members)
        if not extras:
            most = None if most is None or most >= len(members) else most
            if least > len(members):
                return None
        if most is not None and most < needed:
            return None
        least = 0 if least <= needed else least
        if (least or most is not None) and len(members) > _MAX_COUNTED:
            raise unsupported(
                f"{shape.place}/{'minProperties' if least else 'maxProperties'}",
                f"a count of members beside {len(members)} names",
                f"at most {_MAX_COUNTED} names",
            )
        if extras and least > len(members) + 1:
            raise unsupported(
                f"{shape.place}/minProperties",
                f"`minProperties` {least} of an object with {len(members)} known names, as others could repeat",
                "more `properties`",
            )
        return ObjectPlan(tuple(members), extras, least, most)

    def _names(self, shape: Object) -> list[Regular] | None:
        """Return the languages of names, as characters, that `propertyNames` allows; None: all names."""
        if not shape.names:
            return None
        strings = [part for part in self._claims.union(shape.names) if isinstance(part, String)]
        if String() in strings:
            return None
        return [tree for part in strings if (tree := self._strings.content(part)) is not None]

    def _extras(self, shape: Object, names: list[str], allowed: list[Regular] | None) -> tuple[Extra, ...]:
        """Return the members beyond the named ones, by which patterns their names match."""
        patterns = list(dict.fromkeys(language for rule in shape.rules for language, _ in rule.patterns))
        found: dict[Need, list[Regular | None]] = {}
        for matched in self._combinations(patterns, shape.place):
            need = _united(_extra_need(rule, matched) for rule in shape.rules)
            if not self.can_be_met(need):
                continue
            key = _key_tree(matched, [p for p in patterns if p not in matched], names, allowed)
            if key is None or not self._strings.is_void(key):
                found.setdefault(need, []).append(key)
        return tuple(
            Extra(None if None in keys else either(*(key for key in keys if key is not None)), need)
            for need, keys in found.items()
        )

    def _member_need(self, rule: Members, name: str) -> Need:
        asked = [rule.properties[name]] if name in rule.properties else []
        asked += [need for language, need in rule.patterns if self._strings.holds(language, name)]
        return _united(asked) if asked else rule.rest

    def _combinations(self, patterns: list[Language], place: str) -> list[tuple[Language, ...]]:
        """Return the sets of patterns that one name may match."""
        if len(patterns) <= _MAX_PATTERNS:
            choices = product(*([(), (pattern,)] for pattern in patterns))
            return [tuple(language for part in choice for language in part) for choice in choices]
        for number, pattern in enumerate(patterns):
            if not all(self._strings.is_void(Both(pattern.tree, other.tree)) for other in patterns[:number]):
                raise unsupported(f"{place}/patternProperties", "many patterns that overlap", "disjoint ones")
        return [(), *((pattern,) for pattern in patterns)]


class ClosedPlans:
    """Plans without what a schema allows but does not describe, where it describes something."""

    def __init__(self, plans: Planned) -> None:
        self._plans = plans

    def of(self, need: Need) -> tuple[Plan, ...]:
        """Return the plans of a need, one of which a value follows."""
        plans = tuple(map(_described, self._plans.of(need)))
        return tuple(plan for plan in plans if not _says_nothing(plan)) or plans


def _described(plan: Plan) -> Plan:
    match plan:
        case ObjectPlan(members=(_, *_)) if plan.least <= len(plan.members):
            extras = tuple(extra for extra in plan.extras if extra.need != ANY)
            return ObjectPlan(plan.members, extras, plan.least, plan.most)
        case ArrayPlan(prefix=(_, *_), rest=rest) if rest == ANY and plan.least <= len(plan.prefix):
            return ArrayPlan(plan.prefix, None, plan.least, len(plan.prefix), plan.hit, plan.unique)
    return plan


def _says_nothing(plan: Plan) -> bool:
    match plan:
        case ObjectPlan(members=()):
            return any(extra.need == ANY for extra in plan.extras)
        case ArrayPlan():
            return plan.rest == ANY
    return False


def _scalar(tree: Regular | None) -> Scalar | None:
    return None if tree is None else Scalar(tree)


def _united(needs: Iterable[Need]) -> Need:
    united = frozenset[object]().union(*needs)
    return NEVER if united >= NEVER else united  # type: ignore[return-value]


def _extra_need(rule: Members, matched: tuple[Language, ...]) -> Need:
    asked = [need for language, need in rule.patterns if language in matched]
    return _united(asked) if asked else rule.rest


def _key_tree(
    matched: tuple[Language, ...], missed: list[Language], names: list[str], allowed: list[Regular] | None
) -> Regular | None:
    """Return the names, as characters, that match some patterns and no other and are none of those declared."""
    tree: Regular | None = None if allowed is None else either(*allowed)
    for language in matched:
        tree = language.tree if tree is None else Both(tree, language.tree)
    others = [language.tree for language in missed] + [literal(name) for name in names]
    if not others:
        return tree
    return Except(ANYTHING if tree is None else tree, either(*others))
