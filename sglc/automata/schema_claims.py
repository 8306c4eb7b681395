"""Turns claims about JSON values into shapes: every keyword of JSON Schema, as it is and negated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from itertools import combinations
from typing import Any

from sglc.automata.budget import Budget
from sglc.automata.json_numbers import Bounds
from sglc.automata.schema_document import SchemaDocument
from sglc.automata.schema_keywords import REFUSED, malformed, pointer_step, read_list, unsupported
from sglc.automata.schema_shapes import (
    ANY,
    EVERYTHING,
    NEVER,
    Array,
    Boolean,
    Claim,
    Items,
    Members,
    Need,
    Null,
    Number,
    Object,
    Shape,
    String,
    Union,
    intersect,
)
from sglc.automata.schema_types import denials, typed_shapes

_MAX_SHAPES = 2_000
_MAX_WORK = 400_000
_MAX_CHARACTERS = 300_000  # of listed values: each is a state


class OpenClaim(Exception):
    """A claim was needed to work out itself; its message is its place."""


class Claims:
    """The shapes of one document's claims, worked out when asked for and kept."""

    def __init__(self, document: SchemaDocument, is_possible: Callable[[Shape], bool], budget: Budget) -> None:
        """Begin with a document. Whatever is asked later raises OverBudget, with a place, once the budget is spent."""
        self.document = document
        self._budget = budget
        self._is_possible = is_possible
        self._unions: dict[Need, Union] = {}
        self._claims: dict[Claim, Union] = {}
        self._open: set[Claim] = set()
        self._work = 0

    def union(self, need: Need) -> Union:
        """Return the shapes of values for which all claims of a need hold."""
        if need not in self._unions:
            order = sorted(need, key=lambda claim: (claim.kind, claim.place))
            place = order[0].place if order else "#"
            self._unions[need] = self._all_of([self._claim(claim) for claim in order], place)
        return self._unions[need]

    def _claim(self, claim: Claim) -> Union:
        if claim in self._claims:
            return self._claims[claim]
        if claim in self._open:
            raise OpenClaim(claim.place)
        self._budget.check(0, claim.place)
        self._open.add(claim)
        try:
            self._claims[claim] = self._read(claim)
        finally:
            self._open.discard(claim)
        return self._claims[claim]

    def _read(self, claim: Claim) -> Union:
        match claim.kind:
            case "never":
                return ()
            case "const":
                return self._constants([(claim.place, self.document.value(claim.place))])
            case "is":
                return self._valid(claim.place, self.document.value(claim.place))
        return self._invalid(claim.place, self.document.value(claim.place))

    def _all_of(self, unions: Iterable[Union], place: str) -> Union:
        """Return the intersection: of each choice of one shape of every union."""
        return reduce(lambda left, right: self._both(left, right, place), unions, EVERYTHING)

    def _both(self, left: Union, right: Union, place: str) -> Union:
        self._budget.check(0, place)
        self._work += len(left) * len(right)
        pairs = (intersect(one, other) for one in left for other in right)
        union = tuple(dict.fromkeys(shape for shape in pairs if shape is not None))
        if len(union) > _MAX_SHAPES or self._work > _MAX_WORK:
            raise unsupported(place, "combined schemas with too many alternatives", f"at most {_MAX_SHAPES:,}")
        return union

    def _any_of(self, unions: Iterable[Union]) -> Union:
        return tuple(dict.fromkeys(shape for union in unions for shape in union))

    def _is(self, place: str) -> Union:
        return self._claim(Claim("is", place))

    def _not(self, place: str) -> Union:
        return self._claim(Claim("not", place))

    def _valid(self, at: str, schema: Any) -> Union:
        """Return the shapes that are valid under the schema at a place."""
        schema = self._checked(at, schema)
        if isinstance(schema, bool):
            return EVERYTHING if schema else ()
        unions = [typed_shapes(schema, at)]
        if "$ref" in schema:
            unions.append(self._is(self.document.resolve(schema["$ref"], at)))
        if "enum" in schema or "const" in schema:
            unions += [self._constants(values) for values in _listed(schema, at)]
        for name in ("allOf", "anyOf", "oneOf"):
            if name in schema:
                parts = _places(schema[name], f"{at}/{name}")
                unions += [self._is(part) for part in parts] if name == "allOf" else []
                unions += [self._any_of(self._is(part) for part in parts)] if name == "anyOf" else []
                unions += [self._exactly_one(parts, f"{at}/{name}")] if name == "oneOf" else []
        if "not" in schema:
            unions.append(self._not(f"{at}/not"))
        if "if" in schema:
            unions.append(self._conditional(schema, at))
        unions += [self._implied(part, at) for part in _dependencies(schema, at)]
        return self._all_of(unions, at)

    def _invalid(self, at: str, schema: Any) -> Union:
        """Return the shapes that are not valid under the schema at a place: one of its keywords fails."""
        schema = self._checked(at, schema)
        if isinstance(schema, bool):
            return () if schema else EVERYTHING
        unions = [denials(schema, at)]
        if "$ref" in schema:
            unions.append(self._not(self.document.resolve(schema["$ref"], at)))
        if "enum" in schema or "const" in schema:
            unions += [_other_than(values, at) for values in _listed(schema, at)]
        if "allOf" in schema:
            unions += [self._not(part) for part in _places(schema["allOf"], f"{at}/allOf")]
        if "anyOf" in schema:
            unions.append(self._all_of([self._not(part) for part in _places(schema["anyOf"], f"{at}/anyOf")], at))
        if "oneOf" in schema:
            parts = _places(schema["oneOf"], f"{at}/oneOf")
            unions.append(self._all_of([self._not(part) for part in parts], at))
            unions += [self._both(self._is(one), self._is(other), at) for one, other in combinations(parts, 2)]
        if "not" in schema:
            unions.append(self._is(f"{at}/not"))
        if "if" in schema:
            for guard, branch in ((self._is, "then"), (self._not, "else")):
                if branch in schema:
                    unions.append(self._both(guard(f"{at}/if"), self._not(f"{at}/{branch}"), at))
        if _dependencies(schema, at):
            raise unsupported(at, "dependencies in a negated schema", "none there")
        return self._any_of(unions)

    def _checked(self, at: str, schema: Any) -> bool | Mapping[str, Any]:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise malformed(at, schema, "a schema: an object, true or false")
        if "$ref" in schema and self.document.ignores_beside_ref:
            return {"$ref": schema["$ref"]}
        for name in REFUSED & schema.keys():
            raise unsupported(f"{at}/{pointer_step(name)}", f"`{name}`", "keywords that are translated")
        return schema

    def _exactly_one(self, parts: list[str], at: str) -> Union:
        """Return the values that are valid under one part and invalid under each other one that it overlaps with."""
        overlaps: dict[str, list[str]] = {part: [] for part in parts}
        for one, other in combinations(parts, 2):
            if any(self._is_possible(shape) for shape in self._both(self._is(one), self._is(other), at)):
                overlaps[one].append(other)
                overlaps[other].append(one)
        return self._any_of(
            self._all_of([self._is(part), *(self._not(other) for other in overlaps[part])], at) for part in parts
        )

    def _conditional(self, schema: Mapping[str, Any], at: str) -> Union:
        then = self._is(f"{at}/then") if "then" in schema else EVERYTHING
        otherwise = self._is(f"{at}/else") if "else" in schema else EVERYTHING
        if then is otherwise is EVERYTHING:
            return EVERYTHING
        return self._any_of(
            [self._both(self._is(f"{at}/if"), then, at), self._both(self._not(f"{at}/if"), otherwise, at)]
        )

    def _implied(self, part: tuple[str, str | list[str]], at: str) -> Union:
        """Return the values without a member, or with all that its presence asks for."""
        name, asked = part
        absent: Union = (Object(at, (Members({name: NEVER}, (), ANY),)), *EVERYTHING[1:])
        present: Union = (Object(at, required=(name,)),)
        more = self._is(asked) if isinstance(asked, str) else (Object(at, required=tuple(asked)),)
        return self._any_of([absent, self._both(present, more, at)])

    def _constants(self, values: list[tuple[str, Any]]) -> Union:
        """Return the values that stand at some places, strings together and numbers together."""
        shapes: list[Shape] = []
        texts: list[str] = []
        numbers: list[str] = []
        for place, value in values:
            match value:
                case None:
                    shapes.append(Null())
                case bool():
                    shapes.append(Boolean(frozenset([value])))
                case int() | float():
                    numbers += _spellings(value)
                case str():
                    texts.append(value)
                case list():
                    prefix = tuple(frozenset([Claim("const", f"{place}/{i}")]) for i in range(len(value)))
                    shapes.append(Array(place, frozenset([Items(prefix, NEVER)]), len(value), len(value)))
                case _:
                    needs = {k: frozenset([Claim("const", f"{place}/{pointer_step(k)}")]) for k in value}
                    shapes.append(Object(place, (Members(needs, (), NEVER),), tuple(value)))
        if sum(map(len, texts)) + sum(map(len, numbers)) > _MAX_CHARACTERS:
            raise unsupported(
                values[0][0], f"values of more than {_MAX_CHARACTERS:,} characters", "fewer or shorter ones"
            )
        if texts:
            shapes.append(String(values=tuple(dict.fromkeys(texts))))
        if numbers:
            shapes.append(Number(values=tuple(dict.fromkeys(numbers))))
        return tuple(dict.fromkeys(shapes))


def _places(value: Any, at: str) -> list[str]:
    return [f"{at}/{i}" for i in range(len(read_list(value, at, least=1)))]


def _listed(schema: Mapping[str, Any], at: str) -> list[list[tuple[str, Any]]]:
    """Return the values of `enum` and of `const`, with their places."""
    listed = []
    if "enum" in schema:
        values = read_list(schema["enum"], f"{at}/enum", least=1)
        listed.append([(f"{at}/enum/{i}", value) for i, value in enumerate(values)])
    if "const" in schema:
        listed.append([(f"{at}/const", schema["const"])])
    return listed


def _spellings(value: float) -> list[str]:
    text = repr(value)
    return [text, str(int(value))] if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else [text]


def _other_than(values: list[tuple[str, Any]], at: str) -> Union:
    """Return everything but some values."""
    kept = {type(shape): shape for shape in EVERYTHING}
    texts: set[str] = set()
    numbers: set[Fraction] = set()
    booleans = {False, True}
    for place, value in values:
        match value:
            case None:
                kept.pop(Null, None)
            case bool():
                booleans.discard(value)
            case int() | float():
                numbers.add(Fraction(Decimal(repr(value))))
            case str():
                texts.add(value)
            case _:
                raise unsupported(place, "a negated constant object or array", "a negated string, number or literal")
    kept[String], kept[Number] = String(without=frozenset(texts)), Number(at, Bounds(), excluded=frozenset(numbers))
    kept[Boolean] = Boolean(frozenset(booleans))
    return tuple(shape for shape in kept.values() if not (isinstance(shape, Boolean) and not booleans))


def _dependencies(schema: Mapping[str, Any], at: str) -> list[tuple[str, str | list[str]]]:
    """Return the names whose presence asks for something, each with the place of a schema or with names."""
    found: list[tuple[str, str | list[str]]] = []
    for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
        asked = schema.get(keyword, {})
        if not isinstance(asked, Mapping):
            raise malformed(f"{at}/{keyword}", asked, "an object")
        for name, part in asked.items():
            place = f"{at}/{keyword}/{pointer_step(name)}"
            if isinstance(part, list) and all(isinstance(item, str) for item in part):
                found.append((name, part))
            elif isinstance(part, str) and keyword == "dependencies":
                found.append((name, [part]))
            else:
                found.append((name, place))
    return found
