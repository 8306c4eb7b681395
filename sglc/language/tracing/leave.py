"""How a trace ends before its program does."""

from __future__ import annotations

from pathlib import Path

from sglc.errors import Location

_HERE = Path(__file__).resolve().parent


class Leave(BaseException):
    """Raised through a traced function where it can't be captured further; no Exception: programs don't catch it."""

    def __init__(self, cause: str, mend: str, location: Location | None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.mend = mend
        self.location = location


def raised_inside(error: BaseException) -> bool:
    """Whether an error comes of sglc's own tracing, and not of what a hook did for the program."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = Path(trace.tb_frame.f_code.co_filename) if trace is not None else Path()
    return place.parent == _HERE and place.name not in ("hooks.py", "calls.py")


class Nondeterminism(BaseException):
    """Raised where a function does something else when it runs again."""

    def __init__(self, location: Location | None) -> None:
        super().__init__()
        self.location = location
