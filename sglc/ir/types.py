"""The types of values in a graph."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Type(StrEnum):
    """What a value is when the program runs. All but `prompt` are Python's own types; `value` is any of them."""

    PROMPT = "prompt"
    TEXT = "text"
    TEXTS = "texts"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    NONE = "none"
    LIST = "list"
    TUPLE = "tuple"
    DICT = "dict"
    VALUE = "value"

    def accepts(self, other: Type) -> bool:
        """Whether a value of type `other` can stand where this type is wanted."""
        if self is other:
            return True
        if self is Type.VALUE:
            return other is not Type.PROMPT
        return self is Type.LIST and other is Type.TEXTS


_OF_PYTHON: dict[type, Type] = {
    str: Type.TEXT,
    int: Type.INT,
    float: Type.FLOAT,
    bool: Type.BOOL,
    type(None): Type.NONE,
    list: Type.LIST,
    tuple: Type.TUPLE,
    dict: Type.DICT,
}

_TO_PYTHON: dict[Type, type] = {kind: python for python, kind in _OF_PYTHON.items()} | {Type.TEXTS: list}


def type_of(value: Any) -> Type:
    """Return the type of a Python value: exact types only, `value` for all others."""
    kind = _OF_PYTHON.get(type(value), Type.VALUE)
    if kind is Type.LIST and value and all(type(item) is str for item in value):
        return Type.TEXTS
    return kind


def python_type(kind: Type) -> type | None:
    """Return the Python type that values of `kind` have exactly; None where there is no single one."""
    return _TO_PYTHON.get(kind)
