"""What each token does to an automaton, all states at once; tokens that do the same are one class.

What a text does is a function from states to states, and few functions occur: most texts lead nowhere from anywhere.
So the trie is walked a level at a time, each node carries the number of its function, and a function is worked out
once for all nodes of a level that have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sglc.automata.byte_dfa import DEAD, ByteDfa
from sglc.automata.vocabulary import Vocabulary
from sglc.automata.vocabulary_trie import ROOT, Ints, VocabularyTrie, spans

NO_CLASS = 0
"""The class of the tokens that lead nowhere from anywhere."""


MAX_STEPS = 40_000_000
"""Steps of a state that one vocabulary may take: about two seconds."""


class TooLarge(Exception):
    """More steps than were allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenClasses:
    """A class is a number from 1 on, and a function that is given by the states where it leads on, in ascending order.

    All steps [P] of all classes are in one row, class after class.
    """

    of_token: Ints  # [tokens]; 0 for those that lead nowhere
    count: int
    step_class: Ints  # [P]
    step_from: Ints  # [P]
    step_to: Ints  # [P]


def token_classes(dfa: ByteDfa, vocabulary: Vocabulary, most_steps: int = MAX_STEPS) -> TokenClasses:
    """Return what the tokens do. Raises TooLarge where finding it takes more than `most_steps` steps of a state."""
    walk = _Walk(dfa, vocabulary.trie, most_steps)
    functions = walk.run()[vocabulary.node_of_token]
    used = np.zeros(len(walk.functions), dtype=np.bool_)
    used[functions] = True
    used[NO_CLASS] = False
    number = np.cumsum(used, dtype=np.int64)
    number[~used] = NO_CLASS
    kept = [function for function, is_used in zip(walk.functions, used.tolist(), strict=True) if is_used]
    codes = np.frombuffer(b"".join(kept), dtype=np.int64)
    lengths = np.fromiter(map(len, kept), dtype=np.int64, count=len(kept)) // codes.itemsize
    step_from, step_to = np.divmod(codes, len(dfa.table))
    return TokenClasses(number[functions], len(kept), np.repeat(1 + np.arange(len(kept)), lengths), step_from, step_to)


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """The distinct functions [F] of the nodes of a level, and their steps [P], function after function."""

    first: Ints  # [F]
    length: Ints  # [F]
    step_from: Ints  # [P]
    step_to: Ints  # [P]


class _Walk:
    """A walk of the trie. A function's steps, each from · states + to, are its bytes, which tell equal ones."""

    def __init__(self, dfa: ByteDfa, trie: VocabularyTrie, most_steps: int) -> None:
        self._table = dfa.table
        self._class_of_byte = dfa.classes.astype(np.int64)
        self._trie = trie
        self._steps_left = most_steps
        self._numbers: dict[bytes, int] = {b"": NO_CLASS}

    @property
    def functions(self) -> list[bytes]:
        """The functions met so far, by number; the one that leads nowhere is the first."""
        return list(self._numbers)

    def run(self) -> Ints:
        """Return the number of each node's function [nodes]. Raises TooLarge."""
        starts = np.arange(1, len(self._table))
        found = np.zeros(len(self._trie.children), dtype=np.int64)
        nodes, functions = np.array([ROOT]), np.zeros(1, dtype=np.int64)
        level = _Level(np.zeros(1, np.int64), np.array([len(starts)]), starts, starts)
        while len(nodes):
            width = self._trie.children[nodes]
            nodes = spans(self._trie.first_child[nodes], width)
            moves = np.repeat(functions, width) * self._table.shape[1]
            moves += self._class_of_byte[self._trie.last_byte[nodes]]
            distinct, move = _distinct(moves, len(level.first) * self._table.shape[1])
            level, function_of_move, numbers = self._step(level, distinct)
            functions = function_of_move[move]
            alive = np.flatnonzero(functions)
            nodes, functions = nodes[alive], functions[alive] - 1
            found[nodes] = numbers[functions]
        return found

    def _step(self, level: _Level, moves: Ints) -> tuple[_Level, Ints, Ints]:
        """Follow distinct moves, each a function · classes + a class of bytes.

        Return the functions they lead to, of each move the place of its function + 1 (0 where it leads nowhere), and
        the number of each function.
        """
        function, byte_class = np.divmod(moves, self._table.shape[1])
        lengths = level.length[function]
        self._spend(int(lengths.sum()))
        steps = spans(level.first[function], lengths)
        after = self._table[level.step_to[steps], np.repeat(byte_class, lengths)]
        alive = np.flatnonzero(after != DEAD)
        move_of_step = np.repeat(np.arange(len(moves)), lengths)[alive]
        codes = level.step_from[steps[alive]] * len(self._table) + after[alive]
        ends = np.cumsum(np.bincount(move_of_step, minlength=len(moves)))
        place_of_move, kept, numbers = self._named(codes, ends)
        step_from, step_to = np.divmod(codes, len(self._table))
        lengths = np.diff(ends, prepend=0)[kept]
        return _Level(ends[kept] - lengths, lengths, step_from, step_to), place_of_move, numbers

    def _named(self, codes: Ints, ends: Ints) -> tuple[Ints, Ints, Ints]:
        """Return of each move its function's place + 1, of each function a move that leads to it, and its number."""
        data, numbers = codes.tobytes(), self._numbers
        places: dict[int, int] = {NO_CLASS: 0}
        place_of_move, kept = [], []
        for move, (low, high) in enumerate(pairwise([0, *(ends * codes.itemsize).tolist()])):
            number = numbers.setdefault(data[low:high], len(numbers))
            if number not in places:
                places[number] = len(places)
                kept.append(move)
            place_of_move.append(places[number])
        names = list(places)[1:]
        return np.array(place_of_move, np.int64), np.array(kept, np.int64), np.array(names, np.int64)

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise TooLarge


def _distinct(keys: Ints, bound: int) -> tuple[Ints, Ints]:
    """Return the distinct keys, all below `bound`, and of each key its place among them."""
    if bound > 8 * len(keys) + 1024:  # flags would take longer than sorting
        distinct, place = np.unique(keys, return_inverse=True)
        return distinct, place
    flags = np.zeros(bound, dtype=np.bool_)
    flags[keys] = True
    places = np.cumsum(flags) - 1
    return np.flatnonzero(flags), places[keys]
