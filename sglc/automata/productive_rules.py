"""Which rules of a grammar any text belongs to: the others are dead ends, and leave no trace in masks."""

from __future__ import annotations

from collections.abc import Mapping, Set

from sglc.automata.grammar_rules import START, Chain, Choice, Ref, Rule, Text, Times, references
from sglc.automata.regular import CharSet, Concat, Either, Regular, Repeat


def productive_rules(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules that some text belongs to and `start` leads to, without their options that no text belongs to.

    Of the empty language nothing is left.
    """
    productive: set[str] = set()
    size = -1
    while size < len(productive):
        size = len(productive)
        productive |= {name for name, rule in rules.items() if _has_texts(rule, productive)}
    if START not in productive:
        return {}
    left: dict[str, Rule] = {}
    pending = [START]
    while pending:
        name = pending.pop()
        if name not in left:
            left[name] = _without_dead_ends(rules[name], productive)
            pending.extend(references(left[name]))
    return left


def _has_texts(rule: Rule, productive: Set[str]) -> bool:
    match rule:
        case Text():
            return _is_possible(rule.tree)
        case Ref():
            return rule.name in productive
        case Chain():
            return all(_has_texts(part, productive) for part in rule.parts)
        case Choice():
            return any(_has_texts(option, productive) for option in rule.options)
    return rule.least == 0 or _has_texts(rule.body, productive)


def _without_dead_ends(rule: Rule, productive: Set[str]) -> Rule:
    """Return a rule that some text belongs to, without the parts that none does."""
    match rule:
        case Text():
            return Text(_possible(rule.tree))
        case Chain():
            return Chain(tuple(_without_dead_ends(part, productive) for part in rule.parts))
        case Choice():
            options = (option for option in rule.options if _has_texts(option, productive))
            return Choice(tuple(_without_dead_ends(option, productive) for option in options))
        case Times():
            if not _has_texts(rule.body, productive):
                return Chain(())
            return Times(_without_dead_ends(rule.body, productive), rule.least, rule.most)
    return rule


def _is_possible(tree: Regular) -> bool:
    """Whether a tree has texts; of assertions, that they may hold."""
    match tree:
        case CharSet():
            return bool(tree.ranges)
        case Concat():
            return all(map(_is_possible, tree.parts))
        case Either():
            return any(map(_is_possible, tree.options))
        case Repeat():
            return tree.least == 0 or _is_possible(tree.body)
    return True


def _possible(tree: Regular) -> Regular:
    """Return a tree that has texts, without the parts that have none."""
    match tree:
        case Concat():
            return Concat(tuple(map(_possible, tree.parts)))
        case Either():
            return Either(tuple(_possible(option) for option in tree.options if _is_possible(option)))
        case Repeat():
            return Repeat(_possible(tree.body), tree.least, tree.most) if _is_possible(tree.body) else Concat(())
    return tree
