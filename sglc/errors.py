"""Every error a user can meet, each a sentence that says what was found, what was wanted and where."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_NOT_THE_USERS = (str(Path(__file__).resolve().parent), contextlib.__file__)  # `with s.user():` goes through the latter


class Location(NamedTuple):
    """A line of somebody's source."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class SglcError(Exception):
    """The root of sglc's errors; `str()` reads `FILE:LINE: message` where a place is known."""

    def __init__(self, message: str, location: Location | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.location = location

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class ProgramError(SglcError):
    """A mistake in an LLM program: a wrong argument, an unknown variable, a role inside a role."""


class UnknownVariable(ProgramError, KeyError):
    """A name that no statement before the read has set."""

    __str__ = SglcError.__str__


class InputError(SglcError):
    """Something the user handed over that can't be used: a file, a row, an option, a model folder."""


class Unsupported(SglcError):
    """A legal wish that sglc can't fulfil, with the name of what is missing."""


class EngineError(SglcError):
    """A request the engine could not finish, e.g. a prompt longer than the pool."""


class Cancelled(EngineError):
    """A request that was withdrawn before it finished."""


def caller_location() -> Location | None:
    """Return the innermost line outside this package on the current stack, or None."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_NOT_THE_USERS):
            return Location(file, frame.f_lineno)
        frame = frame.f_back
    return None


def error_location(error: BaseException) -> Location | None:
    """Return where an error belongs: its own place if it knows one, else the last line outside this package."""
    known = getattr(error, "location", None)
    if isinstance(known, Location):
        return known
    place = None
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(_NOT_THE_USERS):
            place = Location(file, trace.tb_lineno)
        trace = trace.tb_next
    return place
