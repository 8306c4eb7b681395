"""Canonical names: given in order, by hint, so that equal graphs have equal texts."""

from __future__ import annotations

from random import Random

import pytest

from sglc.ir.graph import Block, BlockBuilder, Graph, Op, Value, attribute_key, canonical, make_graph, map_ops
from sglc.ir.parser import parse
from sglc.ir.printer import print_graph
from sglc.ir.types import Type
from tests.ir.graphs import random_graph


def named(hints: list[str], arguments: tuple[str, ...] = ()) -> list[str]:
    """Return the canonical names of results with these hints."""
    builder = BlockBuilder()
    (prompt,) = builder.emit("empty", (), (Type.PROMPT,))
    for number, hint in enumerate(hints):
        builder.emit("begin", (prompt,), (Type.PROMPT,), {"role": f"{number}"}, hint=hint)
    builder.end("return", (prompt,))
    graph = make_graph("f", [Value(name, Type.TEXT) for name in arguments], builder)
    return [op.result.name for op in graph.ops() if op.name == "begin"]


@pytest.mark.parametrize(
    ("hints", "names"),
    [
        (["p", "p", "q", "p"], ["p", "p_1", "q", "p_2"]),
        (["", "p", ""], ["1", "p", "2"]),
        (["7", "x_3", "x_2_1", "x__4"], ["1", "x", "x_1", "x_2"]),
        (["a b", "größe", "__init__", "___", "名前"], ["a_b", "gr_e", "init", "1", "2"]),
        (["3_little_pigs"], ["1"]),
    ],
)
def test_names_come_from_hints(hints: list[str], names: list[str]) -> None:
    """A number stands behind a hint that is taken, and alone where there is none (0 is the prompt)."""
    assert named(hints) == names


def test_arguments_keep_their_names() -> None:
    """Results go round them."""
    assert named(["p", "p", "p_1"], ("p", "p_2")) == ["p_1", "p_3", "p_4"]


@pytest.mark.parametrize("level", ["program", "plan"])
def test_canonical_graphs_stay_as_they_are(level: str) -> None:
    """Naming anew changes nothing."""
    for seed in range(300):
        graph = random_graph(Random(seed), level)
        assert print_graph(canonical(graph), locations=True) == print_graph(graph, locations=True)


def test_graphs_that_differ_in_names_alone_become_equal() -> None:
    """And only they: what an operation says still counts."""
    text = "graph @f(%a: text) {{\n  %{0} = empty : prompt\n  %{1} = append %{0}, %a : prompt\n  return %{1}\n}}\n"
    one, other = parse(text.format("5", "x")), parse(text.format("0", "x_7"))
    assert one != other
    assert canonical(one) == canonical(other)
    assert canonical(one) != canonical(parse(text.format("y", "x")))
    assert hash(canonical(one)) == hash(canonical(other))


def test_a_graph_equals_graphs_alone() -> None:
    """Not its text."""
    graph = parse('graph @f() {\n  eager {cause = ""}\n}\n')
    assert graph != graph.text
    assert str(graph) == graph.text
    assert repr(graph) == "Graph(@f, 1 ops)"


def test_equal_operations_are_one() -> None:
    """In a block and those inside it, but not in cases beside each other."""
    flag = Value("flag", Type.BOOL)
    root = BlockBuilder()
    (prompt,) = root.emit("empty", (), (Type.PROMPT,))
    assert root.emit("empty", (), (Type.PROMPT,)) == (prompt,)
    root.branch(flag, [True, False])
    yes, no = root.cases.values()
    assert yes.emit("empty", (), (Type.PROMPT,), hint="other") == (prompt,)
    assert yes.const("a") is yes.const("a")
    assert yes.const("a") is not no.const("a")
    assert yes.keep(Op("empty", (), (Value("", Type.PROMPT),))) == (prompt,)
    mine = Op("text", (prompt,), (Value("mine", Type.TEXT),))
    assert no.keep(mine) == mine.results
    assert no.ops[-1] is mine


def test_operations_that_look_alike_stay_two() -> None:
    """Python's idea of equality is not enough."""
    builder = BlockBuilder()
    values = [0, False, 0.0, -0.0, 1, True, None, "", "\ud83d\ude00", "😀", "1"]
    assert len({builder.const(value) for value in values}) == len(values)
    assert builder.const(float("nan")) is builder.const(float("nan"))
    assert len({attribute_key(value) for value in [(1,), (1.0,), (True,), 1, ((1,),)]}) == 5


def test_every_operation_is_changed_in_order() -> None:
    """Cases come right behind their branch, and are put back into it."""
    graph = parse(
        "graph @f(%b: bool) {\n  %0 = empty : prompt\n  branch %b {\n    case true {\n      %1 = text %0 : text\n"
        "      return %0 -> %1\n    }\n    case false {\n      return %0\n    }\n  }\n}\n"
    )
    seen: list[str] = []

    def note(op: Op) -> Op:
        seen.append(op.name)
        return op

    block: Block = map_ops(graph.block, note)
    assert seen == ["empty", "branch", "text", "return", "return"] == [op.name for op in graph.ops()]
    assert Graph("f", graph.arguments, block) == graph


def test_a_block_ends_once() -> None:
    """The builder says so before the verifier has to."""
    builder = BlockBuilder()
    with pytest.raises(ValueError, match="found a block without an end"):
        builder.finish()
    builder.end("eager", (), {"cause": ""})
    with pytest.raises(ValueError, match="found eager behind eager; wanted one terminator"):
        builder.end("eager", (), {"cause": ""})
    with pytest.raises(ValueError, match="found const behind eager; wanted nothing behind a terminator"):
        builder.const(1)
