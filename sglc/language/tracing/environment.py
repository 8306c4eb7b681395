"""What a trace has read of the world around its program: globals, closure cells, attributes; is it still the same?"""

from __future__ import annotations

import builtins
import collections
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CellType
from typing import Any

from sglc.language.tracing.frozen import Key, containers_in, freeze, is_record

_MISSING = object()


@dataclass(slots=True)
class _Reading:
    """One thing read: what names it, how to read it again, what it was, and behind how many host calls it is read."""

    name: str
    again: Callable[[], Any]
    value: Any
    key: Key | None  # None: known by its identity
    first: int
    last: int

    def has_changed(self) -> bool:
        """Whether it is something else now."""
        value = self.again()
        if self.key is None:
            return value is not self.value and not _same_scalar(value, self.value)
        return _key(value, []) != self.key


@dataclass(slots=True)
class Environment:
    """Readings, each checked anew before a trace is used again. Containers and records count by their contents."""

    calls: int = 0  # host calls of the run that reads now
    _readings: dict[tuple[Any, ...], _Reading] = field(default_factory=dict)
    _reads: dict[tuple[Any, ...], int] = field(default_factory=dict)  # of the run that reads now
    _alive: list[Any] = field(default_factory=list)
    _outside: dict[int, Any] = field(default_factory=dict)

    def start_run(self) -> None:
        """Begin a run of the function."""
        self.calls = 0
        self._reads.clear()

    def read_global(self, names: dict[str, Any], name: str, value: Any) -> None:
        """Note the value of a global name, or of a builtin one."""
        self._note(("global", id(names), name), name, lambda: _global(names, name), value)

    def read_cell(self, cell: CellType, name: str, value: Any) -> None:
        """Note the value of a variable of an enclosing function."""
        self._note(("cell", id(cell)), name, lambda: _contents(cell), value)

    def read_attribute(self, owner: Any, name: str, value: Any) -> None:
        """Note the value of an attribute."""
        self._alive.append(owner)
        self._note(("attribute", id(owner), name), name, lambda: getattr(owner, name, _MISSING), value)

    def _note(self, where: tuple[Any, ...], name: str, again: Callable[[], Any], value: Any) -> None:
        self._reads[where] = self._reads.get(where, 0) + 1
        known = self._readings.get(where)
        if known is not None:
            known.first, known.last = min(known.first, self.calls), max(known.last, self.calls)
            return
        self._readings[where] = _Reading(name, again, value, _key(value, self._alive), self.calls, self.calls)
        for container in containers_in(value):
            self.add_outside(container)

    def forgive(self, thing: Any) -> None:
        """Forget what is in something that this run has read only to change it, where the run ends."""
        for where, reading in list(self._readings.items()):
            if reading.value is thing and self._reads.get(where) == 1 and reading.first == self.calls:
                del self._readings[where]

    def add_outside(self, thing: Any) -> None:
        """Note an object that was there before the program ran: changing it is an effect."""
        self._outside[id(thing)] = thing

    def is_outside(self, thing: Any) -> bool:
        """Whether an object was there before the program ran."""
        return id(thing) in self._outside

    def changed(self, calls: int = 0) -> list[tuple[str, bool]]:
        """Return what is read behind `calls` host calls and is no longer what it was, each with whether before too."""
        return [
            (each.name, each.first < calls)
            for each in self._readings.values()
            if each.last >= calls and each.has_changed()
        ]


def _key(value: Any, alive: list[Any]) -> Key | None:
    """Return what tells whether something is still the same; None where its identity does."""
    if isinstance(value, list | tuple | dict | set | frozenset | collections.deque | float):
        return freeze(value, alive)
    if is_record(value):
        return (id(value), freeze(dict(vars(value)), alive))
    return None


def _same_scalar(a: Any, b: Any) -> bool:
    return type(a) is type(b) and type(a) in (str, int, bool, bytes) and bool(a == b)


def _global(names: dict[str, Any], name: str) -> Any:
    return names[name] if name in names else getattr(builtins, name, _MISSING)


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING
