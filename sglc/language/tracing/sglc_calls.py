"""Calls of sglc's own functions inside a traced program: primitives, states, programs inside programs, host code."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from sglc.ir.types import Type
from sglc.language import host_call, primitives
from sglc.language.tracing.closures import Closure, enclosed_values
from sglc.language.tracing.frozen import SCALARS, freeze
from sglc.language.tracing.placeholder import Method, Placeholder
from sglc.language.tracing.twins import is_rewritten

if TYPE_CHECKING:
    from sglc.language.function import SglFunction
    from sglc.language.tracing.path import Path

_TAKE_TEXTS = (
    primitives.system,
    primitives.user,
    primitives.assistant,
    primitives.unordered,
    primitives.separate_reasoning,
)
_PRIMITIVES = (
    *_TAKE_TEXTS,
    *(primitives.gen, primitives.gen_int, primitives.gen_string, primitives.select),
    *(primitives.system_begin, primitives.system_end, primitives.user_begin, primitives.user_end),
    *(primitives.assistant_begin, primitives.assistant_end, primitives.image, primitives.video),
)


def is_ours(function: Any) -> bool:
    """Whether a function belongs to sglc: its language, or a state of a traced program."""
    from sglc.language.function import SglFunction

    if isinstance(function, SglFunction):
        return True
    if isinstance(function, MethodType):
        return type(function.__self__).__module__.startswith("sglc.")
    module = getattr(function, "__module__", None)
    return isinstance(module, str) and module.startswith("sglc.") and isinstance(function, FunctionType | type)


def call(path: Path, function: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Return what a function of sglc's gives in a trace. Raises Leave for one that has no meaning there."""
    from sglc.language.function import SglFunction
    from sglc.language.group import ProgramStateGroup
    from sglc.language.tracing.state import TracedState

    if isinstance(function, SglFunction):
        return run_inside(path, function, arguments, keywords)
    if function is host_call.call:
        return call_host(path, *arguments, **keywords)
    if function in _PRIMITIVES:
        if function not in _TAKE_TEXTS:
            arguments, keywords = _known_arguments(path, arguments, keywords)
        return function(*arguments, **keywords)
    owner = function.__self__ if isinstance(function, MethodType) else None
    if isinstance(owner, TracedState | ProgramStateGroup | primitives.Expression):
        return function(*arguments, **keywords)
    if isinstance(owner, SglFunction):
        if function.__func__ in (SglFunction.run, SglFunction.__call__):
            return run_inside(path, owner, arguments, keywords)
        if function.__func__ is SglFunction.bind:
            return function(*arguments, **keywords)
    name = getattr(function, "__qualname__", str(function))
    raise path.leave(f"calls sglc's {name} inside a program", "call it outside")


def _known_arguments(
    path: Path, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a primitive: all are known but the texts of choices."""
    positions = (1, 19)  # of `choices` in select and in gen; nothing else that they take there is a list of texts
    known = [each if i in positions else _known(path, each) for i, each in enumerate(arguments)]
    named = {name: each if name == "choices" else _known(path, each) for name, each in keywords.items()}
    if isinstance(named.get("choices"), Placeholder):
        named["choices"] = list(named["choices"])
    return [list(each) if isinstance(each, Placeholder) else each for each in known], named


def _known(path: Path, thing: Any) -> Any:
    if isinstance(thing, Placeholder):
        return path.known(thing)
    if type(thing) in (list, tuple):
        return type(thing)(_known(path, each) for each in thing)
    if type(thing) is dict:
        return {_known(path, key): _known(path, value) for key, value in thing.items()}
    return thing


def run_inside(path: Path, program: SglFunction, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Trace a program called by the traced one: its statements follow in the same graph."""
    from sglc.language.tracing.calls import traced_function

    if "backend" in keywords or keywords.get("stream"):
        raise path.leave(f"runs {program.name} on its own", "leave out backend= and stream=")
    given, sampling = program.split({k: v for k, v in keywords.items() if k not in ("stream", "use_thread")})
    bound = program.arguments(tuple(arguments), given)
    if not isinstance(program.func, FunctionType):
        raise path.leave(f"calls {program.name}, whose source can't be read", "write it in a file")
    twin = traced_function(path, program.func)
    state = path.states[-1].called({name: _known(path, value) for name, value in sampling.items()})
    path.states.append(state)
    path.functions.append(twin)
    try:
        state.ret_value = twin(state, **bound)
    finally:
        path.states.pop()
        path.functions.pop()
    return state


def call_host(path: Path, function: Any, *arguments: Any, **keywords: Any) -> Placeholder:
    """Make a call of host code an operation. What a function defined in the program encloses goes with it."""
    from sglc.language.tracing.calls import call_back

    while type(function) is functools.partial:
        arguments, keywords = (*function.args, *arguments), {**function.keywords, **keywords}
        function = function.func
        if function is call_back:  # wrapped when functools.partial was called
            _, function, *rest = arguments
            arguments = tuple(rest)
    if type(function) is Method:
        owner, name = function.owner, function.name.removeprefix("str.")
        if not hasattr(str, name):
            raise path.leave(
                f"gives sglc.call the method {name!r} of a value that is not known yet", "call it in a function"
            )
        function, arguments = getattr(str, name), (owner, *arguments)
    enclosed: dict[str, Any] = {}
    if isinstance(function, FunctionType) and is_rewritten(function):
        enclosed = enclosed_values(path, function)
        identity: Any = (function.__code__, tuple(enclosed))
        hosted: Any = Closure(function, tuple(enclosed))
    else:
        identity, hosted = _identity(path, function), function
    name = path.exploration.name_function(hosted, identity)
    values = [path.lift(each) for each in (*enclosed.values(), *arguments, *keywords.values())]
    attributes: dict[str, Any] = {"fn": name, "number": path.calls}
    if keywords:
        attributes["keywords"] = tuple(keywords)
    path.calls += 1
    path.environment.calls = path.calls
    hint = getattr(function, "__name__", "")
    (value,) = path.emit("call", values, (Type.VALUE,), attributes, hint=hint if hint.isidentifier() else "")
    return Placeholder(path, Type.VALUE, value)


def _identity(path: Path, function: Any) -> Any:
    """Return what tells a host function from others, in this run and the next. Raises Leave where nothing does."""
    if isinstance(function, Placeholder):
        raise path.leave("calls a function that is not known yet")
    owner = getattr(function, "__self__", None)
    if owner is not None and id(owner) in path.fresh:
        raise path.leave("gives sglc.call a method of an object made in the program", "make the object outside")
    if isinstance(function, MethodType):
        return (id(function.__self__), function.__func__)
    if isinstance(function, BuiltinFunctionType) and type(owner) in SCALARS:  # "…".upper is another object each time
        return (freeze(owner, []), function.__name__)
    return id(function)
