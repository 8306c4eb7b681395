"""Functions defined inside a program and given to `sglc.call`: what they enclose becomes operands of the call."""

from __future__ import annotations

import dis
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from sglc.language.tracing.objects import holds_placeholder, is_plain
from sglc.language.tracing.twins import is_rewritten

if TYPE_CHECKING:
    from sglc.language.tracing.path import Path


class Closure:
    """A function whose first arguments are the values it encloses, by name in `enclosed`."""

    def __init__(self, function: FunctionType, enclosed: tuple[str, ...]) -> None:
        self._function = function
        self._enclosed = enclosed
        self.__module__ = function.__module__
        self.__qualname__ = function.__qualname__

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function, made anew around the first arguments."""
        count = len(self._enclosed)
        values = dict(zip(self._enclosed, arguments[:count], strict=True))
        original = self._function
        names = original.__code__.co_freevars
        cells = tuple(
            CellType(values[name]) if name in values else cell
            for name, cell in zip(names, original.__closure__ or (), strict=True)
        )
        function = FunctionType(
            original.__code__, original.__globals__, original.__name__, original.__defaults__, cells
        )
        function.__kwdefaults__ = original.__kwdefaults__
        return function(*arguments[count:], **keywords)


def enclosed_values(path: Path, function: FunctionType) -> dict[str, Any]:
    """Return what a function takes from inside the program, by name. Raises Leave for what graphs can't hold."""
    outside = {id(cell) for each in path.functions[:1] for cell in each.__closure__ or ()}
    found: dict[str, Any] = {}
    if holds_placeholder(function.__defaults__ or ()) or holds_placeholder(
        list((function.__kwdefaults__ or {}).values())
    ):
        raise path.leave("gives sglc.call a function with defaults of its own", "pass them as its arguments")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if id(cell) in outside:
            continue
        value = cell.cell_contents
        if isinstance(value, FunctionType) and is_rewritten(value) and not enclosed_values(path, value):
            continue
        if not is_plain(value) or _assigns(function, name):
            raise path.leave(
                f"gives sglc.call a function that takes {name!r} from inside the program", "pass it as an argument"
            )
        found[name] = value
    return found


def _assigns(function: FunctionType, name: str) -> bool:
    instructions = dis.get_instructions(function.__code__)
    return any(each.opname in ("STORE_DEREF", "DELETE_DEREF") and each.argval == name for each in instructions)
