"""Ranges of code points as ranges of the bytes that UTF-8 writes for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from sglc.automata.regular import Range

# Code points that UTF-8 writes with equally many bytes; surrogates are no characters and are left out.
_BANDS = ((0x0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF))


def byte_sequences(low: int, high: int) -> Iterator[tuple[Range, ...]]:
    """Yield disjoint sequences of 1–4 byte ranges that together are the encodings of low..high.

    U+00E0..U+07FF gives (C3, A0–BF) and (C4–DF, 80–BF).
    """
    for first, last in _BANDS:
        if max(low, first) <= min(high, last):
            yield from _split(max(low, first), min(high, last))


@lru_cache(maxsize=1024)
def byte_graph(ranges: tuple[Range, ...]) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """Return the smallest automaton of the encodings of some disjoint ranges of code points.

    Of each node its edges: first byte, last byte, the node that they lead to. Node 0 is behind the character, the last
    one before it.
    """
    nodes: list[tuple[tuple[int, int, int], ...]] = [()]
    numbers: dict[tuple[tuple[int, int, int], ...], int] = {}

    def node(sequences: Iterable[tuple[Range, ...]]) -> int:
        rests: dict[Range, list[tuple[Range, ...]]] = {}  # first ranges are equal or disjoint
        for sequence in sequences:
            rests.setdefault(sequence[0], []).append(sequence[1:])
        edges = tuple((low, high, node(rest) if rest[0] else 0) for (low, high), rest in rests.items())
        if edges not in numbers:
            numbers[edges] = len(nodes)
            nodes.append(edges)
        return numbers[edges]

    node(sequence for low, high in ranges for sequence in byte_sequences(low, high))
    return tuple(nodes)


def _split(low: int, high: int) -> Iterator[tuple[Range, ...]]:
    """Yield the sequences of one band: cut until all bytes after the first that differs run over all of 80–BF."""
    for bits in (6, 12, 18):
        tail = (1 << bits) - 1
        if low | tail >= high:  # equal above these bits: shorter cuts were enough
            break
        if low & tail:
            yield from _split(low, low | tail)
            yield from _split((low | tail) + 1, high)
            return
        if high & tail != tail:
            yield from _split(low, (high & ~tail) - 1)
            yield from _split(high & ~tail, high)
            return
    yield tuple(zip(chr(low).encode(), chr(high).encode(), strict=True))
