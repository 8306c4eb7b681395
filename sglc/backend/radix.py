"""The radix tree: which token sequences have their KV in the pool, and in which slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sglc.backend.eviction import EvictionQueue
from sglc.backend.kv_pool import KvPool
from sglc.backend.step import Ints
from sglc.errors import EngineError

if TYPE_CHECKING:
    from sglc.backend.claim import Claim
    from sglc.backend.eviction import Entry, Order, Outlook


class Node:
    """A run of tokens below its parent, and the KV slot of each.

    Read it freely, and hold it across calls while it is locked: what is locked is never evicted, and a split
    leaves the node at the end of its path. Only `RadixTree` writes to it.
    """

    __slots__ = ("children", "claims", "depth", "holders", "last_use", "locks", "parent", "queued", "slots", "tokens")

    def __init__(self, parent: Node | None, tokens: Ints, slots: Ints, last_use: int) -> None:
        self.parent = parent
        self.tokens = tokens  # [n], n ≥ 1 except in the root
        self.slots = slots  # [n]
        self.children: dict[int, Node] = {}  # by the first token of each
        self.depth: int = len(tokens) + (parent.depth if parent is not None else 0)  # tokens from the root to its end
        self.last_use = last_use
        self.locks = 0  # at least as many as any child has
        self.claims = 0  # those that end here or further down
        self.holders: dict[Claim, None] | None = None  # those that end here; a dict once there was one
        self.queued: Entry | None = None  # its entry among what can be evicted


class RadixTree:
    """A prefix tree of token runs that owns the KV slots in it.

    Every walk is a loop, so a path may have any number of nodes. Tokens and slots are int64 arrays. What is locked
    stays; what is claimed goes after all that is not, and a claim whose node went is one of the node above.
    """

    def __init__(self, pool: KvPool) -> None:
        """Make an empty tree that evicts to `pool`."""
        self.pool = pool
        nothing: Ints = np.empty(0, np.int64)
        self.root = Node(None, nothing, nothing, 0)
        self.size = 0  # tokens in the tree
        self.evictable = 0  # tokens in nodes that nobody locks
        self.claimed = 0  # of these, tokens in nodes that somebody claims
        self._clock = 0
        self._queue = EvictionQueue()

    def expect(self, outlook: Outlook) -> None:
        """Evict what is used last first, as far as `outlook` knows of uses to come."""
        self._queue.outlook = outlook

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
        return self._walk(tokens)[1]

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
        self._queue.put(leaf)
        return leaf, present

    def lock(self, node: Node) -> None:
        """Keep the path from the root to `node` until a matching `unlock`."""
        self._require(node)
        while node.parent is not None:
            if not node.locks:
                self.evictable -= len(node.tokens)
                if node.claims:
                    self.claimed -= len(node.tokens)
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
                if node.claims:
                    self.claimed += len(node.tokens)
            node = node.parent
        self._queue_leaf(end)

    def claim(self, node: Node, claim: Claim) -> None:
        """Let the path from the root to `node` go after all that nobody claims, until `drop_claim`."""
        self._require(node)
        claim.node = node
        if node.holders is None:
            node.holders = {}
        node.holders[claim] = None
        while node.parent is not None:
            if not node.claims and not node.locks:
                self.claimed += len(node.tokens)
            node.claims += 1
            node = node.parent

    def drop_claim(self, claim: Claim) -> None:
        """Undo `claim`; nothing if it was undone before."""
        node, claim.node = claim.node, None
        if node is None:
            return
        assert node.holders is not None
        del node.holders[claim]
        end = node
        while node.parent is not None:
            node.claims -= 1
            if not node.claims and not node.locks:
                self.claimed -= len(node.tokens)
            node = node.parent
        self._queue_leaf(end)

    def reconsider(self, tokens: Ints) -> None:
        """Learn that a use of `tokens` will not come: what they would have used may go earlier."""
        node, _ = self._walk(tokens)
        self._queue_leaf(node)

    def evict(self, count: int, spared: Order | None = None) -> int:
        """Release the slots of `count` tokens, or of all that are not locked if they are fewer; return how many.

        Takes from leaves, from their ends, in the order of `EvictionQueue`; so a leaf that is longer than needed keeps
        its start. Spares what is claimed with an order before `spared`.
        """
        freed: list[Ints] = []
        wanted = count
        while wanted > 0 and (found := self._queue.first(spared)) is not None:
            leaf, depth = found
            taken = min(wanted, leaf.depth - depth)
            kept = len(leaf.slots) - taken
            freed.append(leaf.slots[kept:])
            wanted -= taken
            if leaf.claims:
                self.claimed -= taken
            if kept:
                leaf.tokens, leaf.slots = leaf.tokens[:kept], leaf.slots[:kept]
                leaf.depth -= taken
            else:
                self._drop_first(leaf)
        return self._give_back(freed)

    def reset(self) -> None:
        """Forget everything that is not locked."""
        freed: list[Ints] = []
        open_nodes = [(self.root, self.root)]
        while open_nodes:
            node, above = open_nodes.pop()  # above: the last one on the way to it that stays
            if node.locks or node is self.root:
                open_nodes.extend((child, node) for child in node.children.values())
                node.children = {token: child for token, child in node.children.items() if child.locks}
                node.queued = None
            else:
                open_nodes.extend((child, above) for child in node.children.values())
                freed.append(node.slots)
                node.children = {}
                node.parent = None
                _move_claims(node, above)
        self._queue.clear()
        self.claimed = 0
        self._give_back(freed)

    def check(self, held: int = 0) -> None:
        """Raise EngineError unless every invariant of the tree and its pool holds; callers own `held` slots."""
        self.pool.check()
        nodes = self._nodes()
        for node in nodes:
            _check_node(node)
        size = sum(len(node.tokens) for node in nodes)
        evictable = [node for node in nodes if not node.locks]
        _wanted("tokens in the tree", self.size, size)
        _wanted("evictable tokens", self.evictable, sum(len(node.tokens) for node in evictable))
        _wanted("claimed tokens", self.claimed, sum(len(node.tokens) for node in evictable if node.claims))
        _wanted("slots free, cached or held", self.pool.free + size + held, self.pool.capacity)
        slots = np.concatenate([self.root.slots, *(node.slots for node in nodes)])
        _wanted("distinct slots in the tree", len(np.unique(slots)), size)
        _wanted("nodes marked as queued", sum(bool(node.queued) for node in nodes), len(self._queue.entries()))
        leaves = [node for node in evictable if not node.children]
        _wanted("evictable leaves marked as queued", sum(bool(leaf.queued) for leaf in leaves), len(leaves))

    def pretty(self) -> str:
        """Return the tree as text, a node a line, indented where paths part."""
        lines = [f"{self.size} tokens, {self.protected} locked"]
        open_nodes = [(child, 0) for child in reversed(self.root.children.values())]
        while open_nodes:
            node, indent = open_nodes.pop()
            start = " ".join(map(str, node.tokens[:8].tolist())) + (" …" if len(node.tokens) > 8 else "")
            claims = f" claims={node.claims}" if node.claims else ""
            lines.append(f"{'  ' * indent}{start} [{len(node.tokens)}] locks={node.locks}{claims} used={node.last_use}")
            deeper = indent + (len(node.children) > 1)
            open_nodes.extend((child, deeper) for child in reversed(node.children.values()))
        return "\n".join(lines)

    def _nodes(self) -> list[Node]:
        """Return every node but the root, parents before children."""
        nodes = list(self.root.children.values())
        for node in nodes:  # grows while it is read
            nodes.extend(node.children.values())
        return nodes

    def _walk(self, tokens: Ints) -> tuple[Node, int]:
        """Return the deepest node whose path is a prefix of `tokens`, and how many of these are in the tree."""
        node, matched = self.root, 0
        while matched < len(tokens):
            child = node.children.get(tokens.item(matched))
            if child is None:
                break
            shared = shared_length(child.tokens, tokens, matched)
            matched += shared
            if shared < len(child.tokens):
                break
            node = child
        return node, matched

    def _descend(self, node: Node, tokens: Ints) -> Node:
        """Follow `tokens` down from `node` as far as they go, marking the path; split where they leave a run."""
        now, matched, total = self._clock, 0, len(tokens)
        node.last_use = now
        while matched < total:
            child = node.children.get(tokens.item(matched))
            if child is None:
                break
            shared = shared_length(child.tokens, tokens, matched)
            matched += shared
            node = child if shared == len(child.tokens) else self._split(child, shared)
            node.last_use = now
        return node

    def _split(self, node: Node, at: int) -> Node:
        """Put a new node that takes the first `at` tokens of `node` above it, and return the new one.

        `node` stays the end of its path, so the locks and claims of whoever holds it stay right.
        """
        parent = node.parent
        assert parent is not None, "the root has no tokens to split"
        upper = Node(parent, node.tokens[:at].copy(), node.slots[:at].copy(), self._clock)
        upper.locks, upper.claims = node.locks, node.claims
        parent.children[upper.tokens.item(0)] = upper
        node.tokens, node.slots = node.tokens[at:].copy(), node.slots[at:].copy()
        node.parent = upper
        upper.children[node.tokens.item(0)] = node
        return upper

    def _require(self, node: Node) -> None:
        """Raise EngineError if `node` was evicted while somebody held it."""
        if node.parent is None and node is not self.root:
            raise EngineError("found a node that was evicted; wanted one that was locked while it was held")

    def _queue_leaf(self, node: Node) -> None:
        """Let `node` be evicted if it is a leaf that nobody locks."""
        if not node.locks and not node.children and node.parent is not None:
            self._queue.put(node)

    def _drop_first(self, leaf: Node) -> None:
        """Take the leaf that is evicted next out of the tree; its parent may be a leaf then."""
        self._queue.remove_first()
        parent = leaf.parent
        assert parent is not None, "the root is never queued"
        del parent.children[leaf.tokens.item(0)]
        leaf.parent = None
        _move_claims(leaf, parent)
        self._queue_leaf(parent)

    def _give_back(self, freed: list[Ints]) -> int:
        """Release the slots of tokens that left the tree; return how many."""
        if not freed:
            return 0
        slots = freed[0] if len(freed) == 1 else np.concatenate(freed)
        self.pool.release(slots)
        self.size -= len(slots)
        self.evictable -= len(slots)
        return len(slots)


def shared_length(run: Ints, tokens: Ints, start: int) -> int:
    """Return how many tokens of `run` are at the start of `tokens[start:]`; the first is known to be."""
    rest = tokens[start : start + len(run)]
    if rest.tobytes() == run.tobytes():  # the usual case, and faster than an elementwise comparison
        return len(run)
    differs = rest != run[: len(rest)]
    first = int(differs.argmax())
    return first if differs[first] else len(rest)


def _move_claims(node: Node, above: Node) -> None:
    """Let the claims that end at a node, which has left the tree, end at one above it, which counts them already."""
    if node.holders:
        for claim in node.holders:
            claim.node = above
        above.holders = {**(above.holders or {}), **node.holders}


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
    holders = node.holders or {}
    _wanted("claims of a node", node.claims, len(holders) + sum(child.claims for child in node.children.values()))
    _wanted("claims that know where they end", sum(claim.node is node for claim in holders), len(holders))


def _wanted(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise EngineError(f"found {found} for {what}; wanted {wanted}")
