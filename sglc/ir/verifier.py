"""What is legal: every graph is checked when it is made and after every pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from sglc.errors import SglcError
from sglc.ir.graph import Block, Graph, Op, Value
from sglc.ir.operation_checks import attributes_fault, operands_fault, results_fault
from sglc.ir.ops import Effect, OpRow, rows_of
from sglc.ir.printer import graph_lines
from sglc.ir.types import Type

OBSERVERS: list[Callable[[Graph], None]] = []
"""Called with every graph that was found legal; for tests."""

_LEGAL = "found legal"
_MARK = ">>> "
_RESULT_NAME = re.compile(r"[A-Za-z0-9_]+")
_REPORTED = ("gen", "select", "decode", "score", "choose")
"""Operations whose second result the engine reports something of."""


class VerifyError(SglcError):
    """A graph that is not legal: a mistake of what made it. `fault` says what is wrong, `op` where, if at one place."""

    def __init__(self, fault: str, graph: Graph, op: Op | None = None) -> None:
        place = f" in {op.name}" if op is not None else ""
        message = f"@{graph.name}{place}: {fault}\n{_marked(graph, op)}"
        super().__init__(message, op.location if op is not None else None)
        self.fault = fault
        self.op = op


def _marked(graph: Graph, op: Op | None) -> str:
    try:
        lines = [
            f"{_MARK if op is not None and shown is op else ' ' * len(_MARK)}{line}\n"
            for shown, line in graph_lines(graph)
        ]
    except (ValueError, RecursionError):  # the fault is an attribute that can't be written
        return "(it has no text)\n"
    return "".join(lines)


def verify(graph: Graph) -> None:
    """Raise VerifyError unless the graph is legal: what `sglc/ir/README.md` says of graphs holds for it.

    A graph never changes, so one that was found legal before is not looked at again.
    """
    if _LEGAL in vars(graph):
        return
    walk = _Walk(graph)
    fault = walk.arguments_fault()
    if fault:
        raise VerifyError(fault, graph)
    todo: list[_Leaving | Block] = [graph.block]
    while todo:
        each = todo.pop()
        if isinstance(each, _Leaving):
            walk.leave(each)
            continue
        todo.append(walk.leaving())
        last = len(each) - 1
        if last < 0:
            raise VerifyError("found a block without operations; wanted it to end in return, branch or eager", graph)
        for place, op in enumerate(each):
            fault = walk.enter(op, place == last)
            if fault:
                raise VerifyError(fault, graph, op)
        todo.extend(case.block for case in reversed(each[-1].cases))
    vars(graph)[_LEGAL] = True
    for observer in OBSERVERS:
        observer(graph)


class _Leaving(NamedTuple):
    """What was known before a block, to go back to behind it."""

    values: int
    sites: int
    calls: int


class _Prompt:
    """A prompt in the tree of prompts. `jump` is one further up, so that each is reached in a logarithm of steps:
    Myers, An applicative random-access stack, 1983."""

    __slots__ = ("before", "depth", "jump")

    def __init__(self, before: _Prompt | None = None) -> None:
        self.before: _Prompt = before or self
        self.jump: _Prompt = self.before
        self.depth: int = before.depth + 1 if before is not None else 0
        if before is not None and before.depth - before.jump.depth == before.jump.depth - before.jump.jump.depth:
            self.jump = before.jump.jump

    def goes_on_from(self, other: _Prompt) -> bool:
        """Whether this prompt is the other one or grew from it."""
        each = self
        while each.depth > other.depth:
            each = each.jump if each.jump.depth >= other.depth else each.before
        return each is other


class _Walk:
    """A walk along each path from the first operation to an end; it knows what came before on the path.

    Its dicts are ordered by when things came, so that those of a block can be taken off again.
    """

    def __init__(self, graph: Graph) -> None:
        self._arguments = graph.arguments
        self._rows = rows_of(graph.level)
        self._level = graph.level
        self._names: set[str] = set()  # of the whole graph
        self._visible: dict[Value, Op | None] = {}
        self._sites: dict[tuple[str, str], None] = {}
        self._calls = -1  # the number of the last call
        self._prompts: dict[Value, _Prompt] = {}

    def arguments_fault(self) -> str | None:
        """Return what is wrong with the arguments, or None; from then on they can be seen."""
        for value in self._arguments:
            if not value.name.isidentifier():
                return f"found the argument {value.name!r}; wanted an identifier"
            if value.name in self._names:
                return f"found the argument %{value.name} twice; wanted each name once"
            self._names.add(value.name)
            self._visible[value] = None
            if value.type is Type.PROMPT:
                self._prompts[value] = _Prompt()
        return None

    def leaving(self) -> _Leaving:
        """Return what `leave` goes back to."""
        return _Leaving(len(self._visible), len(self._sites), self._calls)

    def leave(self, before: _Leaving) -> None:
        """Forget what a block has added."""
        while len(self._visible) > before.values:
            self._visible.popitem()
        while len(self._sites) > before.sites:
            self._sites.popitem()
        self._calls = before.calls

    def enter(self, op: Op, is_last: bool) -> str | None:
        """Return what is wrong with an operation, or None; from then on its results can be seen."""
        row = self._rows.get(op.name)
        if row is None:
            return f"found an operation that a {self._level} does not have; wanted one of {', '.join(self._rows)}"
        fault = (
            _place_fault(op, row, is_last)
            or self._visibility_fault(op)
            or operands_fault(op, row)
            or results_fault(op, row)
            or attributes_fault(op, row)
            or (row.check(op) if row.check is not None else None)
            or self._names_fault(op)
            or (self._site_fault(op) if "site" in row.attributes else None)
            or (_CHECKS[op.name](self, op) if op.name in _CHECKS else None)
        )
        if fault:
            return fault
        for value in op.results:
            self._visible[value] = op
            if value.type is Type.PROMPT:
                before = op.operands[0] if op.operands else None
                self._prompts[value] = _Prompt(self._prompts.get(before)) if before is not None else _Prompt()
        return None

    def _visibility_fault(self, op: Op) -> str | None:
        for value in op.operands:
            if value not in self._visible:
                other = "is another value of that name, or defined in a case beside this one"
                why = other if value.name in self._names else "is not defined"
                return f"found %{value.name}, which {why}; wanted a value from before, in this block or one around it"
        return None

    def _names_fault(self, op: Op) -> str | None:
        for value in op.results:
            if value.name in self._names:
                return f"found %{value.name} defined again; wanted each name once in a graph"
            if not _RESULT_NAME.fullmatch(value.name):
                return f"found a result named {value.name!r}; wanted letters, digits and underscores"
            self._names.add(value.name)
        return None

    def _site_fault(self, op: Op) -> str | None:
        asked = "score" if op.name == "choose" else op.name
        site = (asked, op.attributes["site"])
        if site in self._sites:
            return f"found the site {site[1]!r} of an earlier {asked}; wanted each once on a way through the graph"
        self._sites[site] = None
        return None

    def call_fault(self, op: Op) -> str | None:
        """Return what is wrong with the number of a call, or None."""
        number = op.attributes["number"]
        if number <= self._calls:
            earlier = f" behind the call of number {self._calls}" if self._calls >= 0 else ""
            return f"found the number {number}{earlier}; wanted numbers from 0 that grow along each path"
        self._calls = number
        return None

    def report_fault(self, op: Op) -> str | None:
        """Return what keeps the engine from reporting of an operation's operand, or None."""
        value = op.operands[0]
        source = self._visible[value]
        if source is None or source.name not in _REPORTED or value is not source.results[1]:
            return f"found %{value.name}; wanted the text of a gen or select itself"
        if op.name == "meta":
            return None
        if source.attributes.get("reasoning") is None:
            return f"found %{value.name}, which was generated without reasoning; wanted one with it"
        if op.result.type is value.type:
            return None
        return f"found a result of type {op.result.type}; wanted {value.type}, as %{value.name} has"

    def since_fault(self, op: Op) -> str | None:
        """Return None if the second prompt goes on from the first."""
        first, second = op.operands
        if self._prompts[second].goes_on_from(self._prompts[first]):
            return None
        return f"found %{second.name}; wanted a prompt that goes on from %{first.name}"


def _place_fault(op: Op, row: OpRow, is_last: bool) -> str | None:
    """Return what is wrong with where an operation stands and what it holds."""
    if is_last and row.effect is not Effect.END:
        return f"found {op.name} at the end of a block; wanted return, branch or eager"
    if not is_last and row.effect is Effect.END:
        return f"found operations behind {op.name}; wanted it at the end of its block"
    if op.name == "branch":
        return None if op.cases else "found a branch without cases; wanted at least one"
    return f"found cases in {op.name}; wanted them in a branch only" if op.cases else None


_CHECKS: dict[str, Callable[[_Walk, Op], str | None]] = {
    "call": _Walk.call_fault,
    "meta": _Walk.report_fault,
    "thoughts": _Walk.report_fault,
    "since": _Walk.since_fault,
}
"""Operation → what can be said of it only where it stands; returns what is wrong, or None."""
