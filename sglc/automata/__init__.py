"""Languages of byte strings, and which tokens keep a text inside one. No torch, and no numpy before it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sglc.automata.automaton import Automaton, compile_regex
    from sglc.automata.grammar import compile_grammar
    from sglc.automata.json_schema import compile_json_schema
    from sglc.automata.token_table import TokenTable
    from sglc.automata.vocabulary import Vocabulary

_ROOMS = {
    "Automaton": "automaton",
    "compile_regex": "automaton",
    "compile_grammar": "grammar",
    "compile_json_schema": "json_schema",
    "TokenTable": "token_table",
    "Vocabulary": "vocabulary",
}

__all__ = ["Automaton", "TokenTable", "Vocabulary", "compile_grammar", "compile_json_schema", "compile_regex"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
