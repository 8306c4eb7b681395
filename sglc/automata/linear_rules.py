"""Rules that need no stack, as one regular language: without recursion, or with it at one end only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from sglc.automata.grammar_rules import START, Chain, Choice, Ref, Rule, Text, references
from sglc.automata.regular import EMPTY, NOTHING, Concat, Either, Regular, Repeat

Terms = dict[str | None, Regular]
"""A sum: of each rule what stands before it (mirrored: behind it); of None what stands alone."""


class _NotLinear(Exception):
    """A rule refers to itself elsewhere than at one end."""


def regular_language(rules: Mapping[str, Rule]) -> Regular | None:
    """Return the language of `start`; None where rules refer to themselves in their middle, or at both ends.

    Rules that refer to each other are equations; those with the recursion at one end are solved by Arden's lemma:
    of X = A X | B the least solution is A* B. Trees share parts.
    """
    solved: dict[str, Regular] = {}
    try:
        for group in _groups(rules):
            try:
                solved |= _solution(rules, group, solved, mirrored=False)
            except _NotLinear:
                solved |= _solution(rules, group, solved, mirrored=True)
    except _NotLinear:
        return None
    return solved[START]


def _groups(rules: Mapping[str, Rule]) -> Iterator[list[str]]:
    """Yield the rules that refer to each other, groups that others refer to first (Tarjan)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []

    def visit(name: str) -> Iterator[list[str]]:
        number[name] = lowest[name] = len(number)
        open_.append(name)
        for other in dict.fromkeys(references(rules[name])):
            if other not in number:
                yield from visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in open_:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            place = open_.index(name)
            group = open_[place:]
            del open_[place:]
            yield group

    return visit(START)


def _solution(
    rules: Mapping[str, Rule], group: list[str], solved: Mapping[str, Regular], mirrored: bool
) -> dict[str, Regular]:
    """Return the languages of rules that refer to each other; mirrored, with the recursion at their beginnings."""
    join = _joined_backwards if mirrored else _joined
    reader = _Reader(frozenset(group), solved, mirrored, join)
    terms = {name: reader.terms(rules[name]) for name in group}
    for place, name in enumerate(group):
        around = terms[name].pop(name, None)
        if around is not None:
            terms[name] = _all_behind(Repeat(around, 0, None), terms[name], join)
        for other in group[place + 1 :]:
            _substitute(terms[other], name, terms[name], join)
    for place in reversed(range(len(group))):
        for other in group[:place]:
            _substitute(terms[other], group[place], terms[group[place]], join)
    return {name: terms[name].get(None, NOTHING) for name in group}


class _Reader:
    """Reads rules as sums, the recursion last."""

    def __init__(
        self,
        group: Set[str],
        solved: Mapping[str, Regular],
        mirrored: bool,
        join: Callable[[Regular, Regular], Regular],
    ) -> None:
        self._group, self._solved, self._mirrored, self._join = group, solved, mirrored, join

    def terms(self, rule: Rule) -> Terms:
        match rule:
            case Text():
                return {None: rule.tree}
            case Ref():
                return {rule.name: EMPTY} if rule.name in self._group else {None: self._solved[rule.name]}
            case Choice():
                total: Terms = {}
                for option in rule.options:
                    _add(total, self.terms(option))
                return total
            case Chain():
                parts = rule.parts[::-1] if self._mirrored else rule.parts
                if not parts:
                    return {None: EMPTY}
                terms = self.terms(parts[-1])
                for part in reversed(parts[:-1]):
                    terms = _all_behind(self._plain(part), terms, self._join)
                return terms
        if (rule.least, rule.most) == (0, 1):
            terms = self.terms(rule.body)
            _add(terms, {None: EMPTY})
            return terms
        return {None: Repeat(self._plain(rule.body), rule.least, rule.most)}

    def _plain(self, rule: Rule) -> Regular:
        """Return the language of a rule without recursion."""
        terms = self.terms(rule)
        if terms.keys() - {None}:
            raise _NotLinear
        return terms.get(None, NOTHING)


def _substitute(terms: Terms, name: str, other: Terms, join: Callable[[Regular, Regular], Regular]) -> None:
    before = terms.pop(name, None)
    if before is not None:
        _add(terms, _all_behind(before, other, join))


def _add(terms: Terms, others: Terms) -> None:
    for name, tree in others.items():
        terms[name] = Either((terms[name], tree)) if name in terms else tree


def _all_behind(before: Regular, terms: Terms, join: Callable[[Regular, Regular], Regular]) -> Terms:
    return {name: join(before, tree) for name, tree in terms.items()}


def _joined(before: Regular, after: Regular) -> Regular:
    # not flattened: parts are shared, and written out they could double with every rule
    return after if before == EMPTY else before if after == EMPTY else Concat((before, after))


def _joined_backwards(before: Regular, after: Regular) -> Regular:
    return _joined(after, before)
