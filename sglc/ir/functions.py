"""The pure functions that graphs may apply: each computes from its operands and does nothing else."""

from __future__ import annotations

import builtins
import html
import json
import math
import operator
import re
import string
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sglc.ir.types import Type


@dataclass(frozen=True, slots=True)
class Function:
    """A pure function: its name in graphs, what computes it, the type it always returns (`value`: it depends).

    `total` functions never raise when their first operand is a text; the others may, so that even an unused one stays.
    """

    name: str
    compute: Callable[..., Any]
    result: Type = Type.VALUE
    total: bool = False


def as_text(value: Any) -> str:
    """Return `value`, which must be a text: what can be appended to a prompt."""
    if type(value) is not str:
        raise TypeError(f"found {value!r} of type {type(value).__name__}; wanted text")
    return value


def sole_type(value: Any, name: str) -> bool:
    """Return whether the type of `value` has this qualified name: `type(x) is T` as a graph says it."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}" == name


def unpacked(value: Any, count: int) -> tuple[Any, ...]:
    """Return `count` items. Raises ValueError if there are fewer or more."""
    items = tuple(value)
    if len(items) != count:
        raise ValueError(f"found {len(items)} values to unpack; wanted {count}")
    return items


def best(keys: Sequence[Any], largest: bool) -> int:
    """Return where the first largest (or smallest) key is: `max(items, key=…)` less the items."""
    return (max if largest else min)(range(len(keys)), key=keys.__getitem__)


def ranking(keys: Sequence[Any], reverse: bool) -> list[int]:
    """Return the places of keys in sorted order: `sorted(items, key=…)` less the items."""
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse)


def picked(items: Sequence[Any], places: Sequence[int]) -> list[Any]:
    """Return the items at these places."""
    return [items[i] for i in places]


_TEXT_METHODS = {
    Type.TEXT: (
        "capitalize casefold center expandtabs format join ljust lower lstrip removeprefix removesuffix replace "
        "rjust rstrip strip swapcase title upper zfill translate"
    ),
    Type.BOOL: (
        "endswith isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace "
        "istitle isupper startswith"
    ),
    Type.INT: "count find rfind index rindex",
    Type.TEXTS: "split rsplit splitlines",
    Type.TUPLE: "partition rpartition",
    Type.VALUE: "encode",
}
_TOTAL_NAMES = (
    "capitalize casefold lower lstrip rstrip strip swapcase title upper isalnum isalpha isascii isdecimal isdigit "
    "isidentifier islower isnumeric isprintable isspace istitle isupper splitlines"
)
_TOTAL_METHODS = frozenset(_TOTAL_NAMES.split())
"""Never raise for a text and no further operand."""

_OPERATORS: dict[str, tuple[Callable[..., Any], Type]] = {
    "add": (operator.add, Type.VALUE),
    "sub": (operator.sub, Type.VALUE),
    "mul": (operator.mul, Type.VALUE),
    "truediv": (operator.truediv, Type.VALUE),
    "floordiv": (operator.floordiv, Type.VALUE),
    "mod": (operator.mod, Type.VALUE),
    "pow": (operator.pow, Type.VALUE),
    "divmod": (divmod, Type.TUPLE),
    "and": (operator.and_, Type.VALUE),
    "or": (operator.or_, Type.VALUE),
    "xor": (operator.xor, Type.VALUE),
    "neg": (operator.neg, Type.VALUE),
    "pos": (operator.pos, Type.VALUE),
    "abs": (abs, Type.VALUE),
    "eq": (operator.eq, Type.VALUE),
    "ne": (operator.ne, Type.VALUE),
    "lt": (operator.lt, Type.VALUE),
    "le": (operator.le, Type.VALUE),
    "gt": (operator.gt, Type.VALUE),
    "ge": (operator.ge, Type.VALUE),
    "not": (operator.not_, Type.BOOL),
    "is_none": (lambda value: value is None, Type.BOOL),
    "contains": (operator.contains, Type.BOOL),
    "getitem": (operator.getitem, Type.VALUE),
    "slice": (lambda value, start, stop, step: value[start:stop:step], Type.VALUE),
    "attribute": (lambda value, name: _field(value, name), Type.VALUE),
    "as_text": (as_text, Type.TEXT),
    "same": (lambda value: value, Type.VALUE),
    "unpacked": (unpacked, Type.TUPLE),
    "has_type": (sole_type, Type.BOOL),
    "best": (best, Type.INT),
    "ranking": (ranking, Type.LIST),
    "picked": (picked, Type.LIST),
    "dict.get": (dict.get, Type.VALUE),
    "list.count": (list.count, Type.INT),
    "list.index": (list.index, Type.INT),
    "tuple.count": (tuple.count, Type.INT),
    "tuple.index": (tuple.index, Type.INT),
}
_TOTAL_OPERATORS = {"not", "is_none", "same", "has_type", "eq", "ne"}

_BUILTINS = {
    Type.INT: "len int ord",
    Type.FLOAT: "float",
    Type.BOOL: "bool all any",
    Type.TEXT: "str repr format ascii chr hex oct bin",
    Type.LIST: "list sorted",
    Type.TUPLE: "tuple",
    Type.VALUE: "max min sum round",
}

_MODULES: dict[Any, str] = {
    math: "ceil floor trunc sqrt exp log log2 log10 pow fabs fsum isclose isfinite isinf isnan hypot",
    json: "loads dumps",
    re: "search match fullmatch findall sub split escape",
    html: "escape unescape",
    textwrap: "dedent indent fill wrap shorten",
    string: "capwords",
}


def _field(value: Any, name: str) -> Any:
    """Return a named field of a named tuple, the only attribute that graphs read."""
    if name not in getattr(type(value), "_fields", ()):
        raise AttributeError(f"found the attribute {name!r} of a {type(value).__name__}; wanted a named tuple's field")
    return getattr(value, name)


def _all() -> dict[str, Function]:
    table = {name: Function(name, fn, kind, name in _TOTAL_OPERATORS) for name, (fn, kind) in _OPERATORS.items()}
    for kind, names in _TEXT_METHODS.items():
        for name in names.split():
            full = f"str.{name}"
            table[full] = Function(full, getattr(str, name), kind, name in _TOTAL_METHODS)
    for kind, names in _BUILTINS.items():
        for name in names.split():
            table[name] = Function(name, getattr(builtins, name), kind, name in ("str", "repr", "bool"))
    for module, names in _MODULES.items():
        for name in names.split():
            full = f"{module.__name__}.{name}"
            table[full] = Function(full, getattr(module, name))
    table["match.group"] = Function("match.group", _group)
    table["match.groups"] = Function("match.groups", lambda found: found.groups(), Type.TUPLE)
    return table


def _group(found: re.Match[str], *groups: Any) -> Any:
    return found.group(*groups)


FUNCTIONS: Mapping[str, Function] = _all()
"""Name in graphs → function."""

BY_CALLABLE: Mapping[Any, Function] = {f.compute: f for f in FUNCTIONS.values() if f.name not in _OPERATORS}
"""Python's own function → its row: how a tracer knows what it sees being called."""
