"""Objects that a trace may meet: which of them do nothing but hold what they hold."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import re
import types
import typing
import uuid
from typing import Any

from sglc.language.tracing.frozen import SCALARS
from sglc.language.tracing.iterators import is_iterator
from sglc.language.tracing.placeholder import Placeholder

IMMUTABLE: tuple[Any, ...] = (
    *SCALARS,
    complex,
    range,
    slice,
    re.Pattern,
    re.Match,
    decimal.Decimal,
    fractions.Fraction,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    uuid.UUID,
    enum.Enum,
    pathlib.PurePath,
    type(Ellipsis),
    type(NotImplemented),
)
"""Values of Python and its library that nothing can change."""

_CONTAINERS: tuple[Any, ...] = (
    list,
    tuple,
    dict,
    set,
    frozenset,
    collections.deque,
    collections.Counter,
    collections.OrderedDict,
)
_CONTAINERS += (collections.defaultdict, types.MappingProxyType, type({}.keys()), type({}.values()), type({}.items()))

_CALLABLES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    functools.partial,
    type(functools.lru_cache(lambda: None)),
    type,
    types.ModuleType,
    types.GenericAlias,
    type(typing.Any),
    property,
    staticmethod,
    classmethod,
)

_HARMLESS = {"__eq__", "__hash__", "__repr__", "__str__", "__init__", "__class_getitem__", "__match_args__"}
_OPERATORS_TEXT = (
    "__getattr__ __getattribute__ __getitem__ __setitem__ __iter__ __next__ __len__ __bool__ "
    "__contains__ __add__ __radd__ __iadd__ __mul__ __rmul__ __mod__ __sub__ __lt__ __le__ __gt__ "
    "__ge__ __enter__ __exit__ __del__ __format__ __int__ __float__ __index__ __and__ __or__ "
    "__missing__"
)
_OPERATORS = frozenset(_OPERATORS_TEXT.split())


def holds_placeholder(thing: Any) -> bool:
    """Whether a value is a placeholder, or a container that holds one."""
    if isinstance(thing, Placeholder):
        return True
    if type(thing) in (list, tuple, set, frozenset):
        return any(holds_placeholder(each) for each in thing)
    return type(thing) is dict and any(holds_placeholder(each) for pair in thing.items() for each in pair)


def is_plain(thing: Any) -> bool:
    """Whether a value is one that graphs hold: a placeholder, text, numbers, and lists, tuples, dicts of them."""
    if isinstance(thing, Placeholder):
        return True
    if type(thing) in (list, tuple):
        return all(map(is_plain, thing))
    if type(thing) is dict:
        return all(is_plain(each) for pair in thing.items() for each in pair)
    return type(thing) in SCALARS and type(thing) is not bytes


def opens_nothing(thing: Any) -> bool:
    """Whether reading, comparing or going through an object runs no code but Python's own, with no effect."""
    if isinstance(thing, Placeholder):
        return True
    kind = type(thing)
    if kind in _CONTAINERS or isinstance(thing, (*IMMUTABLE, *_CALLABLES)):
        return True
    if kind.__module__.startswith(("sglc.", "enum", "itertools")) or kind in (enumerate, zip, map, filter, reversed):
        return True
    if is_iterator(thing):
        return True
    if isinstance(thing, tuple):  # a named tuple
        return hasattr(kind, "_fields")
    if isinstance(thing, BaseException):
        return True
    return _is_record(kind)


def _is_record(kind: type) -> bool:
    """Whether a class has no operators of its own, so that its instances only have attributes and methods."""
    for base in kind.__mro__[:-1]:
        own = set(vars(base)) & _OPERATORS
        if own - _HARMLESS:
            return False
        if "__eq__" in vars(base) and not dataclasses.is_dataclass(base):
            return False
    return kind.__module__ != "builtins"
