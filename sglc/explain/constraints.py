"""The constraints of a graph's generations: how they are written, what they become, and who serves them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

from sglc.automata.languages import dtype_pattern, grammar_language, json_schema_language, regex_language
from sglc.errors import Location
from sglc.ir.graph import Graph, Op

if TYPE_CHECKING:
    from sglc.automata.automaton import Automaton
    from sglc.automata.context_free import ContextFree
    from sglc.automata.token_table import TokenTable
    from sglc.automata.vocabulary import Vocabulary

OUR_TABLE = "our table"
ON_DEMAND = "states on demand"
LLGUIDANCE = "llguidance"

_LANGUAGES = {"regex": regex_language, "json_schema": json_schema_language, "grammar": grammar_language}
_DTYPES = {dtype_pattern(dtype): dtype for dtype in ("int", "float", "str", "bool")}
_ENCODED_AT_ONCE = 64  # characters; a token is shorter


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the text of one generation is held to: `kind` is regex, json_schema, grammar or dtype.

    `name` is that of the generation's value, `written` what the author gave.
    """

    name: str
    kind: str
    written: str
    location: Location | None
    language: Automaton | ContextFree

    @property
    def served_by(self) -> str:
        """Who follows it, before a vocabulary is known."""
        return _served_by(self.language)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a constraint; None is what nobody knows ahead, and what takes a vocabulary where there is none.

    `served_by` is told with the vocabulary, over which a table may be too large. `states` are those beside the dead
    one, `forced_states` the share of them that one byte alone can follow. `forced_tokens` is the share of tokens that
    a draft spells, in the shortest member. `seconds` is how long the token table took to compile, the vocabulary's own
    preparation not counted.
    """

    served_by: str
    states: int | None = None
    forced_states: float | None = None
    table_bytes: int | None = None
    forced_tokens: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ConstraintFacts:
    """A constraint and its figures."""

    constraint: Constraint
    figures: Figures


def constraint_of(op: Op) -> Constraint | None:
    """Return what a generation, of a program or of a plan, is held to."""
    for kind, language in _LANGUAGES.items():
        written = op.attributes.get(kind)
        if op.name not in ("gen", "decode") or written is None:
            continue
        name, dtype = op.results[-1].name, _DTYPES.get(written) if kind == "regex" else None
        if dtype is not None:
            return Constraint(name, "dtype", dtype, op.location, language(written))
        return Constraint(name, kind, written, op.location, language(written))
    return None


def constraints_of(graph: Graph) -> Iterator[Constraint]:
    """Yield the constraints of a graph, in order."""
    for op in graph.ops():
        found = constraint_of(op)
        if found is not None:
            yield found


def constraint_facts(graph: Graph, vocabulary: Vocabulary | None) -> Iterator[ConstraintFacts]:
    """Yield the constraints of a graph with their figures, those that one statement has several times once."""
    known: set[tuple[str, str, Location | None]] = set()
    for each in constraints_of(graph):
        key = (each.kind, each.written, each.location)
        if key not in known:
            known.add(key)
            yield ConstraintFacts(each, _figures(each.language, vocabulary))


def forced_share(table: TokenTable, text: bytes) -> float | None:
    """Return the share of tokens in a member that drafts spell; None where the tokenizer can't write it.

    Where nothing is drafted, the next token is the one that the tokenizer would write.
    """
    state, forced, tokens = table.start, 0, 0
    while text:
        draft = table.draft(state)
        taken = draft or _next_token(table.vocabulary, text)
        for token in taken:
            after = table.next(state, token)
            if after is None:
                return None
            state = after
            text = text[len(table.vocabulary.tokens[token]) :]
        if not taken:
            return None
        tokens += len(taken)
        forced += len(draft)
    return forced / tokens if tokens else 0.0


def _next_token(vocabulary: Vocabulary, text: bytes) -> tuple[int, ...]:
    """Return the first token of a text, () where that is not what the text begins with."""
    if vocabulary.encode is None:
        return ()
    tokens = vocabulary.encode(text.decode("utf-8", "replace")[:_ENCODED_AT_ONCE])
    first = vocabulary.tokens[tokens[0]] if tokens else b""
    return (tokens[0],) if first and text.startswith(first) else ()


@lru_cache(maxsize=64)  # graphs for different kinds of rows have the same constraints
def _figures(language: Automaton | ContextFree, vocabulary: Vocabulary | None) -> Figures:
    from sglc.automata.dfa_facts import FREE, forced_bytes, shortest_member
    from sglc.automata.token_table import TokenTable

    dfa = language.dfa
    states = forced = None
    if dfa is not None:
        states = len(dfa) - 1
        forced = int((forced_bytes(dfa)[1:] != FREE).sum()) / states if states else 0.0
    if vocabulary is None:
        return Figures(_served_by(language), states, forced)
    vocabulary.prepare()
    began = perf_counter()
    table = TokenTable(language, vocabulary)
    seconds = perf_counter() - began
    if table.whole is None:
        served = ON_DEMAND if language.is_table else LLGUIDANCE
        return Figures(served, states, forced, seconds=seconds)
    text = shortest_member(dfa) if dfa is not None else None
    share = None if text is None else forced_share(table, text)
    return Figures(OUR_TABLE, states, forced, table.nbytes, share, seconds)


def _served_by(language: Automaton | ContextFree) -> str:
    if not language.is_table:
        return LLGUIDANCE
    return OUR_TABLE if language.dfa is not None else ON_DEMAND
