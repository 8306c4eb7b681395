"""UTF-8 byte ranges: exactly the encodings of a range of code points, each once."""

from __future__ import annotations

from math import prod

from hypothesis import given
from hypothesis import strategies as st

from sglc.automata.utf8 import byte_graph, byte_sequences

EDGES = [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xD800, 0xDFFF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x10FFFF]
near_edges = st.builds(
    lambda edge, step: min(max(edge + step, 0), 0x10FFFF), st.sampled_from(EDGES), st.integers(-70, 70)
)
code_points = st.one_of(near_edges, st.integers(0, 0x10FFFF))


@given(code_points, code_points, st.lists(code_points, max_size=20))
def test_sequences_are_the_encodings_of_the_range(one: int, other: int, probes: list[int]) -> None:
    low, high = sorted((one, other))
    sequences = list(byte_sequences(low, high))
    surrogates = max(0, min(high, 0xDFFF) - max(low, 0xD800) + 1)
    assert (
        sum(prod(last - first + 1 for first, last in sequence) for sequence in sequences) == high - low + 1 - surrogates
    )
    for code in [*probes, low, high, low - 1, high + 1, (low + high) // 2]:
        if 0 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            text = chr(code).encode()
            matches = [
                sequence
                for sequence in sequences
                if len(sequence) == len(text)
                and all(first <= byte <= last for byte, (first, last) in zip(text, sequence, strict=True))
            ]
            assert len(matches) == (low <= code <= high)


@given(st.lists(code_points, max_size=12), st.lists(code_points, max_size=20))
def test_the_graph_of_some_ranges_reads_their_encodings(cuts: list[int], probes: list[int]) -> None:
    edges = sorted(set(cuts))
    ranges = tuple(zip(edges[::2], edges[1::2], strict=False))
    graph = byte_graph(ranges)
    for code in [*probes, *cuts]:
        if not 0xD800 <= code <= 0xDFFF:
            node = len(graph) - 1
            for byte in chr(code).encode():
                ways = [target for low, high, target in graph[node] if low <= byte <= high]
                assert len(ways) <= 1  # deterministic
                if not ways:
                    break
                node = ways[0]
            assert (node == 0) == any(low <= code <= high for low, high in ranges)
