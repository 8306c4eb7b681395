"""The radix tree matches, splits, locks, evicts exactly what is asked for, and finds its own faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from sglc.backend.kv_pool import KvPool
from sglc.backend.radix import Node, RadixTree
from sglc.backend.step import Ints
from sglc.errors import EngineError


def ints(tokens: Sequence[int] | str) -> Ints:
    """Return tokens; those of a text are its characters."""
    return np.array([ord(c) for c in tokens] if isinstance(tokens, str) else tokens, np.int64)


def tree_of(*texts: str, capacity: int = 100) -> RadixTree:
    tree = RadixTree(KvPool(capacity))
    for text in texts:
        insert(tree, text)
    tree.check()
    return tree


def insert(tree: RadixTree, text: str) -> Node:
    slots = tree.pool.allocate(len(text))
    node, present = tree.extend(tree.root, ints(text), slots)
    tree.pool.release(slots[:present])
    return node


def contents(tree: RadixTree) -> set[str]:
    """Return the text of the path to each leaf."""
    found, open_nodes = set(), [(tree.root, "")]
    while open_nodes:
        node, text = open_nodes.pop()
        text += "".join(map(chr, node.tokens.tolist()))
        if not node.children:
            found.add(text)
        open_nodes.extend((child, text) for child in node.children.values())
    return found


def test_an_empty_tree_matches_nothing() -> None:
    tree = tree_of()
    assert tree.match(ints("abc")) is tree.root
    assert tree.peek(ints("abc")) == tree.root.depth == 0
    assert len(tree.slots_of(tree.root)) == 0
    assert tree.evict(5) == 0


def test_what_was_inserted_is_matched_in_full_with_its_slots() -> None:
    tree = RadixTree(KvPool(10))
    slots = tree.pool.allocate(3)
    node, present = tree.extend(tree.root, ints("abc"), slots)
    assert (node.depth, present) == (3, 0)
    assert tree.match(ints("abcde")) is node
    assert tree.slots_of(node).tolist() == slots.tolist()


def test_a_match_that_ends_inside_a_node_splits_it() -> None:
    tree = tree_of("abcdef")
    lower = tree.match(ints("abcdef"))
    slots = tree.slots_of(lower)
    upper = tree.match(ints("abcx"))
    assert (upper.depth, lower.depth) == (3, 6)
    assert lower.parent is upper
    assert tree.slots_of(upper).tolist() == slots[:3].tolist()
    assert tree.slots_of(lower).tolist() == slots.tolist()
    assert tree.match(ints("abc")) is upper
    tree.check()


def test_a_peek_changes_nothing() -> None:
    tree = tree_of("abcdef", "abx")
    before = tree.pretty()
    assert [tree.peek(ints(text)) for text in ("abcd", "abx", "abxy", "aby", "b", "")] == [4, 3, 3, 2, 0, 0]
    assert tree.pretty() == before


def test_extend_tells_what_was_there() -> None:
    tree = tree_of("abcdef")
    slots = tree.pool.allocate(5)
    node, present = tree.extend(tree.match(ints("ab")), ints("cdxyz"), slots)
    assert (node.depth, present) == (7, 2)
    assert tree.slots_of(node)[-3:].tolist() == slots[2:].tolist()
    tree.check(held=2)
    tree.pool.release(slots[:present])
    tree.check()
    assert contents(tree) == {"abcdef", "abcdxyz"}


def test_extend_by_what_is_there_or_by_nothing_adds_nothing() -> None:
    tree = tree_of("abcdef")
    slots = tree.pool.allocate(2)
    node, present = tree.extend(tree.match(ints("ab")), ints("cd"), slots)
    assert (node.depth, present, tree.size) == (4, 2, 6)
    assert tree.extend(node, ints(""), ints("")) == (node, 0)
    tree.check(held=2)


def test_the_tree_keeps_no_reference_to_the_callers_arrays() -> None:
    tree = RadixTree(KvPool(10))
    tokens, slots = ints("abc"), tree.pool.allocate(3)
    tree.extend(tree.root, tokens, slots)
    tokens[:], slots[:] = 0, 0
    assert tree.peek(ints("abc")) == 3
    tree.check()


def test_locks_hold_the_path_and_survive_a_split() -> None:
    tree = tree_of("abcdef")
    node = tree.match(ints("abcdef"))
    tree.lock(node)
    upper = tree.match(ints("abc"))
    assert (upper.locks, node.locks, tree.protected, tree.evictable) == (1, 1, 6, 0)
    insert(tree, "abcxyz")
    assert tree.evict(100) == 3
    assert contents(tree) == {"abcdef"}
    tree.unlock(node)
    assert (upper.locks, tree.protected) == (0, 0)
    tree.check()
    assert tree.evict(100) == 6


def test_locks_are_counted() -> None:
    tree = tree_of("abc")
    node = tree.match(ints("abc"))
    tree.lock(node)
    tree.lock(node)
    tree.unlock(node)
    assert tree.evict(1) == 0
    tree.unlock(node)
    with pytest.raises(EngineError, match="without locks"):
        tree.unlock(node)
    tree.lock(tree.root)
    tree.unlock(tree.root)
    tree.check()


@pytest.mark.parametrize("forget", [RadixTree.reset, lambda tree: tree.evict(3)])
def test_a_node_that_was_evicted_is_refused(forget: Callable[[RadixTree], object]) -> None:
    tree = tree_of("abc")
    node = tree.match(ints("abc"))
    forget(tree)
    for use in (lambda: tree.lock(node), lambda: tree.unlock(node), lambda: tree.extend(node, ints("d"), ints([1]))):
        with pytest.raises(EngineError, match="found a node that was evicted"):
            use()


def test_the_least_recently_used_leaf_goes_first() -> None:
    tree = tree_of("xa", "xb", "xc")
    tree.match(ints("xa"))
    order = []
    while tree.size:
        tree.evict(1)
        tree.check()
        order.append("|".join(sorted(contents(tree))))
    assert order == ["xa|xc", "xa", "x", ""]


def test_a_leaf_is_trimmed_from_its_end_and_keeps_its_identity() -> None:
    tree = tree_of("abcdef")
    node = tree.match(ints("abcdef"))
    slots = tree.slots_of(node)
    assert tree.evict(2) == 2
    tree.check()
    assert tree.match(ints("abcdef")) is node
    assert node.depth == 4
    assert tree.slots_of(node).tolist() == slots[:4].tolist()


@pytest.mark.parametrize("count", range(15))
def test_exactly_the_asked_number_is_freed(count: int) -> None:
    tree = tree_of("abcdef", "abxyz", "mno")
    assert tree.size == 12
    free = tree.pool.free
    assert tree.evict(count) == min(count, 12)
    assert tree.pool.free == free + min(count, 12)
    tree.check()


def test_an_unlock_makes_recent() -> None:
    tree = tree_of("a", "b")
    node = tree.match(ints("a"))
    tree.lock(node)
    tree.match(ints("b"))
    tree.unlock(node)
    tree.evict(1)
    assert contents(tree) == {"a"}


def test_reset_forgets_what_is_not_locked() -> None:
    tree = tree_of("abcdef", "abxyz", "mno")
    node = tree.match(ints("abcd"))
    tree.lock(node)
    tree.reset()
    tree.check()
    assert contents(tree) == {"abcd"}
    tree.unlock(node)
    tree.check()
    assert tree.evict(1) == 1
    tree.reset()
    tree.check()
    assert (tree.size, tree.pool.free) == (0, 100)


def test_pretty_indents_where_paths_part() -> None:
    tree = tree_of("abc", "abd")
    tree.lock(tree.match(ints("abc")))
    assert tree.pretty() == (
        "4 tokens, 3 locked\n97 98 [2] locks=1 used=3\n  99 [1] locks=1 used=3\n  100 [1] locks=0 used=2"
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda tree, node: setattr(node, "locks", 1), "locks of a node|evictable tokens"),
        (lambda tree, node: setattr(node, "depth", 7), "the depth of a node"),
        (lambda tree, node: setattr(node, "slots", node.slots[[0, 0, 0]]), "distinct slots"),
        (lambda tree, node: setattr(node, "slots", node.slots[:1]), "slots of a node"),
        (lambda tree, node: setattr(node, "tokens", ints("qrs")), "does not know by its first token"),
        (lambda tree, node: setattr(node, "queued", False), "marked as queued"),
        (lambda tree, node: tree._queue.clear(), "marked as queued"),
        (lambda tree, node: setattr(tree, "size", 3), "tokens in the tree"),
        (lambda tree, node: tree.pool.allocate(1), "slots free, cached or held"),
    ],
)
def test_check_finds(fault: Callable[[RadixTree, Node], object], message: str) -> None:
    tree = tree_of("abcdef", "abcxyz")
    fault(tree, tree.match(ints("abcdef")))
    with pytest.raises(EngineError, match=message):
        tree.check()
