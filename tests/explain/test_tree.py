"""A plan as a tree says what goes on from what, where it was written, and what was arranged for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sglc
from sglc.backend.tokenizer import Tokenizer
from sglc.explain.sizes import Size, node_sizes
from sglc.explain.tree import Node, plan_tree
from sglc.ir.graph import Graph
from sglc.ir.wording import quoted
from sglc.language.function import SglFunction
from sglc.language.options import run_options


def plan(program: SglFunction, level: int = 2, **arguments: Any) -> Graph:
    """Return the plan of a program, for any text or for arguments."""
    capture = program.trace(**arguments)
    return capture.optimized(run_options(level, None, eager=False), sglc_params(), Tokenizer.packaged()).plan


def sglc_params() -> Any:
    """Return the defaults of a run."""
    from sglc.language.function import params_of

    return params_of({})


def shown(nodes: list[Node]) -> list[str]:
    """Return nodes as lines."""
    return [node.guides + "".join(quoted(span, 99) for span in node.text) for node in nodes]


def sizes(graph: Graph, rows: list[Mapping[str, Any]]) -> list[Size]:
    """Return the sizes of a plan's nodes in characters."""
    return node_sizes(graph, plan_tree(graph), rows, len, 128)


@sglc.function
def forked(s, essay):
    s += "Essay: " + essay + "\n"
    forks = s.fork(2)
    for number, fork in enumerate(forks):
        fork += f"Remark {number}:" + sglc.gen("remark", max_tokens=16, stop="\n")
    forks.join()
    s += "Remarks: " + " and ".join(s["remark"])
    s += "Grade: " + sglc.select("grade", choices=["good", "bad"])


@sglc.function
def branching(s, question):
    s += question + sglc.select("kind", choices=["yes", "no"])
    if s["kind"] == "yes":
        s += "Why?" + sglc.gen("why")
    else:
        s += sglc.call(str.upper, s["kind"])


def test_forks_are_side_by_side() -> None:
    nodes = plan_tree(plan(forked, level=0))
    assert shown(nodes) == [
        '"Essay: " %essay "⏎"',
        '├─ "Remark 0:"',
        '│  gen %remark  stop="⏎"',
        '├─ "Remark 1:"',
        '│  gen %remark_1  stop="⏎"',
        '└─ "Remarks: " %remark " and " %remark_1 "Grade: "',
        '   select %grade  "good" | "bad"',
    ]
    assert [node.uses for node in nodes] == [3, 1, 1, 1, 1, 1, 1]
    assert [node.parent for node in nodes] == [None, 0, 1, 0, 3, 0, 5]
    first = forked.line + 2
    lines = [node.location.line if node.location else None for node in nodes]
    assert lines == [first, first + 3, first + 3, first + 3, first + 3, first + 6, first + 6]


def test_flags_tell_what_was_arranged() -> None:
    flags = {flag for node in plan_tree(plan(forked)) for flag in node.flags}
    assert {"pinned", "as a tree"} <= flags
    assert not any(node.flags for node in plan_tree(plan(forked, level=0)))


def test_every_way_of_a_branch_is_told() -> None:
    nodes = plan_tree(plan(branching, level=0))
    assert shown(nodes) == [
        "%question",
        'select %kind  "yes" | "no"',
        'branch %kind == "yes"',
        "├─ true",
        '│  "Why?"',
        "│  gen %why",
        "└─ false",
        "   call %upper = str.upper(%kind)",
        "   %upper",
    ]
    assert [node.kind for node in nodes if node.kind not in ("text", "gen")] == [
        "select", "branch", "case", "case", "call",
    ]  # fmt: skip


def test_ways_without_generations_are_left_out() -> None:
    @sglc.function
    def voting(s, question):
        s += question + sglc.gen("answer", max_tokens=2)
        s += "even" if s["answer"] == "2" else "odd"

    assert shown(plan_tree(plan(voting)))[-1] == "branch, nothing is generated behind it"


def test_sizes_are_those_of_the_rows() -> None:
    rows: list[Mapping[str, Any]] = [{"essay": text} for text in ("a", "abc", "abcdefg", "abc")]
    found = sizes(plan(forked, level=0), rows)
    assert found[0] == Size(9, 11, 15, True, distinct=3)
    assert found[1] == Size(9, 9, 9, True, distinct=3)
    assert found[2].most_new == 16 and found[2].distinct is None
    assert not found[5].whole and found[5].distinct is None


def test_without_rows_what_is_the_same_in_all_is_counted() -> None:
    found = sizes(plan(forked, level=0), [])
    assert (found[0].middle, found[0].whole, found[0].distinct) == (len("Essay: \n"), False, None)
    assert found[1].middle == len("Remark 0:")


def test_limits_are_those_of_the_run() -> None:
    (limit,) = [size.most_new for size in sizes(plan(branching, level=0), []) if size.most_new is not None]
    assert limit == 128


def test_known_tokens_are_counted() -> None:
    graph = plan(forked)
    ids = [len(op.attributes["ids"]) for op in graph.ops() if op.name == "tokens"]
    tokens = node_sizes(graph, plan_tree(graph), [], lambda text: 1000, 128)
    assert ids
    assert any(size.middle is not None and 0 < size.middle < 1000 for size in tokens)


def test_deep_programs_are_told() -> None:
    @sglc.function
    def long_one(s, word):
        for number in range(100):
            s += f"{number}" + word + sglc.gen(f"v{number}", max_tokens=1)

    nodes = plan_tree(plan(long_one, level=0))
    assert len(nodes) == 200
    assert not any(node.guides for node in nodes)
