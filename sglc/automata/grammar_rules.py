"""The rules of a grammar as immutable trees; what lark's syntax is read into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sglc.automata.regular import Regular


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a regular language: a terminal."""

    tree: Regular


@dataclass(frozen=True, slots=True)
class Ref:
    """A text of another rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The parts one after another; without parts, the empty text."""

    parts: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of the options; without options, no text at all."""

    options: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """The body at least `least` and at most `most` times; `most` None is without bound."""

    body: Rule
    least: int
    most: int | None


Rule = Text | Ref | Chain | Choice | Times

START = "start"
"""The rule that whole texts belong to."""


def references(rule: Rule) -> Iterator[str]:
    """Yield the names that a rule refers to, again where it does so again."""
    match rule:
        case Ref():
            yield rule.name
        case Chain():
            for part in rule.parts:
                yield from references(part)
        case Choice():
            for option in rule.options:
                yield from references(option)
        case Times():
            yield from references(rule.body)
