"""Frozen values: hashable keys that tell whether something a trace has read is still the same."""

from __future__ import annotations

import collections
import enum
import math
import types
from typing import Any

SCALARS = (str, int, float, bool, type(None), bytes)

Key = tuple[Any, ...]


def freeze(value: Any, alive: list[Any]) -> Key:
    """Return a key that is equal for equal scalars and containers of exactly the same types, else for the same object.

    Objects known by their identity are added to `alive`: as long as they live, nothing else has their identity.
    """
    kind = type(value)
    if kind in (str, int, bool, bytes) or value is None:
        return (kind, value)
    if kind is float:
        return (kind, value.hex() if math.isfinite(value) else repr(value))
    if isinstance(value, list | tuple | collections.deque):
        return (kind, tuple([freeze(item, alive) for item in value]))
    if isinstance(value, dict):
        return (kind, tuple([(freeze(k, alive), freeze(v, alive)) for k, v in value.items()]))
    if isinstance(value, set | frozenset):
        return (kind, frozenset([freeze(item, alive) for item in value]))
    alive.append(value)
    return (kind, id(value))


def containers_in(value: Any) -> list[Any]:
    """Return the mutable containers in a value: itself and what it holds, however deep."""
    found: list[Any] = []
    stack = [value]
    seen: set[int] = set()
    while stack:
        item = stack.pop()
        if not isinstance(item, list | dict | set | tuple | frozenset | collections.deque) or id(item) in seen:
            continue
        seen.add(id(item))
        if not isinstance(item, tuple | frozenset):
            found.append(item)
        stack.extend(item.values() if isinstance(item, dict) else item)
    return found


def is_record(value: Any) -> bool:
    """Whether a value is an instance of a class of the user's, which is what its attributes are."""
    kind = type(value)
    return (
        kind.__module__ != "builtins"
        and not kind.__module__.startswith("sglc.")
        and hasattr(value, "__dict__")
        and (not isinstance(value, type | types.ModuleType | types.FunctionType | BaseException | enum.Enum))
    )
