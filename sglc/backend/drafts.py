"""Which tokens a constrained sequence computes before they are drawn: those that are expected, as far as that pays."""

from __future__ import annotations

from collections.abc import Hashable, Set

from sglc.automata.constraint import Constraint

FIRST_LENGTH = 16
"""Tokens of a sequence's first draft at most."""

_MOST = 64


def drafted(constraint: Constraint, state: Hashable, ends: Set[int], most: int) -> tuple[list[int], list[Hashable]]:
    """Return at most so many tokens that are expected from a state on, and the state behind each.

    Behind each of them another token may be drawn: none is forbidden, one of `ends`, or one behind which the text is
    over.
    """
    tokens: list[int] = []
    states: list[Hashable] = []
    for token_id in constraint.draft(state)[: max(0, most)]:
        if token_id in ends:
            break
        try:
            state = constraint.advance(state, token_id)
        except ValueError:  # a guess may be wrong
            break
        if constraint.must_end(state):
            break
        tokens.append(token_id)
        states.append(state)
    return tokens, states


def next_length(length: int, drafted: int, accepted: int) -> int:
    """Return how long the next draft may be after one of at most `length` tokens, of which some were accepted.

    Where a model spells texts in a way of its own, drafts cost and do not pay.
    """
    if accepted == drafted:
        return min(_MOST, 2 * length)
    return max(1, length // 2) if accepted < drafted / 2 else length
