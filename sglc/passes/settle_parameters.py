"""settle-parameters: the sampling parameters of the run are written into the generations that inherit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from sglc.ir.attribute_text import attribute_fault
from sglc.ir.graph import Attribute, Graph, Op, canonical, map_ops
from sglc.ir.sampling import PARAMETER_NAMES, SamplingParams
from sglc.ir.types import Type
from sglc.passes.base import Pass, Remarks, Target, counted

_USUAL = {each.name: getattr(SamplingParams(), each.name) for each in fields(SamplingParams)}


@dataclass(frozen=True, slots=True)
class SettleParameters(Pass):
    """Writes what a run says for all generations into each one that does not say it itself.

    For a run with `temperature=0`:

        %1, %a = gen %p {site = ":0", stop = "."} : prompt, text
      =>
        %1, %a = gen %p {site = ":0", stop = ".", temperature = 0} : prompt, text

    So a graph shows which generations are greedy, and means the same in a run without parameters.
    """

    name: ClassVar[str] = "settle-parameters"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph with every parameter in it that differs from the usual."""
        given = {name: getattr(target.params, name) for name in sorted(PARAMETER_NAMES)}
        wanted = {name: _plain(value) for name, value in given.items() if value != _USUAL[name]}
        wanted = {name: value for name, value in wanted.items() if attribute_fault(value) is None}
        settled = 0

        def settle(op: Op) -> Op:
            nonlocal settled
            missing = {name: value for name, value in wanted.items() if name not in op.attributes}
            if op.name != "gen" or not missing or not _fits(op, missing, target.params):
                return op
            settled += 1
            return replace(op, attributes={**op.attributes, **missing})

        block = map_ops(graph.block, settle)
        if not settled:
            return graph
        names = ", ".join(wanted)
        remarks.done(f"{names} written into {counted(settled, 'generation')}", count=settled, unit="generations")
        return canonical(Graph(graph.name, graph.arguments, block, graph.level))


def _fits(op: Op, missing: Mapping[str, Attribute], params: SamplingParams) -> bool:
    """Whether a generation can have these parameters. If not, the run tells the mistake."""
    if "n" in missing and (op.results[1].type is Type.TEXTS) is not (params.n > 1):
        return False
    own = {name: value for name, value in op.attributes.items() if name in PARAMETER_NAMES}
    try:
        params.override(own)
    except ValueError:
        return False
    return True


def _plain(value: Attribute) -> Attribute:
    """Return a parameter as attributes have it: of Python's own types."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
