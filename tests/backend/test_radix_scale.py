"""The radix tree copes with very deep paths, and its evictions stay quick when it is large."""

from __future__ import annotations

import gc
import time

import numpy as np

from sglc.backend.kv_pool import KvPool
from sglc.backend.radix import Node, RadixTree


def chain(length: int) -> tuple[RadixTree, Node]:
    """Return a tree whose nodes are one path, a token each, and the node at its end."""
    tree = RadixTree(KvPool(length))
    slots, node = tree.pool.allocate(length), tree.root
    for i in range(length):
        node, _ = tree.extend(node, slots[i : i + 1], slots[i : i + 1])
    return tree, node


def test_walks_down_a_chain_of_100_000_nodes() -> None:
    n = 100_000
    tree, end = chain(n)
    path = np.arange(1, n + 1)
    assert end.depth == n
    assert tree.match(path) is end
    assert tree.peek(path) == n
    assert tree.slots_of(end).tolist() == path.tolist()
    tree.check()
    assert tree.pretty().count("\n") == n
    tree.lock(end)
    assert tree.evict(n) == 0
    tree.reset()
    tree.unlock(end)
    tree.check()
    assert tree.evict(n // 2) == n // 2
    assert tree.peek(path) == n // 2
    tree.reset()
    tree.check()
    assert tree.pool.free == n
    del end, tree
    gc.collect()  # freeing a deep structure must not recurse either


def eviction_time(nodes: int) -> float:
    """Return the seconds it takes to evict one of `nodes` leaves, as the mean of 500 evictions."""
    tree = RadixTree(KvPool(nodes))
    slots = tree.pool.allocate(nodes)
    for i in np.random.default_rng(0).permutation(nodes):
        tree.extend(tree.root, slots[i : i + 1], slots[i : i + 1])
    gc.disable()  # a collection costs in proportion to all objects alive, ours or not
    try:
        start = time.perf_counter()
        for _ in range(500):
            tree.evict(1)
        return (time.perf_counter() - start) / 500
    finally:
        gc.enable()


def test_the_time_of_an_eviction_hardly_grows_with_the_tree() -> None:
    small = min(eviction_time(1_000) for _ in range(5))
    large = eviction_time(100_000)
    for _ in range(5):  # a busy machine can only make it look slower than it is
        if large <= 3 * small:
            break
        large = min(large, eviction_time(100_000))
    print(f"an eviction takes {small * 1e6:.1f} µs of 1,000 nodes and {large * 1e6:.1f} µs of 100,000")
    assert large <= 3 * small
