"""All that there is to say of a program and its run, as values; how it is shown is in the files beside."""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sglc.backend.prediction import Prediction
from sglc.backend.timeline import Timeline
from sglc.errors import Location
from sglc.explain.constraints import ConstraintFacts
from sglc.explain.sizes import Size
from sglc.explain.tree import Node
from sglc.ir.graph import Graph
from sglc.ir.wording import quoted, short_path
from sglc.passes.base import Remark

_NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Eager:
    """What is left to Python: where, why, and what would mend that."""

    location: Location | None
    cause: str
    mend: str


@dataclass(frozen=True, slots=True)
class GraphPart:
    """One graph of the program: how far it was captured, for how many rows (None: any), its plan as a tree, remarks.

    `constraints` are those of its generations.
    """

    name: str
    location: Location
    tier: str
    rows: int | None
    assumptions: tuple[str, ...]
    eager: tuple[Eager, ...]
    plan: Graph
    nodes: Sequence[Node]
    sizes: Sequence[Size]
    remarks: tuple[Remark, ...]
    constraints: tuple[ConstraintFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """What the requests of one statement cost together; `seconds` are those from being asked to being answered."""

    location: Location | None
    kind: str
    requests: int
    prompt: int
    cached: int
    filled: int
    decoded: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run has cost: `counters` as `Counters` names them, and the time it took."""

    counters: Mapping[str, int | float]
    seconds: float
    statements: tuple[Statement, ...]
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Without:
    """What a run would cost without one pass, or without any (`name` None).

    `cost` is None where the model would be asked what it was not asked in the run that was measured.
    """

    name: str | None
    cost: Prediction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is said of a program.

    `unit` is what texts are counted in. `at_most` bounds the cost of the rows, `full_length` is what it is if all
    outputs are as long as they may be, `foretold` if they are those that were measured. `compared` is the one of these
    that `without` is to be compared with, for the first `compared_rows` rows. `rows` is None where there are none.
    """

    program: str
    location: Location
    level: str
    unit: str
    graphs: tuple[GraphPart, ...]
    rows: int | None = None
    in_python: int = 0
    engine: str = ""
    at_most: Prediction | None = None
    full_length: Prediction | None = None
    foretold: Prediction | None = None
    measured: Measured | None = None
    compared: Prediction | None = None
    compared_rows: int = 0
    without: tuple[Without, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return all of it as an object for JSON."""
        return {
            "program": self.program,
            **_place(self.location),
            "level": self.level,
            "unit": self.unit,
            "engine": self.engine or None,
            "rows": self.rows,
            "rows_in_python": self.in_python,
            "graphs": [_graph(part) for part in self.graphs],
            "at_most": _cost(self.at_most),
            "full_length": _cost(self.full_length),
            "predicted": _cost(self.foretold),
            "measured": None if self.measured is None else _measured(self.measured),
            "compared": _cost(self.compared),
            "compared_rows": self.compared_rows,
            "without": [{"pass": each.name, "cost": _cost(each.cost)} for each in self.without],
            "notes": list(self.notes),
        }


def statements_of(timeline: Timeline) -> tuple[Statement, ...]:
    """Return what the requests of each statement have cost, in the order of the source."""
    found: dict[tuple[Location | None, str], list[Any]] = {}
    for span in timeline.spans:
        if span.ended is not None:
            found.setdefault((span.location, span.kind), []).append(span)
    statements = [
        Statement(
            location,
            kind,
            requests=len(spans),
            prompt=sum(span.prompt for span in spans),
            cached=sum(span.cached for span in spans),
            filled=sum(span.filled for span in spans),
            decoded=sum(span.decoded for span in spans),
            seconds=sum(span.ended - span.asked for span in spans),
        )
        for (location, kind), spans in found.items()
    ]
    return tuple(sorted(statements, key=lambda each: (each.location is None, each.location or ("", 0), each.kind)))


def grouped(remarks: Iterable[Remark]) -> list[tuple[Remark, int]]:
    """Return remarks with how often each was made: missed chances first, the greatest first."""
    found: dict[tuple[str, str, str, Location | None], tuple[Remark, int, int]] = {}
    for remark in remarks:
        key = remark.source, remark.kind, remark.text, remark.location
        _, times, count = found.get(key, (remark, 0, 0))
        found[key] = remark, times + 1, count + remark.count
    ordered = sorted(found.values(), key=lambda each: (each[0].kind != "missed", each[0].unit != "tokens", -each[2]))
    return [(remark, times) for remark, times, _ in ordered]


def source_line(location: Location | None) -> str:
    """Return the text of a line of source, "" where it can't be had."""
    if location is None:
        return ""
    try:
        return linecache.getline(location.file, location.line).strip()
    except ValueError:  # a name that no file can have
        return ""


def _graph(part: GraphPart) -> dict[str, Any]:
    return {
        "name": part.name,
        **_place(part.location),
        "tier": part.tier,
        "rows": part.rows,
        "assumptions": list(part.assumptions),
        "eager_regions": [
            {**_place(each.location), "cause": each.cause, "mend": each.mend or None} for each in part.eager
        ],
        "plan": part.plan.text,
        "tree": [_node(node, size) for node, size in zip(part.nodes, part.sizes, strict=True)],
        "constraints": [_constraint(each) for each in part.constraints],
        "remarks": [
            {
                "pass": remark.source,
                "kind": remark.kind,
                "text": remark.text,
                **_place(remark.location),
                "count": remark.count,
                "unit": remark.unit or None,
                "times": times,
            }
            for remark, times in grouped(part.remarks)
        ],
    }


def _node(node: Node, size: Size) -> dict[str, Any]:
    return {
        "kind": node.kind,
        "text": "".join(quoted(span, _NO_LIMIT) for span in node.text),
        **_place(node.location),
        "source": source_line(node.location) or None,
        "parent": node.parent,
        "flags": list(node.flags),
        "uses": node.uses,
        "tokens": None if size.middle is None else {"min": size.least, "median": size.middle, "max": size.most},
        "tokens_are_all": size.whole,
        "most_new_tokens": size.most_new,
        "different_prompts": size.distinct,
    }


def _constraint(facts: ConstraintFacts) -> dict[str, Any]:
    """Return a constraint without the time that it took, which is another each time."""
    return {
        "name": facts.constraint.name,
        **_place(facts.constraint.location),
        "kind": facts.constraint.kind,
        "written": facts.constraint.written,
        "served_by": facts.figures.served_by,
        "states": facts.figures.states,
        "forced_states": facts.figures.forced_states,
        "table_bytes": facts.figures.table_bytes,
        "forced_tokens": facts.figures.forced_tokens,
    }


def _measured(measured: Measured) -> dict[str, Any]:
    statements = [
        {
            **_place(each.location),
            "kind": each.kind,
            "requests": each.requests,
            "prompt": each.prompt,
            "cached": each.cached,
            "filled": each.filled,
            "decoded": each.decoded,
            "seconds": each.seconds,
        }
        for each in measured.statements
    ]
    return {
        "counters": dict(measured.counters),
        "seconds": measured.seconds,
        "failed": measured.failed,
        "statements": statements,
    }


def _cost(cost: Prediction | None) -> dict[str, int | None] | None:
    return None if cost is None else cost.as_dict()


def _place(location: Location | None) -> dict[str, Any]:
    if location is None:
        return {"file": None, "line": None}
    return {"file": short_path(location.file), "line": location.line}
