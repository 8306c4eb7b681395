"""The plans that rows are going to run by, made before they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sglc.backend.bound import PlannedRow
from sglc.codegen.arrangement import arrange_found
from sglc.language.feed import MOST_PLANS, fixed_arguments
from sglc.language.options import RunOptions

if TYPE_CHECKING:
    from sglc.backend.engine import Engine
    from sglc.ir.sampling import SamplingParams
    from sglc.language.capture import Capture, Variant
    from sglc.language.function import SglFunction

_UNOPTIMIZED = RunOptions(())


@dataclass(frozen=True, slots=True)
class PlannedRows:
    """Rows that run by plans, by their numbers, each with its capture, and the numbers of those that run in Python.

    A captured row whose program goes on in Python is among the latter, too.
    """

    rows: Mapping[int, tuple[Capture, PlannedRow]]
    in_python: tuple[int, ...]

    @property
    def wholly_captured(self) -> bool:
        """Whether no row runs in Python, nor any part of one."""
        return not self.in_python

    @property
    def plans(self) -> list[PlannedRow]:
        """The rows' plans, in order."""
        return [row for _, row in self.rows.values()]

    @property
    def calls(self) -> bool:
        """Whether any row may call host code."""
        return any(row.plan.plan.calls for row in self.plans)

    def by_capture(self) -> list[tuple[Capture, list[int]]]:
        """Return each capture with the numbers of its rows."""
        found: dict[int, tuple[Capture, list[int]]] = {}
        for number, (capture, _) in self.rows.items():
            found.setdefault(id(capture), (capture, []))[1].append(number)
        return [*found.values()]


def planned_rows(
    program: SglFunction,
    rows: Iterable[Mapping[str, Any]],
    params: SamplingParams,
    engine: Engine,
    options: RunOptions,
) -> PlannedRows:
    """Capture a program for rows and make their plans, which those runs find that follow."""
    found: dict[int, tuple[Capture, PlannedRow]] = {}
    in_python: list[int] = []
    fixed = fixed_arguments(program)
    for number, given in enumerate(rows):
        arguments = program.arguments((), given)
        variant = None if options.eager else program.variant(arguments, params)
        row = _planned(variant, arguments, params, engine, options, fixed) if variant is not None else None
        if variant is None or row is None or variant.capture.tier not in ("captured", "specialized"):
            in_python.append(number)
        if variant is not None and row is not None:
            found[number] = variant.capture, row
    return PlannedRows(_arranged(found), tuple(in_python))


def _planned(
    variant: Variant,
    arguments: Mapping[str, Any],
    params: SamplingParams,
    engine: Engine,
    options: RunOptions,
    fixed: Mapping[str, Any],
) -> PlannedRow | None:
    unoptimized = variant.plan(engine.tokenizer, params, _UNOPTIMIZED, fixed)
    plan = variant.plan(engine.tokenizer, params, options, fixed)
    if plan is None or unoptimized is None:
        return None
    bound, unoptimized_bound = plan.bind(engine, params), unoptimized.bind(engine, params)
    if bound is None or unoptimized_bound is None:
        return None
    return PlannedRow(bound, [arguments[name] for name in plan.arguments], unoptimized_bound)


def _arranged(rows: Mapping[int, tuple[Capture, PlannedRow]]) -> Mapping[int, tuple[Capture, PlannedRow]]:
    """Return rows with the orders of their sections, as they are found where rows are at hand as a list."""
    readers = {number: row.plan.plan.sections for number, (_, row) in rows.items()}
    if not any(readers.values()):
        return rows
    arranged: dict[int, tuple[Capture, PlannedRow]] = {}
    numbers = [*rows]
    for start in range(0, len(numbers), MOST_PLANS):
        some = numbers[start : start + MOST_PLANS]
        found = [reader.read(rows[n][1].arguments) if (reader := readers[n]) is not None else {} for n in some]
        for number, orders in zip(some, arrange_found(found), strict=True):
            capture, row = rows[number]
            arranged[number] = capture, row._replace(orders=orders)
    return arranged
