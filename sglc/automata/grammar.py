"""Grammars in lark's syntax, compiled to the language of the texts that their rule `start` derives.

Terminals are languages like rules: a text belongs to the grammar however it is cut into terminals. What is regular,
recursion at one end included, is served by our own tables; what needs a stack is handed to llguidance.
"""

from __future__ import annotations

from functools import lru_cache

from sglc.automata.automaton import Automaton, from_tree
from sglc.automata.budget import MAX_STATES
from sglc.automata.context_free import ContextFree
from sglc.automata.grammar_reader import read_grammar
from sglc.automata.grammar_stack import stack_grammar
from sglc.automata.linear_rules import regular_language
from sglc.automata.productive_rules import productive_rules
from sglc.automata.regular import least_states
from sglc.errors import ProgramError, Unsupported

NAME = "grammar"
"""What errors call a grammar."""


@lru_cache(maxsize=128)
def compile_grammar(lark_text: str) -> Automaton | ContextFree:
    """Return the language of a grammar's `start`: EBNF in lark's syntax, with `%ignore` and `%import common`.

    Regexes are read as `regex` is (classes are ASCII), priorities and aliases change nothing. Raises ProgramError, with
    line and column, for wrong syntax, undefined names, no `start` and an empty language; Unsupported for `%declare`,
    other imports, lazy repeats, and what is too large.
    """
    try:
        rules = productive_rules(read_grammar(lark_text))
        if not rules:
            raise _empty()
        tree = regular_language(rules)
        if tree is None or least_states(tree) > MAX_STATES:
            return ContextFree(stack_grammar(rules), NAME)
        automaton = from_tree(tree, NAME)
    except RecursionError:
        raise Unsupported(f"{NAME}: found parts nested too deep for Python's stack; wanted fewer levels") from None
    if automaton.is_empty:
        raise _empty()
    return automaton


def _empty() -> ProgramError:
    return ProgramError(f"{NAME}: found a language without any text; wanted one that some text belongs to")
