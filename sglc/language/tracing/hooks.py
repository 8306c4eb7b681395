"""The hooks that rewritten functions call: what Python would have done, unless a placeholder is in it."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import FunctionType, ModuleType
from typing import Any

from sglc.ir.types import Type
from sglc.language.tracing.active import active
from sglc.language.tracing.calls import call
from sglc.language.tracing.leave import Leave, raised_inside
from sglc.language.tracing.objects import IMMUTABLE, holds_placeholder, is_plain, opens_nothing
from sglc.language.tracing.path import Path
from sglc.language.tracing.placeholder import CONTAINERS, Placeholder

_CONVERSIONS: dict[int, str] = {115: "str", 114: "repr", 97: "ascii"}
_PYTHON_CONVERSIONS: dict[int, Callable[[Any], str]] = {115: str, 114: repr, 97: ascii}
_EXPECTED_ERRORS = (KeyError, IndexError, ZeroDivisionError, StopIteration, ValueError)
"""Errors that come of values, not of placeholders being no values."""

_MUTABLE = (list, dict, set)


class Hooks:
    """One method a hook; outside of a trace each does what the source says, no more."""

    def call(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
        """`function(*arguments, **keywords)`."""
        path = active()
        return function(*arguments, **keywords) if path is None else call(path, function, arguments, keywords)

    def text(self, *parts: Any) -> Any:
        """An f-string: texts, and (value, conversion, format) of what stands in braces."""
        path = active()
        return self._formatted(path, parts)

    def _formatted(self, path: Path | None, parts: Iterable[Any]) -> Any:
        pieces: list[Any] = []
        for part in parts:
            if type(part) is str:
                pieces.append(part)
                continue
            value, conversion, spec = part
            if path is not None and (holds_placeholder(value) or isinstance(spec, Placeholder)):
                if conversion in _CONVERSIONS:
                    value = self._converted(path, value, _CONVERSIONS[conversion])
                elif not isinstance(value, Placeholder) and holds_placeholder(value):
                    value = path.apply("str", value)
                pieces.append(self._with_spec(path, value, spec))
            else:
                if conversion in _CONVERSIONS:
                    value = _PYTHON_CONVERSIONS[conversion](value)
                pieces.append(format(value, spec))
        return "".join(pieces) if path is None else path.concat(pieces)

    @staticmethod
    def _with_spec(path: Path, value: Any, spec: Any) -> Any:
        if spec == "" and isinstance(value, Placeholder):
            if value.type is Type.TEXT:
                return value
            if value.type in (Type.INT, Type.FLOAT, Type.BOOL):
                return path.apply("str", value)
        return path.apply("format", value, spec)

    @staticmethod
    def _converted(path: Path, value: Any, how: str) -> Any:
        if how == "str" and isinstance(value, Placeholder) and value.type is Type.TEXT:
            return value
        return path.apply(how, value)

    def mod(self, left: Any, right: Any) -> Any:
        """`left % right`."""
        path = active()
        if path is not None and type(left) is str and holds_placeholder(right):
            return path.apply("mod", left, right)
        return left % right

    def contains(self, item: Any, container: Any) -> Any:
        """`item in container`."""
        path = active()
        if path is not None and (isinstance(item, Placeholder) or isinstance(container, Placeholder)):
            if isinstance(container, Placeholder) or type(container) in (str, list, tuple):
                return path.apply("contains", container, item)
            if type(container) in (dict, set, frozenset) and item.type in (Type.TEXT, Type.INT):
                return path.apply("contains", list(container), item)
        return item in container

    def lacks(self, item: Any, container: Any) -> Any:
        """`item not in container`."""
        return self._opposite(self.contains(item, container))

    def identical(self, left: Any, right: Any) -> Any:
        """`left is right`."""
        path = active()
        if path is None or not (isinstance(left, Placeholder) or isinstance(right, Placeholder)):
            return left is right
        owner, other = (left, right) if isinstance(left, Placeholder) else (right, left)
        if owner is other:
            return True
        if owner.type is Type.BOOL and type(other) is bool:
            return path.truth(owner) is other
        if isinstance(other, Placeholder) or other is True or other is False or type(other) in (str, int, float):
            raise path.leave("asks whether two values are one object", "compare with ==")
        if other is None and owner.type is Type.VALUE:
            return path.apply("is_none", owner)
        return False

    def distinct(self, left: Any, right: Any) -> Any:
        """`left is not right`."""
        return self._opposite(self.identical(left, right))

    @staticmethod
    def _opposite(value: Any) -> Any:
        return value.path.apply("not", value) if isinstance(value, Placeholder) else not value

    def slice(self, start: Any, stop: Any, step: Any) -> Any:
        """`start:stop:step` between brackets."""
        return slice(start, stop, step)

    def item(self, owner: Any, key: Any) -> Any:
        """`owner[key]`."""
        path = active()
        if path is None or isinstance(owner, Placeholder):
            return owner[key]
        if isinstance(key, Placeholder) and self._in_graph(path, owner):
            return path.item(owner, key)
        if type(key) is slice and type(owner) is str and holds_placeholder((key.start, key.stop, key.step)):
            return path.apply("slice", owner, key.start, key.stop, key.step)
        return owner[key]

    @staticmethod
    def _in_graph(path: Path, owner: Any) -> bool:
        """Whether a lookup can be an operation: all that it may find is known to graphs."""
        if type(owner) is dict:
            return all(is_plain(each) for pair in owner.items() for each in pair)
        return type(owner) is str or (type(owner) in (list, tuple) and all(map(is_plain, owner)))

    def attribute(self, owner: Any, name: str) -> Any:
        """`owner.name`."""
        path = active()
        if path is None or isinstance(owner, Placeholder):
            return getattr(owner, name)
        path.check()
        kind = type(owner)
        if kind.__module__.startswith("sglc.language.tracing") or (
            kind.__module__ == "builtins" and not isinstance(owner, ModuleType | FunctionType | type)
        ):
            return getattr(owner, name)
        described = getattr(kind, name, None)
        if isinstance(described, property) and isinstance(described.fget, FunctionType):
            return call(path, described.fget, (owner,), {})
        value = getattr(owner, name)
        is_method = getattr(value, "__self__", None) is owner
        if id(owner) not in path.fresh and not is_method and not isinstance(owner, (*IMMUTABLE, tuple, BaseException)):
            path.environment.read_attribute(owner, name, value)
            self._came_in(path, name, value)
        return value

    def read_global(self, name: str, value: Any) -> Any:
        """A global or builtin name."""
        path = active()
        if path is not None:
            path.check()
            path.environment.read_global(sys._getframe(1).f_globals, name, value)
            self._came_in(path, name, value)
        return value

    def read_cell(self, name: str, value: Any) -> Any:
        """A variable of a function around the traced one."""
        path = active()
        if path is None:
            return value
        path.check()
        for function in reversed(path.functions):
            names = function.__code__.co_freevars
            if name in names:
                cell = function.__closure__[names.index(name)]
                if cell.cell_contents is value:
                    path.environment.read_cell(cell, name, value)
                    self._came_in(path, name, value)
                    return value
        raise path.leave(f"reads {name!r} of a function that has ended", "pass it as an argument")

    @staticmethod
    def _came_in(path: Path, name: str, value: Any) -> None:
        """Refuse an object from outside whose operators could do anything."""
        if isinstance(value, Placeholder):
            raise path.leave(f"reads {name!r}, which was left over by another trace")
        if hasattr(type(value), "__next__"):
            raise path.leave(f"reads {name!r}, which going through uses up", "pass a list of its items as an argument")
        if not opens_nothing(value):
            raise path.leave(
                f"reads {name!r}, a {type(value).__name__} whose operators could do anything",
                "pass what is needed of it as an argument, or use it in a function given to sglc.call",
            )

    # What changes something

    def change(self, owner: Any) -> Any:
        """`owner` of `owner[key] = …`, `owner.name = …` or `del owner[key]`."""
        path = active()
        if path is None:
            return owner
        path.check()
        if isinstance(owner, Placeholder):
            owner.change()
        kind = type(owner)
        if kind in _MUTABLE:
            if path.environment.is_outside(owner):
                path.environment.forgive(owner)
                raise path.leave("changes something that outlives the program", "return it instead")
        elif not kind.__module__.startswith("sglc.") and id(owner) not in path.fresh:
            path.environment.forgive(owner)
            raise path.leave(f"changes a {kind.__name__} that outlives the program", "return it instead")
        elif id(owner) in path.fresh and "__setattr__" in {name for base in kind.__mro__[:-1] for name in vars(base)}:
            raise path.leave(f"changes a {kind.__name__}, which has its own ways of that")
        return owner

    def augmented(self, operation: str, value: Any, other: Any) -> Any:
        """`value += other`, and the like; returns what `value` is to be."""
        path = active()
        if path is not None:
            path.check()
            if type(value) in _MUTABLE:
                self.change(value)
                if isinstance(other, Placeholder) and operation == "iadd":
                    other = list(other)
            elif operation == "imod":
                return self.mod(value, other)
        return getattr(operator, operation)(value, other)

    def augment_item(self, owner: Any, key: Any, operation: str, other: Any) -> None:
        """`owner[key] += other`, and the like."""
        owner = self.change(owner)
        owner[key] = self.augmented(operation, self.item(owner, key), other)

    def augment_attribute(self, owner: Any, name: str, operation: str, other: Any) -> None:
        """`owner.name += other`, and the like."""
        owner = self.change(owner)
        setattr(owner, name, self.augmented(operation, self.attribute(owner, name), other))

    def effect(self, what: str) -> None:
        """Come before a statement that assigns something outside."""
        path = active()
        if path is not None:
            raise path.leave(what, "return the value instead")

    # Control flow

    def iterate(self, source: Any, count: int) -> Any:
        """What `for` goes through; each item is unpacked into `count` names unless that is 0."""
        path = active()
        if path is None:
            return source
        path.check()
        if not isinstance(source, Placeholder) and not opens_nothing(source) and id(source) not in path.fresh:
            raise path.leave(f"goes through a {type(source).__name__}", "pass a list of its items as an argument")
        return source if not count else (self.unpack(each, count) for each in source)

    def unpack(self, value: Any, count: int) -> Any:
        """`value` of `a, b = value`."""
        path = active()
        if path is not None and isinstance(value, Placeholder):
            return path.unpack(value, count)
        return value

    def context(self, manager: Any) -> Any:
        """`manager` of `with manager:`."""
        path = active()
        if path is not None:
            path.check()
            kind = type(manager)
            if not isinstance(manager, AbstractContextManager) or kind.__module__ not in (
                "contextlib",
                "sglc.language",
            ):
                raise path.leave(
                    f"enters a {kind.__name__}", "enter it outside the program, or in a function given to sglc.call"
                )
            if kind.__name__ in ("suppress", "ExitStack", "closing", "redirect_stdout", "redirect_stderr", "chdir"):
                raise path.leave(f"enters contextlib.{kind.__name__}", "use try and except")
        return manager

    def handling(self) -> None:
        """Come first where an exception is handled: a placeholder must not have caused it."""
        path = active()
        error = sys.exc_info()[1]
        if path is None or error is None:
            return
        if isinstance(error, Leave):
            raise error
        path.check()
        if id(error) in path.genuine or (isinstance(error, _EXPECTED_ERRORS) and not raised_inside(error)):
            return
        raise path.leave(f"handles a {type(error).__name__}", "test for what it means before it comes to that")

    def raised(self, error: Any) -> Any:
        """`error` of `raise error`: one that the program itself means."""
        path = active()
        if path is not None and not isinstance(error, Placeholder):
            error = error() if isinstance(error, type) else error
            path.genuine[id(error)] = error
        return error

    def subject(self, value: Any) -> Any:
        """`value` of `match value:`."""
        path = active()
        if path is not None and holds_placeholder(value):
            return self._structure(path, value)
        return value

    def _structure(self, path: Path, value: Any) -> Any:
        """Return a value with real containers: what patterns take apart."""
        if type(value) in (list, tuple):
            return type(value)(self._structure(path, each) for each in value)
        if type(value) is dict:
            return {key: self._structure(path, each) for key, each in value.items()}
        if isinstance(value, Placeholder) and value.type is Type.BOOL:
            return path.truth(value)  # patterns ask whether it is True, not whether it equals it
        if not isinstance(value, Placeholder) or value.type not in (*CONTAINERS, Type.VALUE):
            return value
        if value.type is Type.VALUE or (value.recipe is None and value.shape is None):
            raise path.leave("matches the structure of a value that is not known yet", "take it apart by index")
        if value.type is Type.DICT:
            return {key: self._structure(path, each) for key, each in path.entries(value, "items")}
        items = [self._structure(path, each) for each in path.items(value)]
        return tuple(items) if value.type is Type.TUPLE else items

    def decorator(self, function: Any) -> Any:
        """A decorator of a function defined inside the program."""
        return lambda decorated: self.call(function, decorated)


HOOKS = Hooks()
