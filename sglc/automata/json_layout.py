"""Writes plans down: how members, items and commas follow one another in a JSON text, whatever they are built of."""

from __future__ import annotations

from itertools import combinations, product
from typing import Generic, Protocol, TypeVar

from sglc.automata.json_text import QUOTE, Whitespace, inside_string, quoted
from sglc.automata.json_text import STRING as STRING_PATTERN
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import Regular, concat, literal
from sglc.automata.schema_plans import ArrayPlan, ObjectPlan, Plan, Scalar
from sglc.automata.schema_shapes import Need

ANY_STRING = parse_regex(STRING_PATTERN)

Part = TypeVar("Part")


class Builder(Protocol[Part]):
    """Builds languages of JSON texts out of parts. A token is one lexeme: no other one goes on where it ends."""

    def token(self, tree: Regular) -> Part: ...

    def sequence(self, *parts: Part) -> Part: ...

    def choice(self, *parts: Part) -> Part: ...

    def repeat(self, part: Part, least: int, most: int | None) -> Part: ...

    def share(self, part: Part) -> Part:
        """Return a part that costs its size once, however often it is used."""

    def value(self, need: Need) -> Part:
        """Return the texts of an inner value."""


class Layout:
    """Puts plans together with a builder."""

    def __init__(self, whitespace: Whitespace) -> None:
        self._comma, self._colon = whitespace.comma, whitespace.colon
        self._opening, self._closing = whitespace.opening, whitespace.closing

    def write(self, plan: Plan, builder: Builder[Part]) -> Part:
        """Return the texts of a plan."""
        match plan:
            case Scalar():
                return builder.token(plan.tree)
            case ObjectPlan():
                return _Container("{", "}", self, builder).members(plan)
        return _Container("[", "]", self, builder).array(plan)


class _Container(Generic[Part]):
    """Writes one object or array. Its tails begin with the bracket or comma that goes before the next thing in it."""

    def __init__(self, first: str, last: str, layout: Layout, builder: Builder[Part]) -> None:
        self._builder = builder
        self._empty = builder.token(literal(first + last))
        self._open = builder.token(concat(literal(first), layout._opening))
        self._close = builder.token(concat(layout._closing, literal(last)))
        self._comma, self._colon = builder.token(layout._comma), builder.token(layout._colon)

    def members(self, plan: ObjectPlan) -> Part:
        """Write members in order, then extra ones; place and count are states, whose tails are shared."""
        builder = self._builder
        parts = [
            builder.share(builder.sequence(builder.token(quoted(member.name)), self._colon, builder.value(member.need)))
            for member in plan.members
        ]
        extra = self._extra(plan)
        top = max(plan.least, plan.most or 0)
        tails: dict[tuple[int, int, bool], Part | None] = {}
        for place in reversed(range(len(parts) + 1)):
            for count, first in product(range(min(place, top) + 1), (False, True)):
                if place == len(parts):
                    left = None if plan.most is None else plan.most - count
                    more = max(plan.least - count, 0)
                    tails[place, count, first] = None if more > 1 else self._rest(extra, more, left, first)
                    continue
                options: list[Part] = []
                after = tails.get((place + 1, min(count + 1, top), False))
                if after is not None and (plan.most is None or count < plan.most):
                    options.append(builder.sequence(self._open if first else self._comma, parts[place], after))
                skipped = tails.get((place + 1, count, first))
                if skipped is not None and not plan.members[place].required:
                    options.append(skipped)
                tails[place, count, first] = builder.share(builder.choice(*options)) if options else None
        return tails[0, 0, True] or builder.choice()

    def array(self, plan: ArrayPlan) -> Part:
        """Write items by their place, then further ones."""
        if plan.unique:
            return self._distinct(plan)
        builder = self._builder
        rest = None if plan.rest is None else builder.value(plan.rest)
        if plan.hit is not None:
            hit, more = builder.value(plan.hit), builder.sequence()
            before = more
            if rest is not None:
                before = builder.repeat(builder.sequence(rest, self._comma), 0, None)
                more = builder.repeat(builder.sequence(self._comma, rest), 0, None)
            return builder.sequence(self._open, before, hit, more, self._close)
        length = len(plan.prefix)
        left = None if plan.most is None else plan.most - length
        tail = self._rest(rest, max(plan.least - length, 0), left, first=not length)
        for place in reversed(range(length)):
            item = builder.value(plan.prefix[place])
            after = [] if tail is None else [builder.sequence(self._before(place), item, tail)]
            ends = [self._close if place else self._empty] if place >= plan.least else []
            tail = builder.share(builder.choice(*after, *ends))
        return builder.choice() if tail is None else tail

    def _before(self, place: int) -> Part:
        return self._comma if place else self._open

    def _rest(self, part: Part | None, least: int, most: int | None, first: bool) -> Part | None:
        """Return `least` to `most` parts more and the end; None where there is no way. `first`: nothing came before."""
        builder = self._builder
        if part is None or most == 0:
            return (self._empty if first else self._close) if least == 0 else None
        more = builder.sequence(self._comma, part)
        if not first:
            return builder.share(builder.sequence(builder.repeat(more, least, most), self._close))
        repeated = builder.repeat(more, max(least - 1, 0), None if most is None else most - 1)
        some = builder.sequence(self._open, part, repeated, self._close)
        return builder.share(some if least else builder.choice(some, self._empty))

    def _extra(self, plan: ObjectPlan) -> Part | None:
        """Return one further member."""
        builder = self._builder
        options = []
        for extra in plan.extras:
            key = ANY_STRING if extra.key is None else concat(QUOTE, inside_string(extra.key), QUOTE)
            options.append(builder.sequence(builder.token(key), self._colon, builder.value(extra.need)))
        return builder.share(builder.choice(*options)) if options else None

    def _distinct(self, plan: ArrayPlan) -> Part:
        """Write values none of which comes twice: a state for each set of those that are left."""
        builder, total = self._builder, len(plan.unique)
        values = [builder.token(tree) for tree in plan.unique]
        tails: dict[frozenset[int], Part | None] = {}
        for size in range(total + 1):
            for left in map(frozenset, combinations(range(total), size)):
                count = total - size
                options = [self._close if count else self._empty] if count >= plan.least else []
                if plan.most is None or count < plan.most:
                    for value in sorted(left):
                        after = tails[left - {value}]
                        if after is not None:
                            options.append(builder.sequence(self._before(count), values[value], after))
                tails[left] = builder.share(builder.choice(*options)) if options else None
        return tails[frozenset(range(total))] or builder.choice()
