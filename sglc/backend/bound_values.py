"""Values that are not known before a run: how long the texts in them can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from sglc.ir.functions import FUNCTIONS
from sglc.ir.types import Type


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value of which it is known how long its texts are together: at most `size` bytes of UTF-8 (None: any length).

    `depth` is 0 for a text or number, which `str` makes no longer, 1 for a list of such, None for anything. A list has
    at most `count` items.
    """

    size: int | None = None
    depth: int | None = None
    count: int | None = None


ANYTHING = Unknown()

_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "contains", "not", "is_none", "has_type"})

_PICKED = frozenset({"getitem", "max", "min", "dict.get", "match.group"})
"""One of the items of an operand, or a part of a text."""

_PART_METHODS = "strip lstrip rstrip removeprefix removesuffix split rsplit splitlines partition rpartition"
_PARTS = frozenset({"same", "as_text", "slice", "list", "tuple", "sorted", "picked", "unpacked"}).union(
    (f"str.{method}" for method in _PART_METHODS.split()), {"re.search", "re.match", "re.fullmatch"}
)
"""Nothing but parts of an operand, none of them twice."""

_CASES = frozenset({"lower", "upper", "title", "casefold", "capitalize", "swapcase"})
_LONGEST_CASE = 3  # bytes that one may become in another case


def is_unknown(value: Any) -> bool:
    """Whether a value is not known."""
    return isinstance(value, Unknown)


def size_of(value: Any) -> int | None:
    """Return how many bytes the texts in a value have at most."""
    if isinstance(value, Unknown):
        return value.size
    if isinstance(value, str):
        return utf8_size(value)
    if isinstance(value, Mapping):
        return total([*map(size_of, value), *map(size_of, value.values())])
    if isinstance(value, list | tuple | set | frozenset):
        return total([size_of(item) for item in value])
    return len(repr(value)) if value is None or isinstance(value, int | float) else None


def utf8_size(text: str) -> int:
    """Return how many bytes a text has in UTF-8, half a surrogate pair counted as one character."""
    return len(text.encode("utf-8", "surrogatepass"))


def total(sizes: Sequence[int | None]) -> int | None:
    """Return the sum of sizes, None if one of them is unknown."""
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def greatest(sizes: Sequence[int | None]) -> int | None:
    """Return the greatest of sizes, None if one of them is unknown."""
    known = [size for size in sizes if size is not None]
    return max(known, default=0) if len(known) == len(sizes) else None


def listed(values: Sequence[Any]) -> Unknown:
    """Return a list of values of which one is not known."""
    flat = all(_depth(value) == 0 for value in values)
    return Unknown(total([size_of(value) for value in values]), 1 if flat else None, len(values))


def concatenated(values: Sequence[Any]) -> Unknown:
    """Return texts behind each other."""
    return Unknown(total([size_of(value) for value in values]), 0)


def applied(name: str, operands: Sequence[Any]) -> Unknown:
    """Return what a pure function makes of operands of which one is not known."""
    sizes = total([size_of(operand) for operand in operands])
    kind, _, method = name.rpartition(".")
    result = FUNCTIONS[name].result
    if name in _COMPARISONS or result is Type.BOOL:
        return Unknown(5, 0)
    if result is Type.FLOAT:
        return Unknown(25, 0)
    if result is Type.INT:
        return Unknown(None if sizes is None else max(20, sizes + 1), 0)
    if name in _PICKED or name in _PARTS:
        return _part(name, operands, sizes)
    if name == "add":
        return Unknown(sizes, _depth(operands[0]))
    if kind == "str" and method in _CASES:
        return Unknown(None if sizes is None else _LONGEST_CASE * sizes, 0)
    if name == "str.join":
        return _joined(*operands) if len(operands) == 2 else ANYTHING
    if name == "str.replace" and sizes is not None:
        return Unknown((sizes + 1) * (1 + (size_of(operands[2]) or 0)), 0)
    if name in ("str", "format", "str.format"):
        return _spelled(name, operands)
    return ANYTHING


def _part(name: str, operands: Sequence[Any], sizes: int | None) -> Unknown:
    depth = _depth(operands[0])
    if name in _PICKED:
        return Unknown(sizes, None if depth is None else 0)
    if name.startswith("re."):
        return Unknown(sizes)
    if FUNCTIONS[name].result in (Type.TEXTS, Type.TUPLE, Type.LIST) and depth is not None:
        return Unknown(sizes, 1, None if sizes is None else sizes + 1)
    return Unknown(sizes, depth, operands[0].count if isinstance(operands[0], Unknown) else None)


def _joined(separator: Any, items: Any) -> Unknown:
    count = items.count if isinstance(items, Unknown) else len(items)
    size, between = size_of(items), size_of(separator)
    if size is None or between is None or count is None:
        return ANYTHING
    return Unknown(size + between * max(0, count - 1), 0)


def _spelled(name: str, operands: Sequence[Any]) -> Unknown:
    """Return what `str`, `format` or `str.format` make of values, where that makes none of them longer."""
    if any(_depth(operand) != 0 for operand in operands):
        return ANYTHING
    if name == "str.format":
        template, *given = operands
        sizes = total([size_of(value) for value in given])
        if not isinstance(template, str) or sizes is None:
            return ANYTHING
        fields = [part for part in Formatter().parse(template) if part[1] is not None]
        plain = all(not spec and conversion in (None, "s") for _, _, spec, conversion in fields)
        return Unknown(utf8_size(template) + sizes * len(fields), 0) if plain else ANYTHING
    if len(operands) == 1 or operands[1] == "":
        return Unknown(size_of(operands[0]), 0)
    return ANYTHING


def _depth(value: Any) -> int | None:
    if isinstance(value, Unknown):
        return value.depth
    if isinstance(value, str | int | float) or value is None:
        return 0
    if isinstance(value, list | tuple):
        return 1 if all(_depth(item) == 0 for item in value) else None
    return None
