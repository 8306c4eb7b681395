"""Questions that tests ask an automaton: is this text a member, how far is it viable, give me some member."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sglc.automata.byte_automaton import ByteAutomaton, State
from sglc.automata.languages import regex_language

BYTES = [bytes([byte]) for byte in range(256)]


def regex(pattern: str) -> ByteAutomaton:
    return ByteAutomaton(regex_language(pattern).positions)


def accepts(automaton: ByteAutomaton, text: str) -> bool:
    return automaton.accepts(automaton.walk(automaton.start, text.encode()))


def viable_length(automaton: ByteAutomaton, text: str) -> int:
    """Return the length in characters of the longest prefix that some member begins with."""
    state = automaton.start
    for length, char in enumerate(text):
        state = automaton.walk(state, char.encode())
        if not state:
            return length
    return len(text)


def completion(automaton: ByteAutomaton, state: State) -> bytes:
    """Return the shortest bytes that lead from a live state to a member."""
    seen, pending = {state}, [(state, b"")]
    for place, text in pending:
        if automaton.accepts(place):
            return text
        for byte, after in _steps(automaton, place):
            if after not in seen:
                seen.add(after)
                pending.append((after, text + byte))
    raise AssertionError("a live state from which no member can be completed")


def random_member(automaton: ByteAutomaton, random: Random, length: int) -> str:
    """Return a member: a random walk of about `length` bytes, then the shortest way to an end."""
    state, text = automaton.start, b""
    while len(text) < length and not (automaton.accepts(state) and random.random() < 0.1):
        steps = list(_steps(automaton, state))
        if not steps:
            break
        # every way on is as likely as every other, however many bytes lead there
        targets = sorted({after for _, after in steps}, key=sorted)
        state = random.choice(targets)
        text += random.choice([byte for byte, after in steps if after == state])
    return (text + completion(automaton, state)).decode()


def _steps(automaton: ByteAutomaton, state: State) -> Iterator[tuple[bytes, State]]:
    for byte in BYTES:
        after = automaton.walk(state, byte)
        if after:
            yield byte, after
