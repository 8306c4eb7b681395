"""The radix tree: which token sequences have their KV in the pool, and in which slots."""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from itertools import count as counter

import numpy as np

from sglc.backend.kv_pool import KvPool
from sglc.backend.step import Ints
from sglc.errors import EngineError


class Node:
    """A run of tokens below its parent, and the KV slot of each.

    Read it freely, and hold it across calls while it is locked: what is locked is never evicted, and a split
    leaves the node at the end of its path. Only `RadixTree` writes to it.
    """

    __slots__ = ("children", "depth", "last_use", "locks", "parent", "queued", "slots", "tokens")

    def __init__(self, parent: Node | None, tokens: Ints, slots: Ints, last_use: int) -> None:
        self.parent = parent
        self.tokens = tokens  # [n], n ≥ 1 except in the root
        self.slots = slots  # [n]
        self.children: dict[int, Node] = {}  # by the first token of each
        self.depth: int = len(tokens) + (parent.depth if parent is not None else 0)  # tokens from the root to its end
        self.last_use = last_use
        self.locks = 0  # at least as many as any child has
        self.queued = False  # in the heap of what can be evicted


class RadixTree:
    """A prefix tree of token runs that owns the KV slots in it.

    Every walk is a loop, so a path may have any number of nodes. Tokens and slots are int64 arrays.
    """

    def __init__(self, pool: KvPool) -> None:
        """Make an empty tree that evicts to `pool`."""
        self.pool = pool
        nothing: Ints = np.empty(0, np.int64)
        self.root = Node(None, nothing, nothing, 0)
        self.size = 0  # tokens in the tree
        self.evictable = 0  # tokens in nodes that nobody locks
        self._clock = 0
        self._heap: list[tuple[int, int, Node]] = []  # (priority when queued, a distinct number, node)
        self._numbers = counter()

    @property
    def protected(self) -> int:
        """Number of tokens in locked nodes."""
        return self.size - self.evictable

    def match(self, tokens: Ints) -> Node:
        """Return the deepest node whose path is a prefix of `tokens`; its depth is the length of the match.

        Splits the node in which the match ends, and marks the path as just used.
        """
        self._clock += 1
        return self._descend(self.root, tokens)

    def peek(self, tokens: Ints) -> int:
        """Return the length that `match` would match, and change nothing."""
        node, matched = self.root, 0
        while matched < len(tokens):
            child = node.children.get(tokens.item(matched))
            if child is None:
                break
            shared = _shared(child.tokens, tokens, matched)
            matched += shared
            if shared < len(child.tokens):
                break
            node = child
        return matched

    def slots_of(self, node: Node) -> Ints:
        """Return the slots of the path from the root to the end of `node`, [node.depth]; not to be written to."""
        if node.parent is self.root:
            return node.slots
        runs = []
        while node.parent is not None:
            runs.append(node.slots)
            node = node.parent
        runs.reverse()
        return np.concatenate(runs) if runs else self.root.slots

    def extend(self, node: Node, tokens: Ints, slots: Ints) -> tuple[Node, int]:
        """Insert `tokens` below `node`; return the node at their end and how many of the first were there already.

        The caller keeps `slots[:present]`, whose KV the tree has elsewhere, and should release them;
        `slots[present:]` belong to the tree from now on. Marks the path from `node` on as just used.
        """
        self._require(node)
        self._clock += 1
        deepest = self._descend(node, tokens)
        present = deepest.depth - node.depth
        if present == len(tokens):
            return deepest, present
        leaf = Node(deepest, tokens[present:].copy(), slots[present:].copy(), self._clock)
        deepest.children[tokens.item(present)] = leaf
        added = len(tokens) - present
        self.size += added
        self.evictable += added
        self._queue(leaf)
        return leaf, present

    def lock(self, node: Node) -> None:
        """Keep the path from the root to `node` until a matching `unlock`."""
        self._require(node)
        while node.parent is not None:
            if not node.locks:
                self.evictable -= len(node.tokens)
            node.locks += 1
            node = node.parent

    def unlock(self, node: Node) -> None:
        """Undo one `lock` of `node`, and mark its path as just used."""
        self._require(node)
        if not node.locks and node.parent is not None:
            raise EngineError(f"found an unlock of a node of depth {node.depth} without locks; wanted a locked node")
        self._clock += 1
        end = node
        while node.parent is not None:
            node.locks -= 1
            node.last_use = self._clock
            if not node.locks:
                self.evictable += len(node.tokens)
            node = node.parent
        self._queue(end)

    def evict(self, count: int) -> int:
        """Release the slots of `count` tokens, or of all that are not locked if they are fewer; return how many.

        Takes the least recently used leaf, from its end, so a leaf that is longer than needed keeps its start.
        """
        freed: list[Ints] = []
        wanted = count
        while wanted > 0 and (leaf := self._first_to_go()) is not None:
            kept = len(leaf.slots) - wanted
            if kept > 0:
                freed.append(leaf.slots[kept:])
                leaf.tokens, leaf.slots = leaf.tokens[:kept], leaf.slots[:kept]
                leaf.depth -= wanted
                wanted = 0
            else:
                freed.append(leaf.slots)
                wanted -= len(leaf.slots)
                self._drop_first(leaf)
        return self._give_back(freed)

    def reset(self) -> None:
        """Forget everything that is not locked."""
        freed: list[Ints] = []
        open_nodes = [self.root]
        while open_nodes:
            node = open_nodes.pop()
            open_nodes.extend(node.children.values())
            if node.locks or node is self.root:
                node.children = {token: child for token, child in node.children.items() if child.locks}
                node.queued = False
            else:
                freed.append(node.slots)
                node.children = {}
                node.parent = None
        self._heap.clear()
        self._give_back(freed)

    def check(self, held: int = 0) -> None:
        """Raise EngineError unless every invariant of the tree and its pool holds; callers own `held` slots."""
        self.pool.check()
        nodes = self._nodes()
        for node in nodes:
            _check_node(node)
        size = sum(len(node.tokens) for node in nodes)
        evictable = sum(len(node.tokens) for node in nodes if not node.locks)
        _wanted("tokens in the tree", self.size, size)
        _wanted("evictable tokens", self.evictable, evictable)
        _wanted("slots free, cached or held", self.pool.free + size + held, self.pool.capacity)
        slots = np.concatenate([self.root.slots, *(node.slots for node in nodes)])
        _wanted("distinct slots in the tree", len(np.unique(slots)), size)
        queued = {id(node) for _, _, node in self._heap}
        _wanted("distinct nodes in the heap", len(queued), len(self._heap))
        _wanted("nodes marked as queued", sum(node.queued for node in nodes), len(queued))
        leaves = [node for node in nodes if not node.locks and not node.children]
        _wanted("evictable leaves in the heap", sum(id(leaf) in queued for leaf in leaves), len(leaves))

    def pretty(self) -> str:
        """Return the tree as text, a node a line, indented where paths part."""
        lines = [f"{self.size} tokens, {self.protected} locked"]
        open_nodes = [(child, 0) for child in reversed(self.root.children.values())]
        while open_nodes:
            node, indent = open_nodes.pop()
            start = " ".join(map(str, node.tokens[:8].tolist())) + (" …" if len(node.tokens) > 8 else "")
            lines.append(f"{'  ' * indent}{start} [{len(node.tokens)}] locks={node.locks} used={node.last_use}")
            deeper = indent + (len(node.children) > 1)
            open_nodes.extend((child, deeper) for child in reversed(node.children.values()))
        return "\n".join(lines)

    def _nodes(self) -> list[Node]:
        """Return every node but the root, parents before children."""
        nodes = list(self.root.children.values())
        for node in nodes:  # grows while it is read
            nodes.extend(node.children.values())
        return nodes

    def _descend(self, node: Node, tokens: Ints) -> Node:
        """Follow `tokens` down from `node` as far as they go, marking the path; split where they leave a run."""
        now, matched, total = self._clock, 0, len(tokens)
        node.last_use = now
        while matched < total:
            child = node.children.get(tokens.item(matched))
            if child is None:
                break
            shared = _shared(child.tokens, tokens, matched)
            matched += shared
            node = child if shared == len(child.tokens) else self._split(child, shared)
            node.last_use = now
        return node

    def _split(self, node: Node, at: int) -> Node:
        """Put a new node that takes the first `at` tokens of `node` above it, and return the new one.

        `node` stays the end of its path, so the locks of whoever holds it stay right.
        """
        parent = node.parent
        assert parent is not None, "the root has no tokens to split"
        upper = Node(parent, node.tokens[:at].copy(), node.slots[:at].copy(), self._clock)
        upper.locks = node.locks
        parent.children[upper.tokens.item(0)] = upper
        node.tokens, node.slots = node.tokens[at:].copy(), node.slots[at:].copy()
        node.parent = upper
        upper.children[node.tokens.item(0)] = node
        return upper

    def _require(self, node: Node) -> None:
        """Raise EngineError if `node` was evicted while somebody held it."""
        if node.parent is None and node is not self.root:
            raise EngineError("found a node that was evicted; wanted one that was locked while it was held")

    def _priority(self, node: Node) -> int:
        """Return when `node` may go, the least first. A queued node's priority may rise, but never fall."""
        return node.last_use

    def _queue(self, node: Node) -> None:
        """Put `node` in the heap if it is a leaf that nobody locks.

        A node has one entry at most, and nothing is taken out or moved when it is used, locked or given a child:
        an entry that has become wrong is put right when it reaches the top (`_first_to_go`).
        """
        if not node.queued and not node.children and not node.locks and node.parent is not None:
            node.queued = True
            heappush(self._heap, (self._priority(node), next(self._numbers), node))

    def _first_to_go(self) -> Node | None:
        """Return the leaf to evict next, whose entry is then at the top of the heap; None if all is locked."""
        heap = self._heap
        while heap:
            priority, number, node = heap[0]
            if node.locks or node.children:
                heappop(heap)
                node.queued = False
            elif (now := self._priority(node)) != priority:
                heapreplace(heap, (now, number, node))
            else:
                return node
        return None

    def _drop_first(self, leaf: Node) -> None:
        """Take the leaf at the top of the heap out of the tree; its parent may be a leaf then."""
        heappop(self._heap)
        parent = leaf.parent
        assert parent is not None, "the root is never queued"
        del parent.children[leaf.tokens.item(0)]
        leaf.parent = None
        leaf.queued = False
        self._queue(parent)

    def _give_back(self, freed: list[Ints]) -> int:
        """Release the slots of tokens that left the tree; return how many."""
        if not freed:
            return 0
        slots = freed[0] if len(freed) == 1 else np.concatenate(freed)
        self.pool.release(slots)
        self.size -= len(slots)
        self.evictable -= len(slots)
        return len(slots)


def _shared(run: Ints, tokens: Ints, start: int) -> int:
    """Return how many tokens of `run` are at the start of `tokens[start:]`; the first is known to be."""
    rest = tokens[start : start + len(run)]
    if rest.tobytes() == run.tobytes():  # the usual case, and faster than an elementwise comparison
        return len(run)
    differs = rest != run[: len(rest)]
    first = int(differs.argmax())
    return first if differs[first] else len(rest)


def _check_node(node: Node) -> None:
    """Raise EngineError unless `node` fits its parent."""
    parent = node.parent
    if parent is None or not len(node.tokens) or parent.children.get(node.tokens.item(0)) is not node:
        raise EngineError(f"found a node of depth {node.depth} that its parent does not know by its first token")
    _wanted("slots of a node", len(node.slots), len(node.tokens))
    _wanted("the depth of a node", node.depth, parent.depth + len(node.tokens))
    locks_below = sum(child.locks for child in node.children.values())
    if node.locks < locks_below:
        raise EngineError(f"found {node.locks} locks of a node; wanted {locks_below} or more, as of its children")


def _wanted(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise EngineError(f"found {found} for {what}; wanted {wanted}")
