"""Which values are the same for every row of a batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sglc.ir.graph import Graph, Op, Value
from sglc.ir.sampling import SamplingParams
from sglc.ir.types import Type


def uniformity(graph: Graph, uniform_arguments: Collection[str] = ()) -> Mapping[Value, bool]:
    """Return for every value of the graph whether it is uniform: the same in every row of the batch.

    Arguments vary, but for those named. A value is uniform if it is computed from uniform values only and nothing is
    drawn for it; a generation draws unless its own temperature says greedy (one that inherits it may not be), and so
    does its text. What the host's functions return varies: they may do anything.

    A value in a case of a branch is as uniform as what it is computed from, even where the branch varies: every row
    that needs it needs the same one. Whether a row needs it is another matter, which hoisting has to weigh.
    """
    uniform = {argument: argument.name in uniform_arguments for argument in graph.arguments}
    for op in graph.ops():
        same = is_determined(op) and all(uniform[value] for value in op.operands)
        uniform.update((result, same) for result in op.results)
    return uniform


def is_determined(op: Op) -> bool:
    """Whether an operation's results depend on its operands and attributes alone, in every row alike."""
    if op.name != "gen":
        return op.name != "call"
    temperature = op.attributes.get("temperature")
    greedy = temperature is not None and SamplingParams(temperature=temperature).greedy
    return greedy and op.results[1].type is Type.TEXT
