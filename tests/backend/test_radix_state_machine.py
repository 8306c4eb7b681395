"""A state machine drives the tree as an engine with several sequences would, against a dict of all prefixes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
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

from sglc.backend.kv_pool import KvPool
from sglc.backend.radix import Node, RadixTree
from sglc.backend.step import Ints

STEPS = 10_000 if os.environ.get("SGLC_TEST_FULL") == "1" else 1_000
STEPS_PER_RUN = 50

Prefix = tuple[int, ...]
tokens_of = st.lists(st.integers(0, 2), max_size=12).map(tuple)
order = st.integers(0, 99)
"""Which of the running sequences to take: this modulo how many there are."""


@dataclass
class Cached:
    """What the model knows of one token in the cache, by the prefix that it ends."""

    slot: int
    last_use: int
    locks: int = 0


@dataclass
class Sequence:
    """A running sequence: it locks `node`, the end of `prefix`, and owns the slots of the tokens after it."""

    node: Node
    prefix: Prefix
    tokens: Prefix
    slots: Ints


class Model:
    """The cache, as naive as can be: every prefix that is in it."""

    def __init__(self) -> None:
        self.cached: dict[Prefix, Cached] = {}
        self.now = 0

    def tick(self) -> int:
        self.now += 1
        return self.now

    def longest(self, tokens: Prefix) -> Prefix:
        length = 0
        while length < len(tokens) and tokens[: length + 1] in self.cached:
            length += 1
        return tokens[:length]

    def touch(self, tokens: Prefix, start: int, now: int) -> None:
        for length in range(start, len(tokens) + 1):
            if length:
                self.cached[tokens[:length]].last_use = now

    def lock(self, tokens: Prefix, change: int) -> None:
        for length in range(1, len(tokens) + 1):
            self.cached[tokens[:length]].locks += change

    def evict(self, count: int) -> int:
        for freed in range(count):
            inner = {prefix[:-1] for prefix in self.cached}
            leaves = [p for p, c in self.cached.items() if not c.locks and p not in inner]
            if not leaves:
                return freed
            del self.cached[min(leaves, key=lambda prefix: self.cached[prefix].last_use)]
        return count


class RadixMachine(RuleBasedStateMachine):
    """Each rule does one thing to the tree and the same to the model; `agree` compares them between all rules."""

    steps = 0

    @initialize(capacity=st.integers(1, 50))
    def start(self, capacity: int) -> None:
        self.tree = RadixTree(KvPool(capacity))
        self.model = Model()
        self.running: list[Sequence] = []
        RadixMachine.steps -= 1  # the check that follows is of no step

    @rule(tokens=tokens_of)
    def match(self, tokens: Prefix) -> None:
        node = self.tree.match(np.array(tokens, np.int64))
        found = self.model.longest(tokens)
        self.model.touch(found, 0, self.model.tick())
        self.matches(node, found)

    @rule(tokens=tokens_of, room=st.integers(0, 6))
    def arrive(self, tokens: Prefix, room: int) -> None:
        """A sequence takes what is cached of its tokens, and slots of its own for up to `room` of the others."""
        self.match(tokens)
        prefix = self.model.longest(tokens)
        node = self.tree.match(np.array(prefix, np.int64))
        self.model.touch(prefix, 0, self.model.tick())
        self.lock(node, prefix)
        own = tokens[len(prefix) :][: min(room, self.tree.pool.free)]
        self.running.append(Sequence(node, prefix, own, self.tree.pool.allocate(len(own))))

    @precondition(lambda self: self.running)
    @rule(which=order, tokens=tokens_of)
    def generate(self, which: int, tokens: Prefix) -> None:
        """A sequence gets more tokens, after as much eviction as that takes."""
        sequence = self.running[which % len(self.running)]
        self.evict(max(0, len(tokens) - self.tree.pool.free))
        tokens = tokens[: self.tree.pool.free]
        sequence.tokens += tokens
        sequence.slots = np.concatenate((sequence.slots, self.tree.pool.allocate(len(tokens))))

    @precondition(lambda self: self.running)
    @rule(which=order, count=st.integers(0, 12))
    def commit(self, which: int, count: int) -> None:
        """A sequence inserts the first of its tokens, and locks the place where they end."""
        sequence = self.running[which % len(self.running)]
        tokens, slots = sequence.tokens[:count], sequence.slots[:count]
        end, present = self.tree.extend(sequence.node, np.array(tokens, np.int64), slots)
        path = sequence.prefix + tokens
        now = self.model.tick()
        assert present == len(self.model.longest(path)) - len(sequence.prefix)
        for i in range(present, len(tokens)):
            self.model.cached[path[: len(sequence.prefix) + i + 1]] = Cached(int(slots[i]), now)
        self.model.touch(path, len(sequence.prefix), now)
        self.matches(end, path)
        self.tree.pool.release(slots[:present])
        self.lock(end, path)
        self.unlock(sequence.node, sequence.prefix)
        sequence.node, sequence.prefix = end, path
        sequence.tokens, sequence.slots = sequence.tokens[count:], sequence.slots[count:]

    @precondition(lambda self: self.running)
    @rule(which=order)
    def finish(self, which: int) -> None:
        sequence = self.running.pop(which % len(self.running))
        self.tree.pool.release(sequence.slots)
        self.unlock(sequence.node, sequence.prefix)

    @rule(count=st.integers(0, 12))
    def evict(self, count: int) -> None:
        evictable, free = self.tree.evictable, self.tree.pool.free
        freed = self.tree.evict(count)
        assert freed == self.model.evict(count) == min(count, evictable)
        assert self.tree.pool.free == free + freed

    @rule(tokens=tokens_of)
    def peek(self, tokens: Prefix) -> None:
        before = self.tree.pretty()
        assert self.tree.peek(np.array(tokens, np.int64)) == len(self.model.longest(tokens))
        assert self.tree.pretty() == before

    @rule()
    def reset(self) -> None:
        self.tree.reset()
        self.model.cached = {prefix: cached for prefix, cached in self.model.cached.items() if cached.locks}

    @invariant()
    def agree(self) -> None:
        RadixMachine.steps += 1
        self.tree.check(held=sum(len(sequence.slots) for sequence in self.running))
        found: dict[Prefix, Cached] = {}
        open_nodes: list[tuple[Node, Prefix]] = [(self.tree.root, ())]
        while open_nodes:
            node, path = open_nodes.pop()
            for token, slot in zip(node.tokens.tolist(), node.slots.tolist(), strict=True):
                path = (*path, token)
                found[path] = Cached(slot, node.last_use, node.locks)
            open_nodes.extend((child, path) for child in node.children.values())
        assert found == self.model.cached
        for sequence in self.running:
            self.matches(sequence.node, sequence.prefix)

    def matches(self, node: Node, path: Prefix) -> None:
        """Assert that `node` is the end of `path`."""
        assert node.depth == len(path)
        slots = [self.model.cached[path[: i + 1]].slot for i in range(len(path))]
        assert self.tree.slots_of(node).tolist() == slots

    def lock(self, node: Node, path: Prefix) -> None:
        self.tree.lock(node)
        self.model.lock(path, 1)

    def unlock(self, node: Node, path: Prefix) -> None:
        self.tree.unlock(node)
        self.model.lock(path, -1)
        self.model.touch(path, 0, self.model.tick())


def test_the_tree_is_a_dict_of_prefixes() -> None:
    """Runs are repeated until there were STEPS steps, as a run may be shorter than it could be."""
    RadixMachine.steps = 0
    limits = settings(
        max_examples=STEPS // STEPS_PER_RUN * 11 // 10,
        stateful_step_count=STEPS_PER_RUN,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    while RadixMachine.steps < STEPS:
        run_state_machine_as_test(RadixMachine, settings=limits)
