"""What a number of tokens means for a constraint: whether any text fits, how many it may need, how to end in time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache

from sglc.automata.dfa_facts import length_bounds
from sglc.automata.token_constraint import Mask, TokenConstraint
from sglc.automata.token_table import TokenTable
from sglc.errors import ProgramError


@lru_cache(maxsize=128)
def most_tokens(table: TokenTable) -> int | None:
    """Return the most tokens that a text needs, its end included; None where texts have no longest, or are not known.

    A token has a byte at least, and the longest text needs no token to say that it is over.
    """
    bounds = length_bounds(table.dfa) if table.dfa is not None else None
    return None if bounds is None or bounds[1] is None else max(1, bounds[1])


@lru_cache(maxsize=128)
def whole_texts(table: TokenTable, tokens: int) -> WholeTexts:
    """Return the constraint of a table's texts that are whole after so many tokens; equal arguments give one."""
    return WholeTexts(table, tokens)


def check_reach(table: TokenTable, tokens: int) -> None:
    """Raise a ProgramError where the vocabulary spells no member in so many tokens, as far as that is known ahead."""
    if table.whole is None:
        distance = 0 if table.is_final(table.start) or table.allowed(table.start).any() else None
    else:
        distance = table.distance(table.start)
    if distance is None:
        raise ProgramError(f"{table.name}: found no text that the model's tokens spell; wanted one")
    if distance > tokens:
        raise ProgramError(f"{table.name}: found a shortest text of {distance} tokens; wanted at most {tokens}")


class WholeTexts(TokenConstraint):
    """A constraint whose texts are whole after so many tokens at the latest. Its states count what is left of them.

    Raises Unsupported for a language that is not worked out ahead.
    """

    def __init__(self, table: TokenTable, tokens: int) -> None:
        super().__init__(table)
        table.distance(table.start)
        self._tokens = tokens

    @property
    def start(self) -> Hashable:
        return self.table.start, self._tokens

    def allowed(self, state: Hashable) -> Mask:
        inner, left = _parts(state)
        return self._mask(state, lambda: self.table.allowed_within(inner, left))

    def advance(self, state: Hashable, token_id: int) -> Hashable:
        inner, left = _parts(state)
        after = super().advance(inner, token_id)
        distance = self.table.distance(after)
        if distance is None or distance > left - 1:
            raise ValueError(
                f"token {token_id}: found {left} tokens left; wanted a token that the end is near enough to"
            )
        return after, left - 1

    def draft(self, state: Hashable) -> Sequence[int]:
        return super().draft(_parts(state)[0])

    def may_end(self, state: Hashable) -> bool:
        return super().may_end(_parts(state)[0])

    def must_end(self, state: Hashable) -> bool:
        return super().must_end(_parts(state)[0])


def _parts(state: Hashable) -> tuple[Hashable, int]:
    assert isinstance(state, tuple)
    inner, left = state
    return inner, left
