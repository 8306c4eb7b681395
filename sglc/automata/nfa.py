"""A `regular` tree as a nondeterministic automaton over bytes (Thompson's construction, built from its end)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sglc.automata.budget import MAX_STATES
from sglc.automata.byte_dfa import ByteDfa
from sglc.automata.regular import (
    Anchor,
    Behind,
    Both,
    CharSet,
    Concat,
    Either,
    Except,
    Look,
    Regular,
    Repeat,
    least_states,
)
from sglc.automata.utf8 import byte_graph
from sglc.errors import Unsupported

ByteEdge = tuple[int, int, int]  # first byte, last byte, target state


@dataclass(frozen=True, slots=True)
class Nfa:
    """States are numbers. A state reads a byte (`bytes`) or moves without one (`jumps`, if its guard holds)."""

    start: int
    accept: int
    bytes: list[list[ByteEdge]]
    jumps: list[list[int]]
    guards: dict[int, Anchor | Look]  # states that may only be left where the assertion holds

    @property
    def minds_lines(self) -> bool:
        """Whether it makes a difference that a newline went before."""
        return any(isinstance(guard, Anchor) and guard.behind is Behind.LINE_START for guard in self.guards.values())


def build_nfa(tree: Regular, name: str, combine: Callable[[Both | Except], ByteDfa]) -> Nfa:
    """Return the automaton of a language, which errors call `name`. Raises Unsupported above MAX_STATES.

    `combine` gives the automaton of an intersection or a difference.
    """
    if least_states(tree) > MAX_STATES:
        raise _too_large(name)
    builder = _Builder(name, combine)
    accept = builder.new_state()
    try:
        start = builder.build(tree, accept)
    except RecursionError:
        raise Unsupported(f"{name}: found parts nested too deep for Python's stack; wanted fewer levels") from None
    return Nfa(start, accept, builder.bytes, builder.jumps, builder.guards)


def _too_large(name: str) -> Unsupported:
    return Unsupported(
        f"{name}: found a language of more than {MAX_STATES:,} automaton states; "
        "wanted smaller repeat counts or fewer alternatives"
    )


class _Builder:
    """Builds each tree in front of the state that follows it, and returns the state to enter by.

    A state's edges never change once its entry is returned, so one tree in front of one state is built once only:
    shared parts of a schema stay linear in size.
    """

    def __init__(self, name: str, combine: Callable[[Both | Except], ByteDfa]) -> None:
        self._name = name
        self._combine = combine
        self._combined: dict[int, ByteDfa] = {}
        self._built: dict[tuple[int, int], int] = {}
        self.bytes: list[list[ByteEdge]] = []
        self.jumps: list[list[int]] = []
        self.guards: dict[int, Anchor | Look] = {}

    def new_state(self) -> int:
        if len(self.bytes) == MAX_STATES:
            raise _too_large(self._name)
        self.bytes.append([])
        self.jumps.append([])
        return len(self.bytes) - 1

    def build(self, tree: Regular, after: int) -> int:
        key = (id(tree), after)  # the root keeps every tree alive
        if key not in self._built:
            self._built[key] = self._build(tree, after)
        return self._built[key]

    def _build(self, tree: Regular, after: int) -> int:
        match tree:
            case CharSet():
                return self._char_set(tree, after)
            case Concat():
                for part in reversed(tree.parts):
                    after = self.build(part, after)
                return after
            case Either():
                state = self.new_state()
                self.jumps[state] = [self.build(option, after) for option in tree.options]
                return state
            case Repeat():
                return self._repeat(tree, after)
            case Both() | Except():
                if id(tree) not in self._combined:
                    self._combined[id(tree)] = self._combine(tree)
                return self._automaton(self._combined[id(tree)], after)
            case Anchor() | Look():
                state = self.new_state()
                self.guards[state] = tree
                self.jumps[state] = [after]
                return state

    def _repeat(self, tree: Repeat, after: int) -> int:
        """Write out x{2,4} as x x (x (x)?)? and x{2,} as x x x*: whoever stops early jumps straight to the end."""
        entry = after
        if tree.most is None:
            entry = self.new_state()
            self.jumps[entry] = [self.build(tree.body, entry), after]
        for _ in range((tree.most or tree.least) - tree.least):
            before = entry
            entry = self.new_state()
            self.jumps[entry] = [self.build(tree.body, before), after]
        for _ in range(tree.least):
            before, entry = entry, self.build(tree.body, entry)
            if entry == before:  # an empty body: more rounds change nothing
                break
        return entry

    def _automaton(self, dfa: ByteDfa, after: int) -> int:
        """Put in a whole automaton, whose final states are left without a byte."""
        states = [self.new_state() for _ in range(len(dfa))]
        for number, state in enumerate(states):
            self.bytes[state] = [(low, high, states[target]) for low, high, target in dfa.edges(number)]
            if dfa.final[number]:
                self.jumps[state] = [after]
        return states[dfa.start]

    def _char_set(self, tree: CharSet, after: int) -> int:
        states = [after]
        for edges in byte_graph(tree.ranges)[1:]:
            state = self.new_state()
            self.bytes[state] = [(low, high, states[node]) for low, high, node in edges]
            states.append(state)
        return states[-1]
