"""Opening the rows of a batch: when, and in which order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sglc.codegen.arrangement import arrange_found
from sglc.errors import ProgramError
from sglc.language.loop import ProgramLoop
from sglc.language.row import NO_ARGUMENTS, Row

if TYPE_CHECKING:
    from sglc.backend.claim import Pin
    from sglc.backend.engine import Engine
    from sglc.backend.plan import BoundPlan, Plan
    from sglc.backend.section_reader import Found
    from sglc.ir.sampling import SamplingParams
    from sglc.language.capture import Variant
    from sglc.language.function import SglFunction
    from sglc.language.options import RunOptions

MOST_BODIES = 1024
"""Rows open at a time that run in Python or call host code, unless the caller says otherwise."""

MOST_PLANS = 16_384
"""Rows open at a time in all: those that only wait for the engine are cheap, and show it what comes next."""

_NO_SECTIONS: Mapping[int, Found] = {}

_SCALARS = {str, int, float, bool, type(None)}
"""Types of the arguments that a program can be bound to so that they are constants of its plans."""


def prepare(
    program: SglFunction, rows: Sequence[Row], options: RunOptions, fixed: Mapping[str, Any] = NO_ARGUMENTS
) -> None:
    """Find the plans that rows of one run are to run by, where there are any. `fixed` are arguments that all share."""
    if not rows or options.eager:
        return
    engine, params = rows[0].engine, rows[0].params
    before: Variant | None = None
    plan: Plan | None = None
    bound: BoundPlan | None = None
    for row, variant in zip(rows, program.variants([row.arguments for row in rows], params), strict=True):
        if variant is None:
            continue
        if variant is not before:
            before, plan = variant, variant.plan(engine.tokenizer, params, options, fixed)
            bound = plan.bind(engine, params) if plan is not None else None
        row.bound = bound
        if plan is not None and plan.calls:
            row.still_holds = variant.watch(row.refuse)


def _sections(row: Row) -> Mapping[int, Found]:
    """Return the sections of a row that may stand in any order."""
    if row.bound is None or row.bound.plan.sections is None:
        return _NO_SECTIONS
    return row.bound.plan.sections.read([row.arguments[name] for name in row.bound.plan.arguments])


def fixed_arguments(program: SglFunction) -> dict[str, Any]:
    """Return the arguments that all rows of a batch share because the program is bound to them."""
    return {name: value for name, value in program.bound.items() if type(value) in _SCALARS}


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
        self.finished: list[Row] = []
        self._program = program
        self._rows = zip(rows, indices if indices is not None else itertools.count(), strict=False)
        self._params = params
        self._options = options
        self._fixed = fixed_arguments(program)
        self._most = max(1, concurrency) if concurrency is not None else MOST_PLANS
        self._most_bodies = self._most if concurrency is not None else MOST_BODIES
        self._rows_ready = rows_ready
        self._row_finished = row_finished
        self._at_hand = isinstance(rows, list | tuple)
        self._ordered = isinstance(rows, Sequence) and bool(options.passes) and not options.eager
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
        while (room := self._room()) > 0:
            if self._parked:
                room = min(room, len(self._parked))
                self._open += room
                for _ in range(room):
                    self._parked.popleft().unpark()
            elif self._exhausted:
                return
            elif self._ordered:
                self._park_rows()
            elif self._rows_ready is not None and (self._open or self.finished) and not self._rows_ready():
                return
            else:
                self._start(self._take(room if self._at_hand else 1))

    def progress(self) -> bool:
        """Open new rows where others ended; return whether there is something to hand out, or nothing left."""
        self.fill()
        return bool(self.finished) or self.over

    def all_done(self) -> bool:
        """Open new rows where others ended; return whether nothing is left."""
        self.fill()
        return self.over

    def take(self) -> list[Row]:
        """Return the rows that finished since the last call."""
        taken, self.finished = self.finished, []
        return taken

    def close(self) -> None:
        """Withdraw what is unfinished."""
        self._parked.clear()
        self.loop.close()
        for pin in self._pins.values():
            pin.release()

    def _room(self, more: int = 0) -> int:
        """Return how many rows may be opened beside those that are, and `more`, whatever they are run by."""
        return min(self._most - self._open, self._most_bodies - self._bodies) - more

    def _park_rows(self) -> None:
        """Read rows until enough are parked or open, and put them in order, and their sections."""
        taken: list[Row] = []
        unparked = 0  # open as soon as they are started
        while not self._exhausted and (most := min(MOST_PLANS - len(taken), self._room(unparked))) > 0:
            rows = self._take(most)
            taken += rows
            unparked += sum(row.bound is None or row.bound.plan.ranked is None for row in rows)
        found = [_sections(row) for row in taken]
        if any(found):
            for row, orders in zip(taken, arrange_found(found), strict=True):
                row.orders = orders
        self._start(taken, park=True)
        parked = [row for row in taken if row.parked]
        parked.sort(key=attrgetter("rank"))
        for row in parked:
            row.come_last()
        self._parked += parked

    def _take(self, most: int) -> list[Row]:
        """Take the next rows from the source, at most so many, without those that have failed already."""
        rows: list[Row] = []
        taken = 0
        for given, index in itertools.islice(self._rows, most):
            taken += 1
            self.order.append(index)
            error, arguments = self._arguments(given, index)
            row = Row(self.loop, self._program.func, arguments, self._params, index, options=self._options)
            if error is None:
                rows.append(row)
            else:
                row.error, row.done = error, True
                self._open += 1
                self._collect(row)
        self._exhausted = taken < most
        prepare(self._program, rows, self._options, self._fixed)
        return rows

    def _start(self, rows: Sequence[Row], *, park: bool = False) -> None:
        """Start rows; those that are parked are not open yet."""
        context = copy_context()
        for row in rows:
            self._open += 1
            bound = row.bound
            if bound is None:
                self._bodies += 1
                row.is_body = True
            elif bound.pinned and bound not in self._pins:
                self._pins[bound] = self.loop.engine.pin(bound.pinned)
            row.begin(context=context, park=park)
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
        self.finished.append(row)
        if self._row_finished is not None:
            self._row_finished()
