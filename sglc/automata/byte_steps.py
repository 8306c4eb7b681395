"""An automaton as those see it who follow tokens byte by byte: whole, or worked out as texts reach its states."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sglc.automata.byte_automaton import DEAD, ByteAutomaton, State
from sglc.automata.byte_dfa import ByteDfa
from sglc.automata.compression import forced_runs
from sglc.automata.dfa_facts import FREE
from sglc.automata.positions import Positions
from sglc.automata.vocabulary_trie import Ints, VocabularyTrie

MAX_KEPT_STATES = 20_000  # a row of each is 1 KiB

_EVERY_BYTE = np.arange(256, dtype=np.uint8)


class ByteSteps(Protocol):
    """States are hashable; each has a number, DEAD for the one without hope, which lasts until the next `refresh`."""

    @property
    def start(self) -> Hashable:
        """The state before the first byte."""

    def accepts(self, state: Any) -> bool:
        """Whether a text that leads to this state is a member."""

    def walk(self, state: Any, text: bytes) -> Hashable:
        """Return the state after some bytes more; it is false where no member goes on so."""

    def index(self, state: Any) -> int:
        """Return the number of a state."""

    def step_all(self, numbers: Any, text: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Return the numbers [N] of the states after states `numbers` [N] and one byte more each, `text` [N]."""

    def forced_step(self, state: Any) -> tuple[int, Hashable] | None:
        """Return the byte that every member goes on with, and the state after it; None at an end or a choice."""

    def refresh(self) -> None:
        """Give back memory that is not needed."""


class DfaSteps:
    """The steps of a whole automaton. A state is its number; threads may share it."""

    def __init__(self, dfa: ByteDfa) -> None:
        self._dfa = dfa
        self.start = dfa.start

    def accepts(self, state: int) -> bool:
        return bool(self._dfa.final[state])

    def walk(self, state: int, text: bytes) -> int:
        return self._dfa.walk(state, text)

    def index(self, state: int) -> int:
        return state

    def step_all(self, numbers: Any, text: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        after: npt.NDArray[np.int32] = self._dfa.table[numbers, self._dfa.classes[text]]
        return after

    def forced_step(self, state: int) -> tuple[int, int] | None:
        return self._forced_steps[state]

    def refresh(self) -> None:
        """Do nothing: all of it is kept."""

    @cached_property
    def _forced_steps(self) -> list[tuple[int, int] | None]:
        runs = forced_runs(self._dfa)
        steps = zip(runs.first.tolist(), runs.after.tolist(), strict=True)
        return [None if byte == FREE else (byte, after) for byte, after in steps]


class PositionSteps(ByteAutomaton):
    """The steps of an automaton whose states are sets of positions. Not safe for several threads at once."""

    def __init__(self, positions: Positions) -> None:
        super().__init__(positions)
        self.start: State

    def forced_step(self, state: State) -> tuple[int, State] | None:
        if self.accepts(state):
            return None
        after = self.step_all(np.full(256, self.index(state), np.int32), _EVERY_BYTE)
        alive = np.flatnonzero(after != DEAD)
        if len(alive) != 1:
            return None
        byte = int(alive[0])
        return byte, self.walk(state, bytes([byte]))

    def refresh(self) -> None:
        """Forget all rows once there are many."""
        if len(self) > MAX_KEPT_STATES:
            self.forget()


def reached_below(steps: ByteSteps, state: Hashable, trie: VocabularyTrie, node: int) -> Iterator[Ints]:
    """Yield the nodes below one, a level at a time, whose further bytes keep a text viable that is at a state."""
    nodes = np.array([node])
    numbers = np.array([steps.index(state)], dtype=np.int32)
    while len(nodes):
        children = trie.below(nodes)
        numbers = steps.step_all(np.repeat(numbers, trie.children[nodes]), trie.last_byte[children])
        alive = np.flatnonzero(numbers != DEAD)
        nodes, numbers = children[alive], numbers[alive]
        yield nodes
