"""Claims and an outlook decide what a radix tree evicts, as they do in a dict of all prefixes."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sglc.backend.claim import Claim
from sglc.backend.kv_pool import KvPool
from sglc.backend.outlook import Outlook
from sglc.backend.radix import Node, RadixTree
from sglc.errors import EngineError
from tests.backend.test_radix import contents, ints

Prefix = tuple[int, ...]
tokens_of = st.lists(st.integers(0, 2), min_size=1, max_size=10).map(tuple)
which = st.integers(0, 99)


class ClaimsMachine(RuleBasedStateMachine):
    """Sequences come and go, claim what they leave, and are expected; all prefixes and their last uses are noted."""

    @initialize(capacity=st.integers(5, 40))
    def start(self, capacity: int) -> None:
        self.tree = RadixTree(KvPool(capacity))
        self.outlook = Outlook()
        self.tree.expect(self.outlook)
        self.last_use: dict[Prefix, int] = {}
        self.locked: list[tuple[Node, Prefix]] = []
        self.claims: dict[Claim, Prefix] = {}
        self.uses: dict[tuple[int, ...], Prefix] = {}
        self.expected = 0
        self.now = 0

    def touch(self, path: Prefix) -> None:
        self.now += 1
        self.last_use.update((path[:length], self.now) for length in range(1, len(path) + 1))

    def holds(self, prefix: Prefix, paths: list[Prefix]) -> bool:
        return any(path[: len(prefix)] == prefix for path in paths)

    def priority(self, prefix: Prefix) -> tuple[int, ...]:
        """Return when a leaf goes: the least goes first."""
        orders = [claim.order for claim, path in self.claims.items() if path[: len(prefix)] == prefix]
        if orders:
            return (2, *(-number for number in min(orders)))
        uses = [order for order, tokens in self.uses.items() if tokens[: len(prefix)] == prefix]
        if uses:
            return (1, *(-number for number in min(uses)))
        return (0, self.last_use[prefix])

    @rule(tokens=tokens_of)
    def run(self, tokens: Prefix) -> None:
        """A sequence begins: what is not there of its tokens is computed, as far as there is room."""
        node = self.tree.match(np.array(tokens, np.int64))
        self.touch(tokens[: node.depth])
        self.tree.lock(node)
        self.locked.append((node, tokens[: node.depth]))
        missing = len(tokens) - node.depth
        self.evict(missing - self.tree.pool.free, None)
        new = tokens[node.depth :][: self.tree.pool.free]
        end, present = self.tree.extend(node, np.array(new, np.int64), self.tree.pool.allocate(len(new)))
        assert present == 0
        path = tokens[: end.depth]
        self.touch(path)
        self.tree.lock(end)
        self.tree.unlock(node)
        self.touch(self.locked.pop()[1])
        self.locked.append((end, path))

    @precondition(lambda self: self.locked)
    @rule(number=which, claimed=st.booleans(), order=st.integers(0, 9))
    def finish(self, number: int, claimed: bool, order: int) -> None:
        node, path = self.locked.pop(number % len(self.locked))
        if claimed:
            claim = Claim()
            claim.order = (order, len(self.claims), self.now)
            self.tree.claim(node, claim)
            self.claims[claim] = path
        self.tree.unlock(node)
        self.touch(path)

    @precondition(lambda self: self.claims)
    @rule(number=which)
    def drop(self, number: int) -> None:
        claim = [*self.claims][number % len(self.claims)]
        del self.claims[claim]
        self.tree.drop_claim(claim)
        self.tree.drop_claim(claim)

    @rule(tokens=tokens_of)
    def serve(self, tokens: Prefix) -> None:
        self.run(tokens)
        self.finish(len(self.locked) - 1, claimed=False, order=0)

    @precondition(lambda self: self.last_use)
    @rule(number=which, more=st.just(()) | tokens_of, order=st.integers(0, 9))
    def expect(self, number: int, more: Prefix, order: int) -> None:
        """Something that is there is used later, or goes on from there."""
        tokens = sorted(self.last_use)[number % len(self.last_use)] + more
        self.expected += 1
        self.uses[order, self.expected] = tokens
        self.outlook.add((order, self.expected), np.array(tokens, np.int64))

    @precondition(lambda self: self.uses)
    @rule(number=which)
    def expect_no_more(self, number: int) -> None:
        use = [*self.uses][number % len(self.uses)]
        self.outlook.remove(use)
        self.tree.reconsider(np.array(self.uses.pop(use), np.int64))

    @rule(count=st.integers(0, 12), spared=st.none() | st.integers(0, 9).map(lambda order: (order,)))
    def evict(self, count: int, spared: tuple[int, ...] | None) -> None:
        freed = self.tree.evict(count, spared)
        for number in range(count + 1):
            inner = {prefix[:-1] for prefix in self.last_use}
            paths = [path for _, path in self.locked]
            leaves = [p for p in self.last_use if p not in inner and not self.holds(p, paths)]
            leaf = min(leaves, key=self.priority, default=None)
            early = leaf is not None and spared is not None and self.priority(leaf) > (2, *(-s for s in spared))
            if leaf is None or early or number >= count:
                assert freed == number or count < 0
                return
            del self.last_use[leaf]
            self.claims = {c: p if p in self.last_use else p[:-1] for c, p in self.claims.items()}

    @rule()
    def reset(self) -> None:
        self.tree.reset()
        paths = [path for _, path in self.locked]
        self.last_use = {prefix: use for prefix, use in self.last_use.items() if self.holds(prefix, paths)}
        for claim, path in self.claims.items():
            while path and path not in self.last_use:
                path = path[:-1]
            self.claims[claim] = path

    @invariant()
    def agree(self) -> None:
        self.tree.check()
        found: dict[Prefix, int] = {}
        open_nodes: list[tuple[Node, Prefix]] = [(self.tree.root, ())]
        while open_nodes:
            node, path = open_nodes.pop()
            for token in node.tokens.tolist():
                path = (*path, token)
                found[path] = node.last_use
            open_nodes.extend((child, path) for child in node.children.values())
        assert found == self.last_use
        assert {claim: claim.node.depth for claim in self.claims if claim.node} == {
            claim: len(path) for claim, path in self.claims.items()
        }
        unlocked = {p for p in found if not self.holds(p, [path for _, path in self.locked])}
        assert self.tree.claimed == sum(self.holds(prefix, [*self.claims.values()]) for prefix in unlocked)


def test_the_tree_evicts_what_is_missed_least() -> None:
    examples = 500 if os.environ.get("SGLC_TEST_FULL") == "1" else 25
    limits = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=[*HealthCheck]
    )
    run_state_machine_as_test(ClaimsMachine, settings=limits)


def claimed(tree: RadixTree, tokens: str, order: int) -> Claim:
    """Claim a path that is in the tree."""
    claim = Claim()
    claim.order = (order,)
    tree.claim(tree.match(ints(tokens)), claim)
    return claim


def tree_of(*texts: str) -> RadixTree:
    tree = RadixTree(KvPool(100))
    for text in texts:
        tokens = ints(text)
        node = tree.match(tokens)
        tree.extend(node, tokens[node.depth :], tree.pool.allocate(len(tokens) - node.depth))
    return tree


def test_what_is_claimed_goes_last_the_latest_first() -> None:
    tree = tree_of("xa", "xb", "xc")
    claimed(tree, "xa", order=1)
    claimed(tree, "xb", order=2)
    order = []
    while tree.evictable:
        tree.evict(1)
        tree.check()
        order.append("|".join(sorted(contents(tree))))
    assert order == ["xa|xb", "xa", "x", ""]


def test_a_claim_whose_node_goes_is_one_of_the_node_above() -> None:
    tree = tree_of("xyab", "xyc")
    claim = claimed(tree, "xyab", order=1)
    tree.evict(3)
    tree.check()
    assert claim.node is not None and claim.node.depth == 2
    tree.evict(2)
    assert claim.node is tree.root
    tree.drop_claim(claim)
    tree.check()
    assert claim.node is None


def test_claims_of_those_before_an_order_are_spared() -> None:
    tree = tree_of("a", "b")
    claimed(tree, "a", order=1)
    claimed(tree, "b", order=3)
    assert tree.evict(5, spared=(2,)) == 1
    assert contents(tree) == {"a"}
    assert tree.evict(5) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda tree, claim: setattr(tree, "claimed", 9), "claimed tokens"),
        (lambda tree, claim: claim.node.holders.clear(), "claims of a node"),
        (lambda tree, claim: setattr(claim, "node", tree.root), "claims that know where they end"),
    ],
)
def test_check_finds(fault: Callable[[RadixTree, Claim], object], message: str) -> None:
    tree = tree_of("abc")
    fault(tree, claimed(tree, "ab", order=1))
    with pytest.raises(EngineError, match=message):
        tree.check()


def test_what_is_not_expected_any_more_goes_before_what_is() -> None:
    tree, outlook = tree_of("a", "b", "c", "d"), Outlook()
    tree.expect(outlook)
    for order, token in enumerate("abcd"):
        outlook.add((order,), ints(token))
    assert tree.evict(1) == 1
    assert contents(tree) == {"a", "b", "c"}
    outlook.remove((0,))
    tree.reconsider(ints("a"))
    assert tree.evict(1) == 1
    assert contents(tree) == {"b", "c"}
