"""Schemas that need a stack, as a grammar in llguidance's dialect of lark: a rule for each need, a terminal a lexeme.

llguidance ends a lexeme only where no lexeme goes on, so lexemes are JSON's own: strings, numbers, literals, and
punctuation with the white space that belongs to it.
"""

from __future__ import annotations

from sglc.automata.budget import Budget
from sglc.automata.json_layout import Layout
from sglc.automata.lark_terminals import Terminals
from sglc.automata.regular import Regular
from sglc.automata.schema_plans import ObjectPlan, Planned
from sglc.automata.schema_shapes import Need
from sglc.errors import Unsupported

_NEVER = "NEVER"
_NOTHING = '""'
_MAX_MEMBERS = 1_500  # llguidance follows chains of rules on its stack


class GrammarBuilder:
    """Builds parts as lark text; rules are written when needs are first met."""

    def __init__(self, plans: Planned, layout: Layout, budget: Budget) -> None:
        """Begin with plans. Writing raises OverBudget once the budget is spent."""
        self._plans, self._layout = plans, layout
        self._terminals = Terminals(budget)
        self._rules: dict[str, str] = {}
        self._needs: dict[Need, str] = {}
        self._pending: list[Need] = []
        self._shared: dict[str, str] = {}

    def grammar(self, root: Need) -> str:
        """Return the grammar of the texts that meet a need."""
        start = self.value(root)
        while self._pending:
            need = self._pending.pop()
            plans = self._plans.of(need)
            if any(isinstance(plan, ObjectPlan) and len(plan.members) > _MAX_MEMBERS for plan in plans):
                raise Unsupported(f"json_schema: found an object of more than {_MAX_MEMBERS:,} names; wanted fewer")
            options = (self._layout.write(plan, self) for plan in plans)
            self._rules[self._needs[need]] = self.choice(*options)
        rules = [f"start: {start}", *(f"{name}: {body}" for name, body in self._rules.items())]
        return "\n".join(['%llguidance {"no_forcing": true}', *rules, *self._terminals.lines]) + "\n"

    def token(self, tree: Regular) -> str:
        return self._terminals.name(tree)

    def sequence(self, *parts: str) -> str:
        if _NEVER in parts:
            return _NEVER
        return " ".join(part if part.isidentifier() else f"({part})" for part in parts if part != _NOTHING) or _NOTHING

    def choice(self, *parts: str) -> str:
        options = dict.fromkeys(part for part in parts if part != _NEVER)
        return " | ".join(options) or _NEVER

    def repeat(self, part: str, least: int, most: int | None) -> str:
        if most == 0 or (part == _NEVER and least == 0):
            return _NOTHING
        if part == _NEVER:
            return _NEVER
        if most is None:
            return f"({part})*" if least == 0 else f"({part})+" if least == 1 else f"({part}){{{least},}}"
        return f"({part}){{{least},{most}}}"

    def share(self, part: str) -> str:
        if part.isidentifier() or part == _NOTHING:
            return part
        if part not in self._shared:
            self._shared[part] = f"s{len(self._shared)}"
            self._rules[self._shared[part]] = part
        return self._shared[part]

    def value(self, need: Need) -> str:
        if need not in self._needs:
            self._needs[need] = f"n{len(self._needs)}"
            self._pending.append(need)
        return self._needs[need]
