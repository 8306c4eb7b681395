"""The graphs that a command shows: those of a file of rows, the one for some arguments, or the one for any."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sglc.errors import InputError, ProgramError
from sglc.language.capture import Capture
from sglc.language.function import SglFunction, params_of
from sglc.rows import Row, Signature, parse_rows, read_rows

STREAM = "-"
"""The name of stdin for rows."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A capture, and how many of the rows it is good for; None where there are no rows."""

    capture: Capture
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Captured:
    """What was captured of a program, and how many rows no graph is good for."""

    shown: tuple[Shown, ...]
    left: int = 0


def capture_program(function: SglFunction, rows: str | None, args: str | None) -> Captured:
    """Return a program's graphs: one for each kind of row, or for arguments as JSON. Raises InputError.

    Without either, and for arguments left out, the graph is for any text (or what an annotation says).
    """
    if rows is not None and args is not None:
        raise InputError("found --rows and --args; wanted one of them")
    if rows is None:
        try:
            return Captured((Shown(function.trace(**_arguments(args))),))
        except ProgramError as error:
            raise InputError(f"--args: {error.message}") from None
    found: dict[int, tuple[Capture, int]] = {}
    left = 0
    for row in _rows(rows, function):
        variant = function.variant(function.arguments((), row.fields), params_of({}))
        if variant is None:
            left += 1
            continue
        _, before = found.get(id(variant.capture), (None, 0))
        found[id(variant.capture)] = variant.capture, before + 1
    if not found:
        raise InputError(f"{rows}: found no rows; wanted at least one")
    return Captured(tuple(Shown(capture, count) for capture, count in found.values()), left)


def read_all_rows(rows: str, function: SglFunction) -> list[Mapping[str, Any]]:
    """Return the fields of all rows of a file or stdin. Raises InputError where there are none, or unusable ones."""
    found: list[Mapping[str, Any]] = [row.fields for row in _rows(rows, function)]
    if not found:
        raise InputError(f"{rows}: found no rows; wanted at least one")
    return found


def _arguments(text: str | None) -> Mapping[str, Any]:
    """Return arguments given as JSON. Raises InputError."""
    if text is None:
        return {}
    try:
        given = json.loads(text)
    except ValueError as error:
        raise InputError(f"--args: found malformed JSON ({error}); wanted an object of arguments") from None
    if not isinstance(given, dict):
        raise InputError(f"--args: found {text!r}; wanted an object of arguments by name")
    return given


def _rows(rows: str, function: SglFunction) -> Iterator[Row]:
    """Yield the rows. Raises InputError for one that is unusable, and for a file that is."""
    signature = Signature(tuple(function.arg_names), frozenset(function.required))
    if rows != STREAM:
        if not Path(rows).is_file():
            raise InputError(f"{rows}: found no file; wanted a file of rows")
        yield from read_rows(Path(rows), signature)
        return
    for row in parse_rows(sys.stdin.buffer, "<stdin>", signature):
        if row.error is not None:
            raise row.error
        yield row
