"""Captured programs: the graphs of a function, which rows each is good for, and what could not be captured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sglc.backend.plan import Plan
from sglc.codegen.lower import lower
from sglc.errors import ProgramError
from sglc.ir.graph import Graph
from sglc.ir.types import Type
from sglc.language.tracing.environment import Environment
from sglc.language.tracing.explore import Break, Exploration
from sglc.language.tracing.recipe import Cook, Question
from sglc.passes.base import Target
from sglc.passes.pipeline import Optimized, optimize

if TYPE_CHECKING:
    from sglc.backend.tokenizer import Tokenizer
    from sglc.ir.sampling import SamplingParams
    from sglc.language.function import SglFunction
    from sglc.language.options import RunOptions
    from sglc.language.tracing.frozen import Key

MAX_VARIANTS = 16
"""Graphs of one function for different rows; rows that none is good for are eager."""

MAX_PLANS = 64
"""Plans of one graph, for different runs, that are kept."""

MAX_STALE = 64
"""Graphs of one function that may go out of date before it is left eager."""

NO_ARGUMENTS: Mapping[str, Any] = {}

Tier = Literal["captured", "specialized", "partly eager", "eager"]


@dataclass(frozen=True)
class Capture:
    """What a trace found. `assumptions` say which rows the graph is good for, `breaks` where it goes on eagerly."""

    name: str
    graph: Graph
    functions: Mapping[str, Callable[..., Any]]
    assumptions: tuple[str, ...]
    breaks: tuple[Break, ...]

    @property
    def tier(self) -> Tier:
        """How much of the program is in the graph."""
        if len(self.graph.block) == 1 and self.breaks:
            return "eager"
        if not all(each.is_error for each in self.breaks):
            return "partly eager"
        return "specialized" if self.assumptions else "captured"

    def optimized(
        self,
        options: RunOptions,
        params: SamplingParams,
        tokenizer: Tokenizer | None = None,
        fixed: Mapping[str, Any] = NO_ARGUMENTS,
    ) -> Optimized:
        """Return the graph on its way to a plan, for runs with these parameters on this tokenizer.

        `fixed` are arguments that are the same in every row.
        """
        wording = tokenizer.for_passes if tokenizer is not None else None
        target = Target(params, options.outputs, wording, fixed)
        return optimize(self.graph, options.passes, target, lower)


@dataclass(slots=True)
class Variant:
    """A capture that rows run by, as long as the world it was traced in is the same."""

    capture: Capture
    environment: Environment
    questions: list[tuple[Question, Key]]
    alive: list[Any]  # objects that answers know by their identity
    refused: bool = False  # a row could neither go on nor begin anew
    _plans: dict[Any, Plan] = field(default_factory=dict)
    _last: tuple[Any, ...] = (None, None, None, None, None)  # what was asked for last, and its plan

    def plan(
        self,
        tokenizer: Tokenizer,
        params: SamplingParams,
        options: RunOptions,
        fixed: Mapping[str, Any] = NO_ARGUMENTS,
    ) -> Plan | None:
        """Return the plan that rows run by; None where nothing was captured. `fixed`: see `Capture.optimized`."""
        last = self._last
        if last[0] is tokenizer and last[1] is params and last[2] is options and last[3] is fixed:
            plan: Plan | None = last[4]
            return plan
        plan = None
        if self.capture.tier != "eager":
            given = tuple((name, type(value), value) for name, value in fixed.items())
            key = (options.passes, options.outputs, params, tokenizer.fingerprint, given) if options.passes else None
            plan = self._plans.get(key)
            if plan is None:
                made = self.capture.optimized(options, params, tokenizer, fixed)
                if len(self._plans) >= MAX_PLANS:
                    self._plans.clear()
                plan = self._plans[key] = Plan(made.plan, self.capture.functions)
        self._last = (tokenizer, params, options, fixed, plan)
        return plan

    def still_holds(self) -> bool:
        """Whether globals and the like that the trace has read are what they were."""
        return not self.environment.changed()

    def watch(self, refuse: Callable[[ProgramError], None]) -> Callable[[], bool]:
        """Return what one row asks after each host call: whether it can go on in the graph.

        A row that can't runs in Python from its first line. Where it reads before and behind the call what the call
        has changed, that would not be the same run: it is refused.
        """
        calls = 0

        def holds() -> bool:
            nonlocal calls
            calls += 1
            changed = self.environment.changed(calls)
            for name, read_before in changed:
                if read_before:
                    self.refused = True
                    found = f"found that a function given to sglc.call changed {name!r}, which the program had read"
                    refuse(ProgramError(f"{found}; wanted it passed in and returned, or eager=True"))
            return not changed

        return holds


@dataclass(slots=True)
class _Node:
    """A question to ask of a row, and where its answers lead."""

    question: Question
    answers: dict[Key, _Node | Variant] = field(default_factory=dict)


class Captures:
    """All variants of one function, found by asking a row what their traces asked of theirs. Safe across threads."""

    def __init__(self) -> None:
        self._root: _Node | Variant | None = None
        self._by_kind: dict[tuple[Any, ...], Variant] = {}  # those that ask no more than names, types and n
        self._variants: list[Variant] = []
        self._traces = self._stale = 0
        self._lock = threading.RLock()

    def find(self, program: SglFunction, arguments: Mapping[str, Any], params: SamplingParams) -> Variant | None:
        """Return the variant for a row, traced now if there is none yet; None if the row is to run eagerly."""
        kind = _kind(arguments, params)
        variant = self._by_kind.get(kind)
        if variant is None:
            variant = self._walk(Cook(arguments, {"n": params.n}))
            if variant is not None and all(question.is_of_kind for question, _ in variant.questions):
                self._by_kind[kind] = variant
        if variant is not None and variant.refused:
            return None
        if variant is not None and variant.still_holds():
            return variant
        with self._lock:
            if variant is not None:
                self._forget(variant)
            if len(self._variants) >= MAX_VARIANTS or self._stale > MAX_STALE:
                return None
            self._traces += 1
            traced = trace(program, arguments, params)
            self._insert(traced)
            return traced

    def find_all(
        self, program: SglFunction, rows: Iterable[Mapping[str, Any]], params: SamplingParams
    ) -> list[Variant | None]:
        """Return the variants for rows that begin at the same time: for most it is not asked anew whether they hold."""
        found: list[Variant | None] = []
        holding: dict[tuple[Any, ...], Variant] = {}
        for arguments in rows:
            kind = _kind(arguments, params)
            variant = holding.get(kind)
            if variant is None:
                traces = self._traces
                variant = self.find(program, arguments, params)
                if self._traces > traces:  # which runs what it likes
                    holding.clear()
                if variant is not None and self._by_kind.get(kind) is variant:
                    holding[kind] = variant
            found.append(variant)
        return found

    def all(self) -> list[Capture]:
        """Return what has been captured so far, the oldest first."""
        return [variant.capture for variant in self._variants]

    def _walk(self, cook: Cook) -> Variant | None:
        node = self._root
        while isinstance(node, _Node):
            node = node.answers.get(node.question.answer(cook, []))
        return node

    def _forget(self, variant: Variant) -> None:
        if variant in self._variants:
            self._stale += 1
        self._variants = [each for each in self._variants if each is not variant]
        self._root = None
        self._by_kind.clear()
        for each in self._variants:
            self._plant(each)

    def _insert(self, variant: Variant) -> None:
        self._variants.append(variant)
        self._plant(variant)

    def _plant(self, variant: Variant) -> None:
        """Put a variant where its questions lead: traces that got the same answers have asked the same questions."""
        if self._root is None or not isinstance(self._root, _Node):
            self._root = _Node(variant.questions[0][0])
        node = self._root
        for place, (question, answer) in enumerate(variant.questions):
            if node.question != question:  # traced in another world: the newer trace counts
                node.question = question
                node.answers.clear()
            last = place + 1 == len(variant.questions)
            following = node.answers.get(answer)
            if last:
                node.answers[answer] = variant
            elif not isinstance(following, _Node):
                following = node.answers[answer] = _Node(variant.questions[place + 1][0])
            if isinstance(following, _Node):
                node = following


def _kind(arguments: Mapping[str, Any], params: SamplingParams) -> tuple[Any, ...]:
    """Return what rows have in common that some traces can't tell apart."""
    return (tuple(arguments), tuple(map(type, arguments.values())), params.n)


def trace(
    program: SglFunction, arguments: Mapping[str, Any], params: SamplingParams, witnessed: bool = True
) -> Variant:
    """Trace a program with a row's arguments; with their types, if there is no row."""
    exploration = Exploration(program, arguments, params, witnessed)
    graph = exploration.run()
    assumptions = [question.sentence(answer) for question, answer in exploration.questions if witnessed]
    breaks = tuple(dict.fromkeys(exploration.breaks))
    told = tuple(text for text in assumptions if text and " is " not in text)
    capture = Capture(program.name, graph, exploration.functions, told, breaks)
    return Variant(capture, exploration.environment, exploration.questions, exploration.alive)


_TYPES: Mapping[Any, Type] = {
    str: Type.TEXT,
    int: Type.INT,
    float: Type.FLOAT,
    bool: Type.BOOL,
    list: Type.LIST,
    dict: Type.DICT,
    "str": Type.TEXT,
    "int": Type.INT,
    "float": Type.FLOAT,
    "bool": Type.BOOL,
    "list": Type.LIST,
    "dict": Type.DICT,
    "list[str]": Type.TEXTS,
}


def argument_types(program: SglFunction) -> dict[str, Any]:
    """Return the types of the arguments a program needs, by their annotations, else text; and those it is bound to."""
    notes = getattr(program.func, "__annotations__", {})
    return {name: _type_for(notes.get(name)) for name in program.required} | program.bound


def _type_for(annotation: Any) -> Type:
    if annotation is None:
        return Type.TEXT
    try:
        known = _TYPES.get(annotation)
    except TypeError:
        known = None
    if known is None and str(annotation).startswith(("list", "typing.List", "List")):
        return Type.TEXTS if "[str]" in str(annotation) else Type.LIST
    return known or (Type.DICT if str(annotation).startswith("dict") else Type.VALUE)
