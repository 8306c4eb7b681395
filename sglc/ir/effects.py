"""Which operations may end a row with an error: they have to stay where they are, needed or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import Attribute, Op, Value
from sglc.ir.types import Type

_WHOLE = (Type.INT, Type.BOOL)
_NUMBERS = (*_WHOLE, Type.FLOAT)
_PLAIN = (*_NUMBERS, Type.TEXT, Type.TEXTS, Type.NONE)
"""Types of values that have no code of the user's in them."""

_SIZED = (Type.TEXT, Type.TEXTS, Type.LIST, Type.TUPLE, Type.DICT)
_KEYS = (*_NUMBERS, Type.TEXT, Type.NONE)
_ABOUT_TEXTS = {
    *("contains", "str.startswith", "str.endswith", "str.removeprefix", "str.removesuffix"),
    *("str.strip", "str.lstrip", "str.rstrip", "str.find", "str.rfind", "str.count"),
}
"""Never raise for two texts."""


def may_raise(op: Op, constant: Callable[[Value], Attribute]) -> bool:
    """Whether an operation of either level may raise as it is written. `constant` is a value known now, else None.

    It can say yes too often. Errors of requests, such as a prompt that is too long, do not count.
    """
    if op.name == "apply":
        types = [value.type for value in op.operands]
        return bool(op.attributes.get("keywords")) or application_may_raise(op.attributes["fn"], types)
    if op.name in ("select", "score", "choose"):
        choices = op.operands[1:]
        return not choices or not all(map(constant, choices))
    return op.name == "dict" and any(key.type not in _KEYS for key in op.operands[::2])


def application_may_raise(fn: str, types: Sequence[Type]) -> bool:
    """Whether a function of the table may raise for operands of these types."""
    if len(types) == 1:
        return not _is_safe_for_one(fn, types[0])
    return not (len(types) == 2 and _is_safe_for_two(fn, *types))


def _is_safe_for_one(fn: str, kind: Type) -> bool:
    if fn.startswith("str."):
        return FUNCTIONS[fn].total and kind is Type.TEXT
    if fn in ("str", "repr"):
        return kind in _PLAIN and kind is not Type.INT  # a number may have too many digits
    if fn in ("bool", "not"):
        return kind is not Type.VALUE
    if fn == "len":
        return kind in _SIZED
    if fn in ("as_text", "list"):
        return kind in (Type.TEXT, Type.TEXTS) and (fn == "list" or kind is Type.TEXT)
    return fn in ("is_none", "same")


def _is_safe_for_two(fn: str, first: Type, second: Type) -> bool:
    if fn in ("eq", "ne"):
        return first in _PLAIN and second in _PLAIN
    if fn in ("lt", "le", "gt", "ge"):
        return (first in _NUMBERS and second in _NUMBERS) or first is second is Type.TEXT
    if fn in ("add", "sub", "mul"):
        return (
            (first in _WHOLE and second in _WHOLE)
            or first is second is Type.FLOAT
            or (fn == "add" and first is second is Type.TEXT)
        )
    if fn == "has_type":
        return second is Type.TEXT
    return fn in _ABOUT_TEXTS and first is second is Type.TEXT
