"""Opening the rows of a batch: when, and in which order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sglc.codegen.arrangement import arrange_found
from sglc.errors import ProgramError
from sglc.language.loop import ProgramLoop
from sglc.language.row import NO_ARGUMENTS, Row
from sglc.language.state import ProgramState

if TYPE_CHECKING:
    from sglc.backend.claim import Pin
    from sglc.backend.engine import Engine
    from sglc.backend.plan import BoundPlan
    from sglc.backend.section_reader import Found
    from sglc.ir.sampling import SamplingParams
    from sglc.language.function import SglFunction
    from sglc.language.options import RunOptions

MOST_BODIES = 1024
"""Rows open at a time that run in Python or call host code, unless the caller says otherwise."""

MOST_PLANS = 16_384
"""Rows open at a time in all: those that only wait for the engine are cheap, and show it what comes next."""

_SCALARS = {str, int, float, bool, type(None)}
"""Types of the arguments that a program can be bound to so that they are constants of its plans."""


@dataclass(slots=True, eq=False)
class Prepared:
    """A row that has not begun: its arguments, and the plan it runs by, if there is one."""

    row: Row
    arguments: Mapping[str, Any]
    bound: BoundPlan | None
    still_holds: Callable[[], bool]

    def start(self, *, park: bool = False) -> None:
        """Begin, by the plan or in Python. With `park` a row that is ranked asks later."""
        row, bound = self.row, self.bound
        if bound is None:
            row.loop.spawn(row)
        else:
            row.start_plan(bound, self.arguments, self.still_holds, park=park and bound.plan.ranked is not None)

    def sections(self) -> Mapping[int, Found]:
        """Return the sections that may stand in any order."""
        if self.bound is None or self.bound.plan.sections is None:
            return {}
        return self.bound.plan.sections.read([self.arguments[name] for name in self.bound.plan.arguments])


def prepared(
    program: SglFunction,
    row: Row,
    arguments: Mapping[str, Any],
    options: RunOptions,
    fixed: Mapping[str, Any] = NO_ARGUMENTS,
) -> Prepared:
    """Return a row ready to begin: by a captured graph, or as Python. `fixed` are arguments that all rows share."""
    variant = None if options.eager else program.variant(arguments, row.params)
    plan = variant.plan(row.engine.tokenizer, row.params, options, fixed) if variant is not None else None
    bound = plan.bind(row.engine, row.params) if plan is not None else None
    if variant is None or plan is None:
        return Prepared(row, arguments, None, _always)
    return Prepared(row, arguments, bound, variant.watch(row.refuse) if plan.calls else variant.still_holds)


def fixed_arguments(program: SglFunction) -> dict[str, Any]:
    """Return the arguments that all rows of a batch share because the program is bound to them."""
    return {name: value for name, value in program.bound.items() if type(value) in _SCALARS}


def _always() -> bool:
    return True


class Feed:
    """Opens rows of a batch as room comes free, and collects them as they finish.

    Rows that are at hand as a list, and whose plans say so, begin in the depth-first order of their prompts.
    """

    def __init__(
        self,
        program: SglFunction,
        rows: Iterable[Any],
        params: SamplingParams,
        engine: Engine,
        options: RunOptions,
        concurrency: int | None,
        indices: Iterable[int] | None = None,
        rows_ready: Callable[[], bool] | None = None,
        row_finished: Callable[[], None] | None = None,
    ) -> None:
        self.loop = ProgramLoop(engine, self._collect)
        self.finished: list[ProgramState] = []
        self._program = program
        self._numbers: Iterator[int] = iter(indices) if indices is not None else itertools.count()
        self._rows = iter(rows)
        self._params = params
        self._options = options
        self._fixed = fixed_arguments(program)
        self._most = max(1, concurrency) if concurrency is not None else MOST_PLANS
        self._most_bodies = self._most if concurrency is not None else MOST_BODIES
        self._rows_ready = rows_ready
        self._row_finished = row_finished
        self._at_hand = isinstance(rows, Sequence) and bool(options.passes) and not options.eager
        self._parked: deque[Row] = deque()
        self._open = self._bodies = 0
        self._exhausted = False
        self._pins: dict[BoundPlan, Pin] = {}
        self.order: list[int] = []
        """The row numbers, in the order of the input."""

    @property
    def over(self) -> bool:
        """Whether every row has finished."""
        return self._exhausted and self._open == 0 and not self._parked

    def fill(self) -> None:
        """Open rows up to the bound, without waiting for a slow source while there is something to do."""
        while self._has_room():
            if self._parked:
                self._open += 1
                self._parked.popleft().unpark()
            elif self._exhausted:
                return
            elif self._at_hand:
                self._park_rows()
            elif self._rows_ready is not None and (self._open or self.finished) and not self._rows_ready():
                return
            elif (following := self._take()) is not None:
                self._start(following)

    def progress(self) -> bool:
        """Open new rows where others ended; return whether there is something to hand out, or nothing left."""
        self.fill()
        return bool(self.finished) or self.over

    def all_done(self) -> bool:
        """Open new rows where others ended; return whether nothing is left."""
        self.fill()
        return self.over

    def take(self) -> list[ProgramState]:
        """Return the states that finished since the last call."""
        taken, self.finished = self.finished, []
        return taken

    def close(self) -> None:
        """Withdraw what is unfinished."""
        self._parked.clear()
        self.loop.close()
        for pin in self._pins.values():
            pin.release()

    def _has_room(self, more: int = 0) -> bool:
        """Whether another row may be opened beside those that are, and `more`."""
        return self._open + more < self._most and self._bodies + more < self._most_bodies

    def _park_rows(self) -> None:
        """Read rows until enough are parked or open, and put them in order, and their sections."""
        taken: list[Prepared] = []
        unparked = 0  # open as soon as they are started
        while not self._exhausted and len(taken) < MOST_PLANS and self._has_room(unparked):
            following = self._take()
            if following is not None:
                taken.append(following)
                unparked += following.bound is None or following.bound.plan.ranked is None
        found = [each.sections() for each in taken]
        if any(found):
            for each, orders in zip(taken, arrange_found(found), strict=True):
                each.row.orders = orders
        parked: list[tuple[str, Row]] = []
        for each in taken:
            self._start(each, park=True)
            if each.row.parked:
                parked.append((each.row.rank, each.row))
        parked.sort(key=lambda ranked: ranked[0])
        for _, row in parked:
            row.come_last()
            self._parked.append(row)

    def _take(self) -> Prepared | None:
        """Take the next row from the source; None where there is none, or it has failed already."""
        try:
            given = next(self._rows)
            index = next(self._numbers)
        except StopIteration:
            self._exhausted = True
            return None
        self.order.append(index)
        error, arguments = self._arguments(given, index)
        row = Row(self.loop, self._program.func, arguments, self._params, index, options=self._options)
        if error is None:
            return prepared(self._program, row, arguments, self._options, self._fixed)
        row.error, row.done = error, True
        self._open += 1
        self._collect(row)
        return None

    def _start(self, taken: Prepared, *, park: bool = False) -> None:
        """Start a row; one that is parked is not open yet."""
        row, bound = taken.row, taken.bound
        self._open += 1
        if bound is None:
            self._bodies += 1
            row.is_body = True
        elif bound.pinned and bound not in self._pins:
            self._pins[bound] = self.loop.engine.pin(bound.pinned)
        taken.start(park=park)
        if row.parked:
            self._open -= 1

    def _arguments(self, given: Any, index: int) -> tuple[ProgramError | None, dict[str, Any]]:
        """Return the arguments that a row gives, or what is wrong with them."""
        program = self._program
        try:
            if isinstance(given, Mapping):
                return None, program.arguments((), given)
            if isinstance(given, tuple | list):
                return None, program.arguments(tuple(given), {})
        except ProgramError as mismatch:
            return ProgramError(f"row {index}: {mismatch.message}", mismatch.location or program.location), {}
        found = f"found a row of type {type(given).__name__}"
        return ProgramError(f"{found}; wanted a dict or a tuple of arguments", program.location), {}

    def _collect(self, row: Row) -> None:
        self._open -= 1
        self._bodies -= row.is_body
        self.finished.append(row.state)
        if self._row_finished is not None:
            self._row_finished()
