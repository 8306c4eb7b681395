"""What is said never to raise never does."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from sglc.ir.effects import application_may_raise, may_raise
from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import Op, Value
from sglc.ir.types import Type


class Hostile:
    """A user's object that lets nobody look at it."""

    def _refuse(self, *given: object) -> Any:
        raise RuntimeError("hands off")

    __bool__ = __len__ = __repr__ = __str__ = _refuse
    __eq__ = __ne__ = __lt__ = __contains__ = _refuse
    __hash__ = None  # type: ignore[assignment]


VALUES: dict[Type, tuple[Any, ...]] = {
    Type.TEXT: ("", "a", " 7\n", "\ud83d"),
    Type.TEXTS: ([], ["a", ""]),
    Type.INT: (0, -1, 10**400, 10**5000),
    Type.FLOAT: (0.0, -1e308, float("nan"), float("inf")),
    Type.BOOL: (True, False),
    Type.NONE: (None,),
    Type.LIST: ([], [Hostile()]),
    Type.TUPLE: ((), (Hostile(), [])),
    Type.DICT: ({}, {"a": Hostile()}),
    Type.VALUE: (Hostile(), 1, None, "a", [Hostile()]),
}


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_safe_never_raises(count: int) -> None:
    """For any values of these types; and much of what programs do with texts is safe."""
    safe = set()
    for name, function in FUNCTIONS.items():
        for types in product(VALUES, repeat=count):
            if application_may_raise(name, types):
                continue
            safe.add(name)
            for values in product(*(VALUES[kind] for kind in types)):
                function.compute(*values)
    wanted = (
        {"str.strip", "len", "not", "as_text", "is_none", "bool"} if count == 1 else {"eq", "contains", "add", "lt"}
    )
    assert wanted <= safe


def operation(name: str, *types: Type, **attributes: Any) -> Op:
    """Return an operation on values of these types."""
    return Op(name, tuple(Value(f"v{i}", kind) for i, kind in enumerate(types)), (), attributes)


def test_operations() -> None:
    """Choices raise where one is empty, dicts where a key can't be hashed, functions by their table."""

    def known(value: Value) -> str | None:
        return {"v1": "yes", "v2": ""}.get(value.name)

    assert not may_raise(operation("apply", Type.TEXT, fn="str.strip"), known)
    assert may_raise(operation("apply", Type.TEXT, fn="str.strip", keywords=("chars",)), known)
    assert may_raise(operation("apply", Type.TEXT, fn="int"), known)
    assert may_raise(operation("apply", fn="max"), known)
    assert not may_raise(operation("select", Type.PROMPT, Type.TEXT), known)
    assert may_raise(operation("score", Type.PROMPT, Type.TEXT, Type.TEXT), known)
    assert may_raise(operation("choose", Type.PROMPT), known)
    assert not may_raise(operation("dict", Type.TEXT, Type.VALUE, Type.INT, Type.LIST), known)
    assert may_raise(operation("dict", Type.TUPLE, Type.INT), known)
    assert not may_raise(operation("append", Type.PROMPT, Type.TEXT), known)
    assert not may_raise(operation("gen", Type.PROMPT), known)
