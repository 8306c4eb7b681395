"""Rules that need a stack, as a grammar in llguidance's dialect of lark whose terminals are single characters.

llguidance ends a lexeme only where no lexeme goes on. Between single characters there is nothing to choose, so the
language is exactly that of the rules, whatever the terminals have in common.
"""

from __future__ import annotations

from collections.abc import Mapping

from sglc.automata.budget import MAX_STATES
from sglc.automata.grammar_rules import START, Chain, Choice, Ref, Rule, Text
from sglc.automata.lark_terminals import Terminals
from sglc.automata.regular import CharSet, Concat, Either, Regular, Repeat, least_states
from sglc.errors import Unsupported

_NOTHING = '""'


def stack_grammar(rules: Mapping[str, Rule]) -> str:
    """Return the grammar of the texts of `start`, every rule of which some text belongs to.

    Raises Unsupported for terminals with assertions or too large ones.
    """
    return _Writer(rules).grammar()


class _Writer:
    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = rules
        self._names = {name: f"r{number}" for number, name in enumerate(rules)}
        self._terminals = Terminals()
        self._lines: list[str] = []
        self._shared: dict[Regular, str] = {}

    def grammar(self) -> str:
        for name, rule in self._rules.items():
            self._lines.append(f"{self._names[name]}: {self._rule(rule)}")
        lines = ['%llguidance {"no_forcing": true}', f"start: {self._names[START]}", *self._lines]
        return "\n".join([*lines, *self._terminals.lines]) + "\n"

    def _rule(self, rule: Rule) -> str:
        match rule:
            case Text():
                return self._text(rule.tree)
            case Ref():
                return self._names[rule.name]
            case Chain():
                return _sequence([self._rule(part) for part in rule.parts])
            case Choice():
                return _choice([self._rule(option) for option in rule.options])
        return _repeat(self._rule(rule.body), rule.least, rule.most)

    def _text(self, tree: Regular) -> str:
        if tree not in self._shared:
            if least_states(tree) > MAX_STATES:
                raise Unsupported(f"grammar: found a terminal of more than {MAX_STATES:,} states; wanted a smaller one")
            body = self._characters(tree)
            if not body.isidentifier():
                self._lines.append(f"t{len(self._shared)}: {body}")
                body = f"t{len(self._shared)}"
            self._shared[tree] = body
        return self._shared[tree]

    def _characters(self, tree: Regular) -> str:
        match tree:
            case Concat():
                return _sequence([self._characters(part) for part in tree.parts])
            case Either():
                return _choice([self._characters(option) for option in tree.options])
            case Repeat():
                return _repeat(self._characters(tree.body), tree.least, tree.most)
        return self._terminals.name(tree) if isinstance(tree, CharSet) else self._refused()

    def _refused(self) -> str:
        raise Unsupported(
            "grammar: found an assertion (an anchor or lookaround) in rules that need a stack; wanted none there"
        )


def _sequence(parts: list[str]) -> str:
    return " ".join(part if part.isidentifier() else f"({part})" for part in parts if part != _NOTHING) or _NOTHING


def _choice(options: list[str]) -> str:
    return " | ".join(dict.fromkeys(options))


def _repeat(body: str, least: int, most: int | None) -> str:
    if most == 0 or body == _NOTHING:
        return _NOTHING
    if most is None:
        return f"({body})*" if least == 0 else f"({body})+" if least == 1 else f"({body}){{{least},}}"
    return f"({body})?" if (least, most) == (0, 1) else f"({body}){{{least},{most}}}"
