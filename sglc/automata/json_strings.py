"""Strings of a shape, as the JSON texts they are written in, and questions about their languages."""

from __future__ import annotations

from functools import reduce

from sglc.automata.assertions import live_positions
from sglc.automata.automaton import Automaton
from sglc.automata.budget import Budget
from sglc.automata.json_text import CHARACTER, QUOTE, inside_string, quoted
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import ANY_CHARACTER, Both, Either, Except, Regular, Repeat, concat, either, literal
from sglc.automata.schema_patterns import ANYTHING
from sglc.automata.schema_shapes import Language, String
from sglc.errors import ProgramError, Unsupported

_LOOKED_AT_STATES = 5_000  # beyond, a language is taken to have a text
_LOOKED_AT_SECONDS = 0.25
_ALL_LOOKS_SECONDS = 1.0  # from the beginning; later ones take it for granted
_CHARACTERS = parse_regex(CHARACTER)


class Strings:
    """The strings of one schema. Looks into languages raise OverBudget once the budget is spent."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._looks = budget.part(_LOOKED_AT_STATES, _ALL_LOOKS_SECONDS)
        self._automata: dict[Language, Automaton] = {}
        self._contents: dict[String, Regular | None] = {}

    def tree(self, shape: String) -> Regular | None:
        """Return the texts of a string, with quotes; None where there is none."""
        if shape.values is not None:
            kept = self._kept(shape)
            return either(*map(quoted, kept)) if kept else None
        if not (shape.languages or shape.excluded or shape.without):
            return concat(QUOTE, Repeat(_CHARACTERS, shape.least, shape.most), QUOTE)
        content = self.content(shape)
        return None if content is None else concat(QUOTE, inside_string(content), QUOTE)

    def content(self, shape: String) -> Regular | None:
        """Return the characters of a string; None where there is none."""
        if shape not in self._contents:
            self._contents[shape] = self._content(shape)
        return self._contents[shape]

    def _content(self, shape: String) -> Regular | None:
        if shape.values is not None:
            kept = self._kept(shape)
            return either(*map(literal, kept)) if kept else None
        trees = [language.tree for language in sorted(shape.languages, key=_name)]
        if shape.least or shape.most is not None:
            trees.append(Repeat(ANY_CHARACTER, shape.least, shape.most))
        tree = reduce(Both, trees) if trees else ANYTHING
        others = [language.tree for language in sorted(shape.excluded, key=_name)]
        others += [literal(text) for text in sorted(shape.without)]
        if others:
            tree = Except(tree, either(*others))
        return None if self.is_void(tree) else tree

    def is_void(self, tree: Regular) -> bool:
        """Whether a language has no text; False also where it is too large to know."""
        if isinstance(tree, Either) and not tree.options:
            return True
        if not isinstance(tree, Both | Except):
            return False
        self._budget.check(0)
        return _is_void(tree, self._looks.part(_LOOKED_AT_STATES, _LOOKED_AT_SECONDS))

    def holds(self, language: Language, text: str) -> bool:
        """Whether a text, as characters, is in a language."""
        self._budget.check(0)
        if language not in self._automata:
            # a few names are looked up: states on demand are quicker than a whole table
            positions = live_positions(language.tree, language.name, self._budget)
            self._automata[language] = Automaton(language.name, positions, None)
        try:
            return self._automata[language].accepts(text)
        except UnicodeEncodeError:  # a lone surrogate
            return False

    def _kept(self, shape: String) -> list[str]:
        """Return the values that are in all languages and none of those left out."""
        return [
            text
            for text in shape.values or ()
            if text not in shape.without
            and all(self.holds(language, text) for language in shape.languages)
            and not any(self.holds(language, text) for language in shape.excluded)
        ]


def _name(language: Language) -> str:
    return language.name


def _is_void(tree: Regular, budget: Budget) -> bool:
    try:
        return not live_positions(tree, "strings", budget).final
    except Unsupported:
        return False
    except ProgramError:
        return True
