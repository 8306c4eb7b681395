"""The order of the passes, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from sglc.ir.graph import Graph
from sglc.ir.verifier import verify
from sglc.passes.base import Pass, Remark, Remarks, Target
from sglc.passes.batch_forks import BatchForks
from sglc.passes.eliminate_dead import EliminateDead
from sglc.passes.failure import failed
from sglc.passes.fix_arguments import FixArguments
from sglc.passes.fold_constants import FoldConstants
from sglc.passes.hoist_prefix import HoistPrefix
from sglc.passes.merge_text import MergeText
from sglc.passes.order_rows import OrderRows
from sglc.passes.place_kv import PlaceKv
from sglc.passes.reorder_prompt import ReorderPrompt
from sglc.passes.settle_parameters import SettleParameters
from sglc.passes.settle_seams import SettleSeams
from sglc.passes.share_choices import ShareChoices
from sglc.passes.share_common import ShareCommon
from sglc.passes.share_rows import ShareRows

PIPELINE: tuple[Pass, ...] = (
    # before fold-constants: what is computed from them is constant
    FixArguments(),
    # before share-common, which has to see what is greedy
    SettleParameters(),
    # before eliminate-dead: what a constant was computed from is then needed by nothing
    # before merge-text: what is computed is text that has neighbours
    FoldConstants(),
    # behind fold-constants: sections that are all constants are the same in every row
    ReorderPrompt(),
    # before merge-text: a prompt that nothing reads any more does not keep the texts around it apart
    EliminateDead(),
    # before share-common: prompts are equal that were written in different pieces
    MergeText(),
    ShareCommon(),
    SettleSeams(),
    HoistPrefix(),
    ShareRows(),
    ShareChoices(),
    OrderRows(),
    # behind order-rows, which ranks by prompts that are there before anything is tokenized
    BatchForks(),
    PlaceKv(),
)
"""Every pass, those on programs before those on plans, between which the program is lowered.

Where a comment says `before` or `behind`, a case of `tests/passes` comes out different if the two are swapped.
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A graph on its way: what it is behind a step, and how long that took. `name` is "trace", "lower" or a pass's."""

    name: str
    graph: Graph
    seconds: float


@dataclass(frozen=True, slots=True)
class Optimized:
    """What came of a program: every stage, the plan being the last, and what the passes said."""

    stages: tuple[Stage, ...]
    remarks: tuple[Remark, ...]

    @property
    def plan(self) -> Graph:
        """The plan that rows are run by."""
        return self.stages[-1].graph


def passes_of(level: int) -> tuple[Pass, ...]:
    """Return the passes of -O`level`."""
    return tuple(each for each in PIPELINE if each.keeps <= level)


def optimize(
    graph: Graph,
    passes: Sequence[Pass],
    target: Target,
    lower: Callable[[Graph], Graph] | None,
    watch: Callable[[Stage], None] | None = None,
) -> Optimized:
    """Run passes on a program, and lower it to a plan between those on programs and those on plans.

    A plan runs through the latter alone, a program that nothing lowers through the former. Every graph on the way is
    verified; `watch` is called with each stage. Raises PassError for a step that fails.
    """
    remarks = Remarks()
    stages = [Stage("trace", graph, 0.0)]
    if watch is not None:
        watch(stages[0])
    for name, command, change in _steps(graph.level, passes, target, remarks, lower):
        before = stages[-1].graph
        remarks.source = name
        began = perf_counter()
        try:
            changed = change(before)
            if changed is not before:
                verify(changed)
        except Exception as error:  # whatever it is, it can be repeated
            raise failed(name, command, before, target, error) from error
        stages.append(Stage(name, changed, perf_counter() - began))
        if watch is not None:
            watch(stages[-1])
    return Optimized(tuple(stages), tuple(remarks.found))


def _steps(
    level: str,
    passes: Sequence[Pass],
    target: Target,
    remarks: Remarks,
    lower: Callable[[Graph], Graph] | None,
) -> Iterator[tuple[str, tuple[str, ...], Callable[[Graph], Graph]]]:
    """Yield each step: its name, what `sglc opt` is told to repeat it, and what it does."""

    def of_level(level: str) -> Iterator[tuple[str, tuple[str, ...], Callable[[Graph], Graph]]]:
        for each in passes:
            if each.level == level:
                yield each.name, ("--passes", str(each)), partial(each.run, target=target, remarks=remarks)

    if level == "program":
        yield from of_level("program")
        if lower is None:
            return
        yield "lower", ("--passes", "", "--plan"), lower
    yield from of_level("plan")
