"""Constraints with drafts of their own making: right ones, and such as no language would expect."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from random import Random

import numpy as np
import numpy.typing as npt

from sglc.automata.constraint import Constraint
from sglc.backend.tokenizer import Tokenizer

RECORD = (
    r'\{"name": "[A-Z][a-z]{1,8}( [A-Z][a-z]+)?", "house": "(Gryffindor|Slytherin|Hufflepuff)", "age": [0-9]{1,3}\}'
)

Guess = Callable[[Hashable], Sequence[int]]


class Drafting:
    """A constraint that expects what it is told to."""

    def __init__(self, constraint: Constraint, guess: Guess) -> None:
        self._constraint = constraint
        self._guess = guess
        self.start = constraint.start
        self.allowed = constraint.allowed
        self.advance = constraint.advance
        self.may_end = constraint.may_end
        self.must_end = constraint.must_end

    def draft(self, state: Hashable) -> Sequence[int]:
        """Return the guess."""
        return self._guess(state)


def continuations(constraint: Constraint, outputs: Iterable[Sequence[int]]) -> dict[Hashable, list[int]]:
    """Return for each state that outputs come through what one of them goes on with."""
    found: dict[Hashable, list[int]] = {}
    for output in outputs:
        state = constraint.start
        for place, token_id in enumerate(output):
            found[state] = [int(each) for each in output[place:]]
            state = constraint.advance(state, int(token_id))
    return found


def unreliable(known: dict[Hashable, list[int]], vocab_size: int, seed: int = 0) -> Guess:
    """Return guesses that are as known, or cut, or wrong at some place, or far too long, or nothing that is a token."""
    made: dict[Hashable, Sequence[int]] = {}
    random = Random(seed)

    def guess(state: Hashable) -> Sequence[int]:
        if state not in made:
            made[state] = _spoilt(list(known.get(state, ())), random, vocab_size)
        return made[state]

    return guess


def _spoilt(draft: list[int], random: Random, vocab_size: int) -> Sequence[int]:
    kind = random.randrange(8)
    if kind == 0:
        return draft[: random.randrange(len(draft) + 1)]
    if kind == 1:
        draft.insert(random.randrange(len(draft) + 1), random.randrange(vocab_size))
    elif kind == 2:
        draft += [random.randrange(vocab_size) for _ in range(200)]
    elif kind == 3:
        draft.insert(random.randrange(len(draft) + 1), random.choice([-1, vocab_size, 1 << 40]))
    elif kind == 4 and draft:
        draft[random.randrange(len(draft))] = draft[random.randrange(len(draft))]
    return draft


def forced_texts(constraint: Constraint, tokenizer: Tokenizer) -> Guess:
    """Return guesses that are what a tokenizer makes of the bytes that have to follow, without its last token."""
    bytes_of = {token_id: data for token_id, data in enumerate(tokenizer.token_bytes) if len(data) == 1}
    ids: npt.NDArray[np.int64] = np.array([*bytes_of], np.int64)
    made: dict[Hashable, Sequence[int]] = {}

    def guess(state: Hashable) -> Sequence[int]:
        if state not in made:
            first, text = state, b""
            while not constraint.may_end(state):
                following = ids[constraint.allowed(state)[ids]].tolist()
                if len(following) != 1:
                    break
                text += bytes_of[following[0]]
                state = constraint.advance(state, following[0])
            made[first] = tokenizer.encode(text.decode("utf-8", "ignore"))[:-1]
            return made[first]
        return made[state]

    return guess
