"""A value is uniform if it is the same in every row of a batch."""

from __future__ import annotations

from typing import Any

import pytest

from sglc.ir.graph import BlockBuilder, Graph, Value, make_graph
from sglc.ir.types import Type
from sglc.ir.uniformity import uniformity
from tests.ir.sample_graphs import judge, react


def by_name(graph: Graph, *uniform_arguments: str) -> dict[str, bool]:
    """Return uniformity by the names of values."""
    return {value.name: uniform for value, uniform in uniformity(graph, uniform_arguments).items()}


def test_what_comes_before_the_first_argument_is_uniform() -> None:
    found = by_name(judge())
    assert found["0"] and found["p"]
    assert not found["essay"] and not found["p_1"] and not found["p_2"]


def test_arguments_vary_unless_they_are_named() -> None:
    found = by_name(judge(), "essay")
    assert found["p_2"] and found["p_3"]
    assert not found["remark"] and not found["p_8"]


@pytest.mark.parametrize(
    ("parameters", "uniform"),
    [
        ({"temperature": 0.0}, True),
        ({"temperature": 0.0, "n": 1}, True),
        ({"temperature": 1e-7, "max_new_tokens": 3}, True),
        ({"temperature": 0.0, "n": 2}, False),
        ({"temperature": 1.0}, False),
        ({"temperature": None}, False),
        ({}, False),
    ],
)
def test_a_generation_is_uniform_where_it_is_greedy(parameters: dict[str, Any], uniform: bool) -> None:
    builder = BlockBuilder()
    kinds = (Type.PROMPT, Type.TEXTS if parameters.get("n") == 2 else Type.TEXT)
    (start,) = builder.emit("empty", (), (Type.PROMPT,))
    attributes = {"site": "0", **{k: v for k, v in parameters.items() if v is not None}}
    prompt, text = builder.emit("gen", (start,), kinds, attributes, hint="g")
    (meta,) = builder.emit("meta", (text,), (Type.DICT,), hint="m")
    _, choice = builder.emit("select", (prompt, builder.const("a")), (Type.PROMPT, Type.TEXT), {"site": "1"}, hint="c")
    (called,) = builder.emit("call", (builder.const("a"),), (Type.VALUE,), {"fn": "f", "number": 0}, hint="called")
    builder.end("return", (prompt, meta, choice, called), {"names": ("m", "c", "called")})
    found = by_name(make_graph("test", (), builder))
    assert (found["g"], found["m"], found["c"]) == (uniform, uniform, uniform)
    assert not found["called"]


def test_a_case_of_a_varying_branch_holds_uniform_values() -> None:
    graph = react(1)
    found = uniformity(graph)
    constants = [op.result for op in graph.ops() if op.name == "const"]
    inner = [op.result for case in graph.block[-1].cases for op in case.block if op.name == "const"]
    assert inner and all(found[value] for value in constants)
    assert not found[graph.block[-1].operands[0]]


def test_every_value_is_told_of() -> None:
    graph = react()
    values: set[Value] = {*graph.arguments, *(value for op in graph.ops() for value in op.results)}
    assert uniformity(graph).keys() == values
