"""A language of texts, compiled: what a constraint is before it meets a vocabulary."""

from __future__ import annotations

from functools import lru_cache

from sglc.automata.assertions import live_positions
from sglc.automata.budget import Budget, OverBudget
from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.determinize import determinize
from sglc.automata.positions import START, Positions
from sglc.automata.regex_syntax import parse_regex, regex_name
from sglc.automata.regular import Regular


class Automaton:
    """A regular language that sglc follows itself, byte by byte. Immutable; `name` is what errors call it.

    `dfa` is the whole automaton. It is None for a language beyond the budget: then its states, sets of `positions`,
    are worked out as texts reach them.
    """

    __slots__ = ("dfa", "name", "positions")

    is_table = True

    def __init__(self, name: str, positions: Positions, dfa: ByteDfa | None) -> None:
        self.name = name
        self.positions = positions
        self.dfa = dfa

    def __repr__(self) -> str:
        states = "states on demand" if self.dfa is None else f"{len(self.dfa):,} states"
        return f"<Automaton {self.name}: {states}>"

    @property
    def is_empty(self) -> bool:
        """Whether no text at all is a member."""
        return self.positions.is_empty

    def accepts(self, text: str | bytes) -> bool:
        """Whether a text (bytes: its UTF-8) is a member."""
        data = _encoded(text)
        if self.dfa is not None:
            return self.dfa.accepts(data)
        state = self.positions.entered_by([START])
        for byte in data:
            state = self.positions.after(state, byte)
        return not self.positions.final.isdisjoint(state)

    def viable(self, text: str | bytes) -> int:
        """Return how much of a text some member begins with: characters of a `str`, bytes of `bytes`.

        For the empty language -1, because not even the empty text can be completed.
        """
        if self.is_empty:
            return -1
        data = _encoded(text)
        length = self._viable_bytes(data)
        if isinstance(text, bytes):
            return length
        begun = length < len(data) and data[length] & 0xC0 == 0x80  # the last character is viable in part only
        return sum(byte & 0xC0 != 0x80 for byte in data[:length]) - begun

    def _viable_bytes(self, data: bytes) -> int:
        if self.dfa is None:
            return self._viable_bytes_on_demand(data)
        state, table, classes = self.dfa.start, self.dfa.table, self.dfa.classes
        for length, byte in enumerate(data):
            state = int(table[state, classes[byte]])
            if state == DEAD:
                return length
        return len(data)

    def _viable_bytes_on_demand(self, data: bytes) -> int:
        state = self.positions.entered_by([START])
        for length, byte in enumerate(data):
            state = self.positions.after(state, byte)
            if not state:
                return length
        return len(data)


def from_tree(tree: Regular, name: str, budget: Budget | None = None) -> Automaton:
    """Return the automaton of a language, which errors call `name`; `budget` holds for all of its parts together.

    Raises Unsupported for one with too many states even before it is made deterministic.
    """
    budget = budget or Budget()
    positions = live_positions(tree, name, budget)
    try:
        return Automaton(name, positions, determinize(positions, budget))
    except OverBudget:
        return Automaton(name, positions, None)


@lru_cache(maxsize=128)
def compile_regex(pattern: str) -> Automaton:
    """Return the automaton of the texts that `re.fullmatch` with `re.ASCII` matches; `(?u)` asks for Unicode.

    Raises ProgramError, with the place, for what Python's `re` refuses too; Unsupported, with the construct and its
    place, for what is not regular or needs too many states.
    """
    return from_tree(parse_regex(pattern), regex_name(pattern))


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
