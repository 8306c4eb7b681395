"""Dependences, levels, longest chains, prefix trees and dominators of graphs."""

from __future__ import annotations

import subprocess
import sys

import networkx
import pytest

from sglc.ir.graph import Graph, Op
from sglc.ir.structure import common_prompt, critical_path, dependences, dominators, levels, prefix_tree
from sglc.ir.types import Type
from tests.ir.sample_graphs import judge, linear, react

GRAPHS = [linear, judge, react]


def named(graph: Graph, name: str) -> list[Op]:
    """Return the operations of a name, in order."""
    return [op for op in graph.ops() if op.name == name]


@pytest.mark.parametrize("make", GRAPHS)
def test_dependences_are_in_the_order_of_the_graph(make: object) -> None:
    graph = make()  # type: ignore[operator]
    order = dependences(graph)
    assert [order.nodes[place]["op"] for place in order] == list(graph.ops())
    assert all(before < after for before, after in order.edges)
    assert networkx.is_directed_acyclic_graph(order)


def test_what_is_in_a_case_waits_for_its_branch() -> None:
    graph = react(1)
    order = dependences(graph)
    ops = list(graph.ops())
    branch = next(place for place, op in enumerate(ops) if op.name == "branch")
    inside = {op for case in ops[branch].cases for op in case.block}
    assert {ops[place] for place in order.successors(branch)} == inside


def test_forks_are_on_one_level() -> None:
    graph = judge()
    found = levels(graph)
    assert [found[op] for op in named(graph, "gen")] == [0, 0, 0]
    assert [found[op] for op in named(graph, "select")] == [1]
    assert found[graph.block[-1]] == 2


def test_rounds_of_a_loop_are_on_levels_of_their_own() -> None:
    graph = react(2)
    found = levels(graph)
    thoughts = [found[op] for op in named(graph, "gen") if op.results[1].name.startswith("thought")]
    assert thoughts == [0, 4]  # thought, action, query, look up; thought
    assert [found[op] for op in named(graph, "call")] == [3, 7]


def test_the_critical_path_decodes_most() -> None:
    graph = react(2)
    path = critical_path(graph)
    decoded = [op.results[1].name for op in path.ops if op.name == "gen"]
    assert decoded == ["thought", "query", "thought_1", "answer_1"]
    assert path.tokens == 24 + 12 + 24 + 24
    assert path.ops[-1].name == "return"
    assert critical_path(judge()).tokens == 24


def test_a_generation_without_a_limit_counts_the_default() -> None:
    unlimited = Op("gen", attributes={"site": "0"})
    graph = Graph("g", (), (unlimited, Op("eager", attributes={"cause": "c"})))
    assert critical_path(graph).tokens == 128
    assert critical_path(graph, default_tokens=7).tokens == 7
    assert critical_path(Graph("g", (), (graph.block[1],))).tokens == 0


def test_the_prefix_tree_holds_every_prompt() -> None:
    graph = judge()
    tree = prefix_tree(graph)
    assert set(tree) == {value for op in graph.ops() for value in op.results if value.type is Type.PROMPT}
    assert networkx.is_arborescence(tree)
    shared = [value for value in tree if tree.out_degree(value) > 1]
    assert [(value.name, tree.out_degree(value)) for value in shared] == [("p_2", 4)]


def test_the_longest_prompt_that_generations_share() -> None:
    graph = judge()
    tree = prefix_tree(graph)
    prompts = [op.operands[0] for op in named(graph, "gen")]
    shared = common_prompt(tree, prompts)
    assert shared is not None and shared.name == "p_2"
    assert common_prompt(tree, prompts[:1]) is prompts[0]
    assert common_prompt(tree, [prompts[0], shared]) is shared
    assert common_prompt(tree, []) is None


def test_dominators_are_what_all_ways_go_through() -> None:
    graph = judge()
    found = dominators(graph)
    generations = named(graph, "gen")
    shared = next(op for op in graph.ops() if op.results and op.results[0].name == "p_2")
    assert [found[found[op]] for op in generations] == [shared] * 3
    joining = found[named(graph, "select")[0]]
    while joining.name == "append" and joining is not shared:
        joining = found[joining]
    assert joining is shared
    assert graph.block[0] not in found


def test_dominators_in_a_case_begin_with_the_branch() -> None:
    graph = react(1)
    found = dominators(graph)
    branch = graph.block[-1]
    for case in branch.cases:
        op = next(op for op in case.block if op.name == "append")
        while op is not branch:
            op = found[op]
    assert dominators(Graph("g", (), (Op("eager", attributes={"cause": "c"}),))) == {}


def test_networkx_is_loaded_when_it_is_needed() -> None:
    code = "import sys, sglc.ir.structure, sglc.ir.page; sys.exit('networkx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
