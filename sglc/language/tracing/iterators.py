"""Iterators of Python's own: used up by going through them."""

from __future__ import annotations

from typing import Any


def is_iterator(thing: Any) -> bool:
    """Whether a value is a generator or an iterator of a container of Python's own."""
    kind = type(thing)
    return kind.__module__ == "builtins" and hasattr(kind, "__next__")


def settled(thing: Any) -> Any:
    """Return an operand: an iterator is gone through now."""
    return list(thing) if is_iterator(thing) else thing
