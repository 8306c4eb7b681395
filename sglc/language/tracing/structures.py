"""What placeholders of containers answer: lengths, items, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sglc.ir.types import Type
from sglc.language.tracing.placeholder import Placeholder

if TYPE_CHECKING:
    from sglc.ir.graph import Value
    from sglc.language.tracing.explore import Exploration
    from sglc.language.tracing.leave import Leave

NEEDS_VALUE = "needs the value of something that is generated"
USE_CALL = "do it in a function given to sglc.call"


class Structures:
    """The part of a path that takes containers apart. Those of arguments are as in the row at hand; generated ones
    are what their `shape` leads to expect, and a row for which they are not leaves the graph.
    """

    exploration: Exploration

    def leave(self, cause: str, mend: str = "") -> Leave:
        """Return what ends the run."""
        raise NotImplementedError

    def apply(self, fn: str, *operands: Any, **keywords: Any) -> Any:
        """Return what a function of the table gives."""
        raise NotImplementedError

    def known(self, placeholder: Placeholder) -> Any:
        """Return the value of a placeholder."""
        raise NotImplementedError

    def value_of(self, placeholder: Placeholder) -> Value:
        """Return the value that stands for a placeholder."""
        raise NotImplementedError

    def length(self, placeholder: Placeholder) -> int:
        """Return how many items there are."""
        if type(placeholder.shape) is tuple and placeholder.recipe is None:
            self._unpacked(placeholder, placeholder.shape[0])
            return int(placeholder.shape[0])
        return int(self.known(self.apply("len", placeholder)))

    def items(self, placeholder: Placeholder) -> list[Any]:
        """Return the items of a container, the characters of a text, the keys of a dict."""
        if placeholder.type in (Type.INT, Type.FLOAT, Type.BOOL):
            raise TypeError(f"'{placeholder.type}' object is not iterable")
        if placeholder.type is Type.DICT:
            return [key for key, _ in self.entries(placeholder, "items")]
        if type(placeholder.shape) is tuple and placeholder.recipe is None:
            whole = self._unpacked(placeholder, placeholder.shape[0])
            return [self.item(whole, i) for i in range(placeholder.shape[0])]
        if placeholder.type is Type.VALUE:
            raise self.leave(NEEDS_VALUE, USE_CALL)
        return [self.item(placeholder, i) for i in range(self.length(placeholder))]

    def unpack(self, placeholder: Placeholder, count: int) -> list[Any]:
        """Return `count` items; a row with fewer or more leaves the graph."""
        if placeholder.recipe is not None and self.exploration.witnessed:
            return self.items(placeholder)
        whole = self._unpacked(placeholder, count)
        return [self.item(whole, i) for i in range(count)]

    def _unpacked(self, placeholder: Placeholder, count: int) -> Placeholder:
        whole: Placeholder = self.apply("unpacked", placeholder, count)
        item_shape = placeholder.shape[1] if type(placeholder.shape) is tuple else None
        whole.shape = (count, item_shape)
        if placeholder.type in (Type.TEXTS, Type.TEXT) or placeholder.value in self.exploration.texts:
            self.exploration.texts.add(self.value_of(whole))
        return whole

    def entries(self, placeholder: Placeholder, which: str) -> list[Any]:
        """Return the keys, values or items of a dict whose keys are then known."""
        shape = placeholder.shape
        if isinstance(shape, dict):
            keys = list(shape)
        elif placeholder.recipe is not None and self.exploration.witnessed:
            keys = list(self.known(self.apply("list", placeholder)))
        else:
            raise self.leave(NEEDS_VALUE, USE_CALL)
        if which == "keys":
            return keys
        values = [self.item(placeholder, key) for key in keys]
        return values if which == "values" else list(zip(keys, values, strict=True))

    def item(self, owner: Any, key: Any) -> Any:
        """Return `owner[key]` as a placeholder."""
        found = self.apply("getitem", owner, key)
        if isinstance(found, Placeholder) and isinstance(owner, Placeholder):
            shape = owner.shape
            if isinstance(shape, dict):
                found.shape = shape.get(key) if type(key) is str else None
            elif type(shape) is tuple:
                found.shape = shape[1]
            if found.value is not None and owner.value in self.exploration.texts and found.type is Type.VALUE:
                return self.apply("as_text", found)
        return found
