"""Placeholders: what a traced function gets in place of an argument or of a generated value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from sglc.ir.functions import FUNCTIONS
from sglc.ir.types import Type, python_type
from sglc.language.primitives import Symbol
from sglc.language.tracing.iterators import settled

if TYPE_CHECKING:
    from sglc.ir.graph import Value
    from sglc.language.tracing.path import Path
    from sglc.language.tracing.recipe import Recipe

_SCALAR_TYPES = (Type.TEXT, Type.INT, Type.FLOAT, Type.BOOL)
"""Added in place to a list, these raise or leave it to the eager run: so what they are added to is no list."""

Shape = Any
"""What is expected of the structure of a value: (length, shape of the items), a dict of shapes by key, or None."""

CONTAINERS = (Type.LIST, Type.TEXTS, Type.TUPLE, Type.DICT)

_IN_PLACE_TEXT = "append extend insert remove pop clear sort reverse update setdefault popitem add discard"
_IN_PLACE = frozenset(_IN_PLACE_TEXT.split())


class Placeholder(Symbol):
    """A value of the program that the trace knows by its type and by how it comes about.

    One that depends on arguments alone has a `recipe`, and a `witness`, its value in the row that is traced: asked for
    its value it answers, and the trace holds only for rows that answer alike. Other ones answer by a branch (truth
    values, choices) or not at all: the trace ends there. Operations give further placeholders.
    """

    __slots__ = ("path", "recipe", "shape", "type", "value", "witness")

    def __init__(
        self,
        path: Path,
        kind: Type,
        value: Value | None = None,
        recipe: Recipe | None = None,
        witness: Any = None,
        shape: Shape = None,
    ) -> None:
        self.path = path
        self.type = kind
        self.value = value
        self.recipe = recipe
        self.witness = witness
        self.shape = shape

    @property  # type: ignore[misc]  # so that isinstance(placeholder, str) is true where it is for the value
    def __class__(self) -> Any:
        kind = python_type(self.type)
        if kind is None:
            raise self.path.leave("asks for the type of a value that is not known yet")
        return kind

    # Values that Python must have at once

    def __bool__(self) -> bool:
        return self.path.truth(self)

    def __hash__(self) -> int:
        return hash(self.path.known(self))

    def __len__(self) -> int:
        return self.path.length(self)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.path.items(self))

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self.path.items(self))[::-1])

    def __contains__(self, item: Any) -> bool:
        return self.path.truth(self.path.apply("contains", self, item))

    def __str__(self) -> str:
        return str(self.path.known(self))

    def __repr__(self) -> str:
        return repr(self.path.known(self))

    def __format__(self, spec: str) -> str:
        return format(self.path.known(self), spec)

    def __int__(self) -> int:
        return int(self.path.known(self))

    def __float__(self) -> float:
        return float(self.path.known(self))

    def __index__(self) -> int:
        known = self.path.known(self)
        if not isinstance(known, int):
            raise TypeError(f"'{type(known).__name__}' object cannot be interpreted as an integer")
        return known

    # Operations that stay symbolic

    def __getitem__(self, key: Any) -> Any:
        if type(key) is slice:
            return self.path.apply("slice", self, key.start, key.stop, key.step)
        return self.path.item(self, key)

    def __getattr__(self, name: str) -> Any:
        return self.path.attribute_of(self, name)

    def __add__(self, other: Any) -> Any:
        return self.path.binary("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.path.binary("add", other, self)

    def __iadd__(self, other: Any) -> Any:
        mutable = self.type in CONTAINERS and self.type is not Type.TUPLE
        if mutable or (self.type is Type.VALUE and self.path.kind_of(other) not in _SCALAR_TYPES):
            self.change()
        return self.path.binary("add", self, other)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.change()

    def __delitem__(self, key: Any) -> None:
        self.change()

    def change(self) -> NoReturn:
        """Refuse to be changed in place: a graph's values do not change."""
        raise self.path.leave("changes a value in place that the graph holds", "build a new one instead")

    def __neg__(self) -> Any:
        return self.path.apply("neg", self)

    def __pos__(self) -> Any:
        return self.path.apply("pos", self)

    def __abs__(self) -> Any:
        return self.path.apply("abs", self)

    def __round__(self, digits: Any = None) -> Any:
        return self.path.apply("round", self) if digits is None else self.path.apply("round", self, digits)

    def __copy__(self) -> Placeholder:
        return self

    def __deepcopy__(self, memo: Any) -> Placeholder:
        return self


def _binary(name: str) -> Any:
    return lambda self, other: self.path.binary(name, self, other)


def _reflected(name: str) -> Any:
    return lambda self, other: self.path.binary(name, other, self)


for _name in ("sub", "mul", "truediv", "floordiv", "mod", "pow", "divmod", "and", "or", "xor"):
    setattr(Placeholder, f"__{_name}__", _binary(_name))
    setattr(Placeholder, f"__r{_name}__", _reflected(_name))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Placeholder, f"__{_name}__", _binary(_name))


class Method:
    """A method of a placeholder, ready to be called."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Placeholder, name: str) -> None:
        self.owner = owner
        self.name = name

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Apply it."""
        if self.name in _VIEWS:
            return self.owner.path.entries(self.owner, self.name.removeprefix("dict."))
        return self.owner.path.apply(self.name, self.owner, *map(settled, arguments), **keywords)


_VIEWS = ("dict.keys", "dict.values", "dict.items")
_OF_LISTS = ("count", "index")


def method_of(owner: Placeholder, name: str) -> Any:
    """Return a method or a named field of a placeholder. Raises AttributeError where Python would."""
    kind = python_type(owner.type)
    unknown = owner.type is Type.VALUE
    if f"str.{name}" in FUNCTIONS and (kind is str or (unknown and name not in _OF_LISTS)):
        return Method(owner, f"str.{name}")
    if name in _OF_LISTS and kind in (list, tuple):
        return Method(owner, f"{kind.__name__}.{name}")
    if name == "get" and (kind is dict or unknown):
        return Method(owner, "dict.get")
    if kind is dict and f"dict.{name}" in _VIEWS:
        return Method(owner, f"dict.{name}")
    if unknown and name in ("group", "groups"):
        return Method(owner, f"match.{name}")
    if name in _IN_PLACE and owner.type in (*CONTAINERS, Type.VALUE):
        owner.change()
    if unknown and owner.shape is not None and name in owner.shape:
        return owner.path.apply("attribute", owner, name)
    if kind is not None and not hasattr(kind, name):
        raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
    raise owner.path.leave(f"uses {name!r} of a value that is not known yet", "do it in a function given to sglc.call")
