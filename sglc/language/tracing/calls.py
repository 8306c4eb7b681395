"""What a trace does with a call: run it, make it an operation, or end there because nobody knows what it would do."""

from __future__ import annotations

import builtins
import collections
import contextlib
import dataclasses
import functools
import inspect
import itertools
import math
import operator
import re
import types
from collections.abc import Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from sglc.ir.functions import BY_CALLABLE, FUNCTIONS
from sglc.ir.types import Type
from sglc.language.tracing import sglc_calls
from sglc.language.tracing.builtin_rules import RULES, python_type_of
from sglc.language.tracing.iterators import settled
from sglc.language.tracing.objects import IMMUTABLE, holds_placeholder, is_plain, opens_nothing
from sglc.language.tracing.placeholder import Method, Placeholder
from sglc.language.tracing.twins import is_rewritten, is_users, twin_of

if TYPE_CHECKING:
    from sglc.language.tracing.leave import Leave
    from sglc.language.tracing.path import Path

Arguments = Sequence[Any]
Keywords = Mapping[str, Any]

WRAP = "wrap it in sglc.call"

_AS_THEY_ARE = {
    *(builtins.bool, builtins.enumerate, builtins.zip, builtins.range, builtins.reversed, builtins.iter, builtins.next),
    *(builtins.all, builtins.any, builtins.set, builtins.frozenset, builtins.dict, builtins.slice, builtins.object),
    *(builtins.callable, builtins.sum, builtins.map, builtins.filter, builtins.bytes, builtins.complex),
    *(builtins.divmod, builtins.pow, builtins.hash, builtins.issubclass, builtins.bytearray, builtins.property),
    *(builtins.abs, builtins.round, builtins.tuple, builtins.list, builtins.len, builtins.super, builtins.staticmethod),
    *(collections.Counter, collections.deque, collections.OrderedDict, collections.defaultdict, collections.ChainMap),
    *(
        collections.namedtuple,
        collections.Counter.most_common,
        collections.Counter.elements,
        functools.partial,
        functools.reduce,
        functools.wraps,
        functools.cmp_to_key,
    ),
    *(functools.cache, functools.lru_cache, dataclasses.dataclass, dataclasses.field, dataclasses.asdict),
    *(dataclasses.astuple, dataclasses.replace, contextlib.nullcontext, re.compile, re.finditer),
    *(each for each in vars(itertools).values() if isinstance(each, type)),
    *(each for each in vars(operator).values() if callable(each) and not isinstance(each, type)),
    *(operator.itemgetter, operator.attrgetter, operator.methodcaller, math.prod, math.gcd, math.comb, math.perm),
}
"""Python's own functions that run as they are: what they ask of placeholders is answered there."""

_OPERATIONS_ON_CONTAINERS = {max, min, sorted, repr, str, format, ascii}
"""Functions that take a whole container with placeholders in it as one operand."""

_METHOD_OWNERS: tuple[Any, ...] = (str, bytes, int, float, bool, tuple, frozenset, list, dict, set, range, *IMMUTABLE)
_METHOD_OWNERS += (collections.deque, collections.Counter, collections.OrderedDict, collections.defaultdict)
_CHANGING_TEXT = (
    "append extend insert remove pop clear sort reverse update setdefault popitem add discard "
    "appendleft popleft extendleft rotate intersection_update difference_update "
    "symmetric_difference_update subtract move_to_end"
)
_CHANGING = frozenset(_CHANGING_TEXT.split())


def call(path: Path, function: Any, arguments: Arguments, keywords: Keywords) -> Any:
    """Return what `function(*arguments, **keywords)` gives in the trace. Raises Leave where that is not known."""
    path.check()
    if isinstance(function, Method):
        return function(*arguments, **keywords)
    if function is call_back:  # wrapped once more, by functools.partial
        return call(path, arguments[1], arguments[2:], keywords)
    if sglc_calls.is_ours(function):
        return sglc_calls.call(path, function, arguments, keywords)
    known = _special(path, function, arguments, keywords)
    if known is not None:
        return known[0]
    if isinstance(function, FunctionType):
        if function in BY_CALLABLE or function in _AS_THEY_ARE:
            return _call_builtin(path, function, arguments, keywords)
        return _call_function(path, function, arguments, keywords)
    if isinstance(function, MethodType):
        return call(path, function.__func__, (function.__self__, *arguments), keywords)
    if isinstance(function, functools.partial):
        return call(path, function.func, (*function.args, *arguments), {**function.keywords, **keywords})
    if isinstance(function, type):
        return _construct(path, function, arguments, keywords)
    if isinstance(function, type(functools.lru_cache(lambda: None))):
        return call(path, function.__wrapped__, arguments, keywords)
    if isinstance(function, BuiltinFunctionType | types.MethodDescriptorType | types.MethodWrapperType):
        return _call_builtin(path, function, arguments, keywords)
    if isinstance(function, operator.itemgetter | operator.attrgetter | operator.methodcaller):
        return function(*arguments)
    method = inspect.getattr_static(type(function), "__call__", None)
    if isinstance(method, FunctionType) and is_users(method):
        return call(path, method, (function, *arguments), keywords)
    raise _unknown(path, function)


def _unknown(path: Path, function: Any) -> Leave:
    name = getattr(function, "__qualname__", None) or type(function).__name__
    module = getattr(function, "__module__", None)
    owner = getattr(function, "__self__", None)
    if module is None and owner is not None and not isinstance(owner, types.ModuleType):
        name = f"{type(owner).__name__}.{getattr(function, '__name__', name)}"
    shown = name if module in (None, "builtins", "__main__") else f"{module}.{name}"
    return path.leave(f"calls {shown}, which is not known to be pure", WRAP)


# Functions of the user


def traced_function(path: Path, function: FunctionType) -> FunctionType:
    """Return the function to run in place of `function`: itself if it is rewritten, else its twin."""
    from sglc.language.tracing.hooks import HOOKS

    if is_rewritten(function):
        return function
    if not is_users(function) and function.__module__ != path.exploration.program.func.__module__:
        raise _unknown(path, function)
    twin = twin_of(function, HOOKS)
    if twin is None:
        raise path.leave(f"calls {function.__qualname__}, whose source can't be read", WRAP)
    return twin


def _call_function(path: Path, function: FunctionType, arguments: Arguments, keywords: Keywords) -> Any:
    wrapped = getattr(function, "__wrapped__", None)
    if function.__module__ == "contextlib" or function.__code__.co_filename == contextlib.__file__:
        if isinstance(wrapped, FunctionType):
            generator = traced_function(path, wrapped)
            return contextlib.contextmanager(generator)(*arguments, **keywords)
    twin = traced_function(path, function)
    if inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin):
        raise path.leave(f"calls {function.__qualname__}, which is asynchronous", WRAP)
    path.functions.append(twin)
    try:
        return twin(*arguments, **keywords)
    finally:
        path.functions.pop()


def traced_arguments(path: Path, function: Any, arguments: Arguments) -> list[Any]:
    """Return arguments for a function of Python's own: functions among them are traced when it calls them."""
    kinds: tuple[type, ...] = (FunctionType, MethodType)
    if function in _CALLING_BACK:
        kinds = (*kinds, BuiltinFunctionType, types.MethodDescriptorType, type, Method)
    return [functools.partial(call_back, path, each) if type(each) in kinds else each for each in arguments]


_CALLING_BACK = {map, filter, functools.reduce, functools.partial}
_CALLING_BACK |= {each for each in vars(itertools).values() if isinstance(each, type)}
"""Functions of Python's own whose arguments they call; what they get is called in the trace."""


def call_back(path: Path, function: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a function of the user's for a function of Python's own."""
    return call(path, function, arguments, keywords)


# Classes


def _construct(path: Path, kind: Any, arguments: Arguments, keywords: Keywords) -> Any:
    if kind in _AS_THEY_ARE or kind in BY_CALLABLE:
        return _call_builtin(path, kind, arguments, keywords)
    if issubclass(kind, BaseException) or kind in (type, types.SimpleNamespace):
        if kind is type and len(arguments) == 1:
            return python_type_of(path, arguments[0])
        made = kind(*arguments, **keywords)
        path.fresh[id(made)] = made
        return made
    if issubclass(kind, IMMUTABLE) and kind.__module__ != "builtins":
        return kind(
            *_known_all(path, arguments), **dict(zip(keywords, _known_all(path, [*keywords.values()]), strict=True))
        )
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return kind(*arguments, **keywords)
    initialize: Any = kind.__init__
    new: Any = kind.__new__
    if type(kind) is not type or new is not object.__new__:
        raise _unknown(path, kind)
    generated = dataclasses.is_dataclass(kind) and "__init__" in vars(kind) and not is_users_init(initialize)
    if generated and hasattr(kind, "__post_init__"):
        raise _unknown(path, kind)
    if generated or initialize is object.__init__:
        instance = kind(*arguments, **keywords)
        path.fresh[id(instance)] = instance
        return instance
    if not isinstance(initialize, FunctionType) or not opens_nothing(object.__new__(kind)):
        raise _unknown(path, kind)
    instance = object.__new__(kind)
    path.fresh[id(instance)] = instance
    _call_function(path, initialize, (instance, *arguments), keywords)
    return instance


def is_users_init(initialize: Any) -> bool:
    """Whether a class has an `__init__` that somebody wrote."""
    return isinstance(initialize, FunctionType) and not initialize.__code__.co_filename.startswith("<")


# Functions of Python's own


def _call_builtin(path: Path, function: Any, arguments: Arguments, keywords: Keywords) -> Any:
    symbolic = any(map(holds_placeholder, arguments)) or any(map(holds_placeholder, keywords.values()))
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType | type):
        return _call_method(path, function, owner, arguments, keywords, symbolic)
    row = BY_CALLABLE.get(function)
    if row is not None:
        if not symbolic:
            return _run(path, function, arguments, keywords)
        whole = any(isinstance(each, Placeholder) for each in (*arguments, *keywords.values()))
        if whole or function in _OPERATIONS_ON_CONTAINERS or function not in _AS_THEY_ARE:
            return path.apply(row.name, *map(settled, arguments), **keywords)
    if function in _AS_THEY_ARE:
        return _run(path, function, arguments, keywords)
    if isinstance(owner, type) and owner in (dict, str, int, float, bytes) and not symbolic:  # dict.fromkeys
        return function(*arguments, **keywords)
    if isinstance(function, types.MethodDescriptorType) and function.__objclass__ in _METHOD_OWNERS and arguments:
        bound = getattr(arguments[0], function.__name__)
        return call(path, bound, arguments[1:], keywords)
    raise _unknown(path, function)


def _run(path: Path, function: Any, arguments: Arguments, keywords: Keywords) -> Any:
    """Run a function of Python's own as it is."""
    named = traced_arguments(path, function, list(keywords.values()))
    return function(*traced_arguments(path, function, arguments), **dict(zip(keywords, named, strict=True)))


def _call_method(
    path: Path, function: Any, owner: Any, arguments: Arguments, keywords: Keywords, symbolic: bool
) -> Any:
    name = function.__name__
    if type(owner) is str:
        if name == "join" and len(arguments) == 1:
            return _join(path, owner, arguments[0])
        if symbolic and f"str.{name}" in FUNCTIONS:
            return path.apply(f"str.{name}", owner, *arguments, **keywords)
    if not isinstance(owner, _METHOD_OWNERS) and not isinstance(owner, types.GeneratorType):
        raise _unknown(path, function)
    if name in _CHANGING and path.environment.is_outside(owner):
        path.environment.forgive(owner)
        raise path.leave("changes something that outlives the program", "return it instead")
    if type(owner) is re.Pattern and symbolic and f"re.{name}" in FUNCTIONS and isinstance(owner.pattern, str):
        return path.apply(f"re.{name}", owner.pattern, *arguments, **keywords, flags=int(owner.flags))
    if isinstance(owner, IMMUTABLE) and symbolic and type(owner) is not str:
        arguments = _known_all(path, arguments)
    if name in ("extend", "update") and arguments and isinstance(arguments[0], Placeholder):
        arguments = (list(arguments[0]), *arguments[1:])
    if type(owner) is dict and name == "get" and symbolic and is_plain(owner):
        return path.apply("dict.get", owner, *arguments)
    return _run(path, function, arguments, keywords)


def _join(path: Path, separator: str, parts: Any) -> Any:
    if isinstance(parts, Placeholder):
        return path.apply("str.join", separator, parts)
    pieces = list(parts)
    if not any(isinstance(each, Placeholder) for each in pieces):
        return separator.join(pieces)
    if all(path.kind_of(each) is Type.TEXT for each in pieces):
        spread = [each for piece in pieces for each in (separator, piece)][1:]
        return path.concat(spread)
    return path.apply("str.join", separator, pieces)


def _known_all(path: Path, arguments: Arguments) -> list[Any]:
    return [path.known(each) if isinstance(each, Placeholder) else each for each in arguments]


def _special(path: Path, function: Any, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    """Return the result, in a tuple, of a call that is no plain one; None for others."""
    try:
        rule = RULES.get(function)
    except TypeError:  # not hashable
        return None
    return rule(path, arguments, keywords) if rule is not None else None
