"""The shape of a graph, for what schedules, hoists and batches: dependences, levels, longest chains, shared prompts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sglc.ir.graph import Graph, Op, Value
from sglc.ir.sampling import SamplingParams
from sglc.ir.types import Type

if TYPE_CHECKING:
    from networkx import DiGraph

COSTLY = frozenset({"gen", "select", "call", "decode", "score", "choose"})
"""Operations that take time, in programs and plans: the rest is bookkeeping."""


def dependences(graph: Graph) -> DiGraph[int]:
    """Return what has to be done before what: a node for each operation, an edge to each that waits for it.

    Nodes are places in `graph.ops()` and have the operation as `op`. An operation waits for those that define its
    operands, one in a case also for the branch. Arguments are there from the start. For scheduling: whatever runs
    in an order of these edges computes the same.
    """
    from networkx import DiGraph

    found: DiGraph[int] = DiGraph()
    defined: dict[Value, int] = {}
    branch_of: dict[Op, int] = {}
    for place, op in enumerate(graph.ops()):
        found.add_node(place, op=op)
        before = {defined[value]: None for value in op.operands if value in defined}
        if op in branch_of:
            before[branch_of[op]] = None
        found.add_edges_from((other, place) for other in before)
        defined.update((result, place) for result in op.results)
        branch_of.update((inner, place) for case in op.cases for inner in case.block)
    return found


def levels(graph: Graph) -> Mapping[Op, int]:
    """Return for every operation how many costly ones have to run before it, one behind the other.

    Costly operations of one level do not wait for each other: they can run together, in one decode batch if they are
    generations (in cases of one branch, those of the case that is taken).
    """
    found: dict[Op, int] = {}
    order = dependences(graph)
    for place, op in enumerate(graph.ops()):
        earlier = (order.nodes[other]["op"] for other in order.predecessors(place))
        found[op] = max((found[other] + (other.name in COSTLY) for other in earlier), default=0)
    return found


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """Operations that wait for each other, in order, and the most tokens that they decode."""

    ops: tuple[Op, ...]
    tokens: int


def critical_path(graph: Graph, default_tokens: int = SamplingParams().max_new_tokens) -> CriticalPath:
    """Return the chain that decodes most tokens, each `gen` up to its limit (`default_tokens` where it has none).

    No scheduling gets below its length; what is not on it can be late without being noticed. Between chains of equal
    tokens the one with more operations counts.
    """
    from networkx import dag_longest_path

    order = dependences(graph)
    start = len(order)
    tokens = {place: _decoded(order.nodes[place]["op"], default_tokens) for place in order}
    many = len(tokens) + 1  # one token weighs more than all operations together
    order.add_edges_from([(start, place) for place in tokens])
    for _, place, edge in order.edges(data=True):
        edge["weight"] = tokens[place] * many + 1
    path = [place for place in dag_longest_path(order) if place != start]
    return CriticalPath(tuple(order.nodes[place]["op"] for place in path), sum(tokens[place] for place in path))


def _decoded(op: Op, default: int) -> int:
    if op.name not in ("gen", "decode"):
        return 0
    limit = op.attributes.get("max_new_tokens")
    return default if limit is None else int(limit)


def prefix_tree(graph: Graph) -> DiGraph[Value]:
    """Return the tree of prompts: an edge from each to those that go on from it. An `empty` is a root.

    For batching forks (a prompt with several edges is a shared prefix) and for placing KV (where its last edge is,
    a prompt is needed for the last time).
    """
    from networkx import DiGraph

    found: DiGraph[Value] = DiGraph()
    for op in graph.ops():
        if op.results and op.results[0].type is Type.PROMPT:
            found.add_node(op.results[0])
            found.add_edges_from((value, op.results[0]) for value in op.operands if value.type is Type.PROMPT)
    return found


def common_prompt(tree: DiGraph[Value], prompts: Collection[Value]) -> Value | None:
    """Return the longest prompt of a prefix tree that all of these go on from, or are; None where there is none."""
    shared: list[Value] | None = None
    for prompt in prompts:
        line = _line(tree, prompt)
        if shared is not None:
            line = [one for one, other in zip(shared, line, strict=False) if one is other]
        shared = line
    return shared[-1] if shared else None


def _line(tree: DiGraph[Value], prompt: Value) -> list[Value]:
    """Return a prompt and all that it goes on from, the root first."""
    line = [prompt]
    while before := list(tree.predecessors(line[-1])):
        line.append(before[0])
    return line[::-1]


def dominators(graph: Graph) -> Mapping[Op, Op]:
    """Return for an operation the last one that every way to it goes through; left out where there is none.

    Ways lead along dependences within a block, and from a branch into its cases. Constants are there from the start,
    like arguments. For batching: where ways part behind an operation and meet in another that it dominates, what is
    between them runs side by side; a prompt that dominates generations is filled once for all of them.
    """
    from networkx import DiGraph, immediate_dominators

    start = Op("start")
    ways: DiGraph[Op] = DiGraph()
    defined: dict[Value, Op] = {}
    branch_of: dict[Op, Op] = {}
    for op in graph.ops():
        branch_of.update((inner, op) for case in op.cases for inner in case.block)
        if op.name == "const":
            continue
        defined.update((result, op) for result in op.results)
        around = branch_of.get(op, start)
        before = [defined[value] for value in op.operands if value in defined]
        inside = [other for other in before if branch_of.get(other, start) is around]
        ways.add_edges_from((other, op) for other in inside or [around])
    found = immediate_dominators(ways, start)
    return {op: other for op, other in found.items() if start not in (op, other)}
