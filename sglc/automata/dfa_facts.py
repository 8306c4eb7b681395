"""What the states of a byte automaton know: how far the end is, and which bytes are the only ones that can follow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sglc.automata.byte_dfa import DEAD, ByteDfa

UNREACHABLE = np.iinfo(np.int32).max
"""The distance from DEAD to an end."""

FREE = 256
"""Instead of a forced byte: several bytes may follow, or none has to."""


def distance_to_end(dfa: ByteDfa) -> npt.NDArray[np.int32]:
    """Return of each state the bytes of the shortest way to a final one; UNREACHABLE from DEAD."""
    before: list[list[int]] = [[] for _ in range(len(dfa))]
    for state, row in enumerate(dfa.table.tolist()):
        for target in set(row) - {DEAD}:
            before[target].append(state)
    distance = np.full(len(dfa), UNREACHABLE, np.int32)
    reached = np.flatnonzero(dfa.final).tolist()
    distance[reached] = 0
    known = distance.tolist()
    for state in reached:
        for source in before[state]:
            if known[source] == UNREACHABLE:
                known[source] = known[state] + 1
                reached.append(source)
    return np.array(known, np.int32)


def forced_bytes(dfa: ByteDfa) -> npt.NDArray[np.int16]:
    """Return of each state the one byte that has to follow, or FREE where the text may end or go on in several ways."""
    alone = np.bincount(dfa.classes, minlength=dfa.table.shape[1]) == 1  # classes of one byte
    byte_of = np.zeros(dfa.table.shape[1], np.int16)
    byte_of[dfa.classes] = np.arange(256)
    ways = dfa.table != DEAD
    last = ways.shape[1] - 1 - ways[:, ::-1].argmax(axis=1)
    forced = (ways.sum(axis=1) == 1) & alone[last] & ~dfa.final
    return np.where(forced, byte_of[last], FREE).astype(np.int16)


def shortest_member(dfa: ByteDfa) -> bytes | None:
    """Return the shortest member, of several the one with the least bytes; None for the empty language."""
    if dfa.start == DEAD:
        return None
    distance, state, text = distance_to_end(dfa), dfa.start, bytearray()
    while not dfa.final[state]:
        after = dfa.table[state, dfa.classes]
        text.append(int(np.argmax(distance[after] == distance[state] - 1)))
        state = int(after[text[-1]])
    return bytes(text)


def length_bounds(dfa: ByteDfa) -> tuple[int, int | None] | None:
    """Return the bytes of the shortest and of the longest member (None: there is no longest), None if there is none."""
    if dfa.start == DEAD:
        return None
    return int(distance_to_end(dfa)[dfa.start]), _longest(dfa)


def says_anything(dfa: ByteDfa) -> bool:
    """Whether some state keeps itself on every lower-case letter and on spaces: prose of any length fits in there."""
    letters = np.frombuffer(b" abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
    states = np.arange(1, len(dfa))
    after = dfa.table[1:, dfa.classes[letters]]
    return bool((after == states[:, None]).all(axis=1).any())


def _longest(dfa: ByteDfa) -> int | None:
    """Return the length of the longest way from the start: states are peeled off once nothing leads to them."""
    ways = [set(row) - {DEAD} for row in dfa.table.tolist()]
    leading = [0] * len(dfa)
    for row in ways:
        for target in row:
            leading[target] += 1
    length = [0] * len(dfa)
    peeled = [] if leading[dfa.start] else [dfa.start]
    for state in peeled:
        for target in ways[state]:
            length[target] = max(length[target], length[state] + 1)
            leading[target] -= 1
            if not leading[target]:
                peeled.append(target)
    return max(length) if len(peeled) == len(dfa) - 1 else None
