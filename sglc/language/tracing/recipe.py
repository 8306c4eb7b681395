"""Recipes: how a value is computed from a program's arguments alone, and what a trace assumed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sglc.ir.functions import FUNCTIONS
from sglc.language.tracing.frozen import Key, freeze


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of the program, or a parameter of its run (`kind` "parameter")."""

    name: str
    kind: Literal["argument", "parameter"] = "argument"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Constant:
    """A scalar. The key tells 1 from True."""

    key: Key
    value: Any

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Applied:
    """A function of the table, or one of `PUT_TOGETHER`, of further recipes."""

    fn: str
    operands: tuple[Recipe, ...]
    keywords: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.fn in ("getitem", "eq", "lt", "le", "gt", "ge", "ne", "contains"):
            left, right = map(str, self.operands)
            sign = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}.get(self.fn)
            if self.fn == "getitem":
                return f"{left}[{right}]"
            return f"{left} {sign} {right}" if sign else f"{right} in {left}"
        if self.fn in PUT_TOGETHER:
            return f"{self.fn.removeprefix('new ')} of {', '.join(map(str, self.operands))}"
        return f"{self.fn.removeprefix('str.')}({', '.join(map(str, self.operands))})"


Recipe = Argument | Constant | Applied

PUT_TOGETHER: Mapping[str, Any] = {
    "new list": list,
    "new tuple": tuple,
    "concat": "".join,
    "new dict": lambda items: dict(zip(items[::2], items[1::2], strict=True)),
}
"""What operations of graphs make of their operands, less "new "."""


def flattened(parts: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """Return the parts of a text, those of its parts that are put together themselves among them."""
    flat: list[Recipe] = []
    for part in parts:
        flat.extend(part.operands if isinstance(part, Applied) and part.fn == "concat" else [part])
    return tuple(flat)


class Cook:
    """Computes recipes from the arguments of one row, each once."""

    def __init__(self, arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self.arguments = arguments
        self._parameters = parameters
        self._done: dict[Recipe, Any] = {}

    def value(self, recipe: Recipe) -> Any:
        """Return what a recipe gives. Raises what its functions raise."""
        if isinstance(recipe, Constant):
            return recipe.value
        if isinstance(recipe, Argument):
            source = self._parameters if recipe.kind == "parameter" else self.arguments
            return source[recipe.name]
        if recipe in self._done:
            return self._done[recipe]
        operands = [self.value(operand) for operand in recipe.operands]
        if recipe.fn in PUT_TOGETHER:
            result = PUT_TOGETHER[recipe.fn](operands)
        else:
            result = apply(recipe.fn, operands, recipe.keywords)
        self._done[recipe] = result
        return result


def apply(fn: str, operands: list[Any], keywords: tuple[str, ...] = ()) -> Any:
    """Apply a function of the table; the last operands go by keyword."""
    compute = FUNCTIONS[fn].compute
    if not keywords:
        return compute(*operands)
    count = len(operands) - len(keywords)
    return compute(*operands[:count], **dict(zip(keywords, operands[count:], strict=True)))


@dataclass(frozen=True, slots=True)
class Question:
    """What a trace wanted to know of a row before it went on: a value, its type, or which arguments are given."""

    recipe: Recipe | None
    about: Literal["value", "type", "names"]

    @property
    def is_of_kind(self) -> bool:
        """Whether the answer only depends on which arguments there are, their types, and parameters of the run."""
        if not isinstance(self.recipe, Argument):
            return self.recipe is None
        return self.about == "type" or self.recipe.kind == "parameter"

    def answer(self, cook: Cook, alive: list[Any]) -> Key:
        """Return the answer for a row; an error is an answer too."""
        if self.recipe is None:
            return tuple(cook.arguments)
        try:
            value = cook.value(self.recipe)
        except Exception as error:
            return ("raises", type(error))
        return ("type", type(value)) if self.about == "type" else freeze(value, alive)

    def sentence(self, answer: Key) -> str:
        """Return the assumption in words, "" for one that says nothing: `len(docs) == 3`."""
        if self.recipe is None:
            return ""
        if answer[0] == "raises":
            return f"{self.recipe} raises {answer[1].__name__}"
        if self.about == "type":
            return f"{self.recipe} is {'None' if answer[1] is type(None) else answer[1].__name__}"
        kind, value = answer
        if isinstance(self.recipe, Argument) and self.recipe.kind == "parameter" and value == 1:
            return ""  # what every run has unless it says otherwise
        shown = repr(value) if kind in (str, int, bool, type(None)) else kind.__name__
        return f"{self.recipe} == {shown}" if len(shown) <= 60 else f"{self.recipe} == {shown[:57]}…"
