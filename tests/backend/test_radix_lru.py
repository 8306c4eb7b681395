"""The radix tree fills and evicts what a simple simulator does, serving the same requests one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sglc.backend.kv_pool import KvPool
from sglc.backend.radix import Node, RadixTree
from sglc.backend.step import Ints
from tests.lru_simulator import SerialLru, trie_edges


def ints(tokens: list[int]) -> Ints:
    return np.array(tokens, np.int64)


def serve(tree: RadixTree, prompt: list[int], output: list[int], chunk: int) -> int:
    """Serve one request as an engine does that runs it alone; return how many tokens of the prompt it filled."""
    tokens = ints(prompt + output[:-1])
    node = tree.match(tokens[: len(prompt)])
    tree.lock(node)
    matched = node.depth
    for start in range(matched, len(prompt), chunk):
        node = grow(tree, node, tokens[start : min(start + chunk, len(prompt))])
    slots = [allocate(tree, 1) for _ in output[1:]]
    end, present = tree.extend(node, tokens[len(prompt) :], np.concatenate([ints([]), *slots]))
    tree.pool.release(np.concatenate([ints([]), *slots[:present]]))
    tree.lock(end)
    tree.unlock(node)
    tree.unlock(end)
    return len(prompt) - matched


def grow(tree: RadixTree, node: Node, tokens: Ints) -> Node:
    end, present = tree.extend(node, tokens, allocate(tree, len(tokens)))
    assert present == 0
    tree.lock(end)
    tree.unlock(node)
    return end


def allocate(tree: RadixTree, count: int) -> Ints:
    tree.evict(count - tree.pool.free)
    return tree.pool.allocate(count)


def requests(rng: random.Random, count: int) -> list[tuple[list[int], list[int]]]:
    """Return prompts that share prefixes with each other and with what came out, and their outputs."""
    past: list[list[int]] = [[]]
    found = []
    for _ in range(count):
        start = rng.choice(past[-12:])
        kept = start[: rng.randint(0, min(len(start), 20))] + [rng.randint(0, 2) for _ in range(rng.randint(0, 6))]
        prompt = kept or [0]
        output = [rng.randint(0, 2) for _ in range(rng.randint(1, 6))]
        past.append(prompt + output)
        found.append((prompt, output))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_evicts_in_the_order_of_the_simulator(seed: int) -> None:
    rng = random.Random(seed)
    capacity, chunk = rng.choice([32, 40, 60, 120]), rng.choice([2, 5, 100])
    tree, oracle = RadixTree(KvPool(capacity)), SerialLru(capacity)
    workload = requests(rng, 150)
    for prompt, output in workload:
        assert serve(tree, prompt, output, chunk) == oracle.request(prompt, output)
        tree.check()
        assert tree.size == len(oracle)
    for prompt, output in workload:
        assert tree.peek(ints(prompt + output)) == oracle.holds(prompt + output)


def test_with_room_for_all_each_trie_edge_is_computed_once() -> None:
    workload = requests(random.Random(0), 300)
    tree, oracle = RadixTree(KvPool(10_000)), SerialLru(10_000)
    for prompt, output in workload:
        assert serve(tree, prompt, output, 64) == oracle.request(prompt, output)
    edges = trie_edges([prompt + output[:-1] for prompt, output in workload])
    assert tree.size == len(oracle) == edges


def test_the_simulator_on_a_case_done_by_hand() -> None:
    lru = SerialLru(6)
    assert lru.request([1, 2, 3], [4]) == 3
    assert lru.request([1, 2], [5, 6]) == 0
    assert (len(lru), lru.holds([1, 2, 5, 6])) == (4, 3)
    assert lru.request([7, 8, 9], [1]) == 3  # evicts the 3 of 1 2 3, the oldest leaf
    assert (lru.holds([1, 2, 3]), lru.holds([1, 2, 5]), lru.holds([7, 8, 9])) == (2, 3, 3)
    with pytest.raises(ValueError, match="found a request of 7 tokens; wanted at most 6"):
        lru.request([1, 1, 1, 1, 1, 1, 1], [1])


def test_trie_edges_counts_shared_prefixes_once() -> None:
    assert trie_edges([]) == 0
    assert trie_edges([[1, 2, 3], [1, 2, 4], [2], []]) == 5
