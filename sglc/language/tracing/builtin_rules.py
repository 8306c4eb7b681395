"""Builtin functions with a meaning of their own in a trace: what they ask of a placeholder is answered symbolically."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sglc.ir.types import python_type
from sglc.language.tracing.objects import holds_placeholder, is_plain
from sglc.language.tracing.placeholder import Placeholder

if TYPE_CHECKING:
    from sglc.language.tracing.path import Path

Arguments = Sequence[Any]
Keywords = Mapping[str, Any]
Rule = Callable[["Path", Arguments, Keywords], tuple[Any] | None]

WRAP = "wrap it in sglc.call"


def _isinstance(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    from sglc.language.state import ProgramState
    from sglc.language.tracing.state import TracedState

    value, kinds = arguments
    if type(value) is TracedState:
        return (issubclass(ProgramState, kinds),)
    if not isinstance(value, Placeholder):
        return (isinstance(value, kinds),)
    python = python_type(value.type)
    if python is not None:
        return (issubclass(python, kinds),)
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)
    exact = [kind for kind in wanted if kind in (str, int, float, bool, list, dict, tuple)]
    if len(exact) != len(wanted) or int in exact:  # True is an int too
        raise path.leave("asks for the type of a value that is not known yet")
    for kind in exact:
        if path.truth(path.apply("has_type", value, f"builtins.{kind.__name__}")):
            return (True,)
    return (False,)


def python_type_of(path: Path, value: Any) -> Any:
    if not isinstance(value, Placeholder):
        return type(value)
    python = python_type(value.type)
    if python is None:
        raise path.leave("asks for the type of a value that is not known yet")
    return python


def _getattr(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    from sglc.language.tracing.hooks import HOOKS

    owner, name, *default = arguments
    try:
        return (HOOKS.attribute(owner, path.known(name) if isinstance(name, Placeholder) else name),)
    except AttributeError:
        if not default:
            raise
        return (default[0],)


def _hasattr(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    missing = object()
    found = _getattr(path, (*arguments, missing), keywords)
    return (found is not None and found[0] is not missing,)


def _setattr(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    from sglc.language.tracing.hooks import HOOKS

    owner, name, value = arguments
    setattr(HOOKS.change(owner), name, value)
    return (None,)


def _best(function: Callable[..., Any]) -> Callable[..., tuple[Any] | None]:
    """`max` and `min` of things among which placeholders decide: the index of the best key is one operation."""

    def rule(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
        from sglc.language.tracing import calls

        key = keywords.get("key")
        if set(keywords) - {"key"} or (len(arguments) == 1 and isinstance(arguments[0], Placeholder) and key is None):
            return None
        items = path.resolved(list(arguments[0]) if len(arguments) == 1 else list(arguments))
        keys = items if key is None else [calls.call(path, key, (each,), {}) for each in items]
        if not holds_placeholder(keys):
            if key is None:
                return (function(items),)
            return (items[function(range(len(items)), key=keys.__getitem__)],) if items else None
        index = path.apply("best", keys, function is max)
        if not is_plain(items):  # states, for instance: each is a way of its own
            return (next((item for i, item in enumerate(items[:-1]) if index == i), items[-1]),)
        return (path.item(items, index),)

    return rule


def _sorted(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    from sglc.language.tracing import calls

    if set(keywords) - {"key", "reverse"} or len(arguments) != 1:
        return None
    key = keywords.get("key")
    if isinstance(arguments[0], Placeholder) and key is None:
        return None
    items = path.resolved(list(arguments[0]))
    keys = items if key is None else [calls.call(path, key, (each,), {}) for each in items]
    reverse = bool(keywords.get("reverse", False))
    if not holds_placeholder(keys):
        order = sorted(range(len(items)), key=keys.__getitem__, reverse=reverse)
        return ([items[i] for i in order],)
    ranking = path.apply("ranking", keys, reverse)
    if isinstance(ranking, Placeholder):
        ranking.shape = (len(items), None)
    return ([path.item(items, ranking[i]) for i in range(len(items))],)


def _len(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    (whole,) = arguments
    expected = isinstance(whole, Placeholder) and type(whole.shape) is tuple
    return (path.length(whole),) if expected else None


def _refused(path: Path, arguments: Arguments, keywords: Keywords) -> tuple[Any] | None:
    raise path.leave("looks at its own frame, or runs code that is a text", WRAP)


RULES: dict[Any, Rule] = {
    isinstance: _isinstance,
    getattr: _getattr,
    hasattr: _hasattr,
    setattr: _setattr,
    max: _best(max),
    min: _best(min),
    sorted: _sorted,
    len: _len,
    **dict.fromkeys((eval, exec, locals, globals, vars, dir, compile, __import__), _refused),
}
"""Function → what its call gives, in a tuple; None where it is a call like any other."""
