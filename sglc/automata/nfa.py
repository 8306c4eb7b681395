"""A `regular` tree as a nondeterministic automaton over bytes (Thompson's construction, built from its end)."""

from __future__ import annotations

from dataclasses import dataclass

from sglc.automata.regular import Anchor, Behind, CharSet, Concat, Either, Range, Regular, Repeat
from sglc.automata.utf8 import byte_sequences
from sglc.errors import Unsupported

MAX_STATES = 50_000
"""States that one language may need once its repeats are written out."""

ByteEdge = tuple[int, int, int]  # first byte, last byte, target state


@dataclass(frozen=True, slots=True)
class Nfa:
    """States are numbers. A state reads a byte (`bytes`) or moves without one (`jumps`, if its guard holds)."""

    start: int
    accept: int
    bytes: list[list[ByteEdge]]
    jumps: list[list[int]]
    guards: dict[int, Anchor]  # states that may only be left where the anchor holds

    @property
    def minds_lines(self) -> bool:
        """Whether it makes a difference that a newline went before."""
        return any(guard.behind is Behind.LINE_START for guard in self.guards.values())


def build_nfa(tree: Regular, name: str) -> Nfa:
    """Return the automaton of a language, which errors call `name`. Raises Unsupported above MAX_STATES."""
    builder = _Builder(name)
    accept = builder.new_state()
    try:
        start = builder.build(tree, accept)
    except RecursionError:
        raise Unsupported(f"{name}: found parts nested too deep for Python's stack; wanted fewer levels") from None
    return Nfa(start, accept, builder.bytes, builder.jumps, builder.guards)


class _Builder:
    """Builds each tree in front of the state that follows it, and returns the state to enter by.

    A state's edges never change once its entry is returned, so one tree in front of one state is built once only:
    shared parts of a schema stay linear in size.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._built: dict[tuple[int, int], int] = {}
        self.bytes: list[list[ByteEdge]] = []
        self.jumps: list[list[int]] = []
        self.guards: dict[int, Anchor] = {}

    def new_state(self) -> int:
        if len(self.bytes) == MAX_STATES:
            raise Unsupported(
                f"{self._name}: found a language of more than {MAX_STATES:,} automaton states; "
                "wanted smaller repeat counts or fewer alternatives"
            )
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
            case Anchor():
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

    def _char_set(self, tree: CharSet, after: int) -> int:
        """Build the byte sequences of a set; those with equal endings share the states of the endings."""
        entry = self.new_state()
        endings: dict[tuple[Range, ...], int] = {(): after}
        for low, high in tree.ranges:
            for sequence in byte_sequences(low, high):
                self.bytes[entry].append((*sequence[0], self._ending(sequence[1:], endings)))
        return entry

    def _ending(self, sequence: tuple[Range, ...], endings: dict[tuple[Range, ...], int]) -> int:
        if sequence not in endings:
            state = self.new_state()
            self.bytes[state].append((*sequence[0], self._ending(sequence[1:], endings)))
            endings[sequence] = state
        return endings[sequence]
