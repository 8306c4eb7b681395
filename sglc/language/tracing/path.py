"""One run of a traced function along one sequence of decisions: what it says becomes operations of a block."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sglc.errors import Location
from sglc.ir.graph import op_key
from sglc.ir.types import Type, type_of
from sglc.language.primitives import Expression
from sglc.language.tracing import recipe as recipes
from sglc.language.tracing.facts import Facts, Label
from sglc.language.tracing.frozen import SCALARS, freeze
from sglc.language.tracing.inference import cannot_raise, result_type
from sglc.language.tracing.leave import Leave
from sglc.language.tracing.placeholder import Placeholder, method_of
from sglc.language.tracing.structures import NEEDS_VALUE, USE_CALL, Structures
from sglc.language.tracing.twins import traced_location

if TYPE_CHECKING:
    from sglc.ir.graph import BlockBuilder, Value
    from sglc.language.tracing.explore import Exploration
    from sglc.language.tracing.recipe import Recipe
    from sglc.language.tracing.state import TracedState


class Path(Structures):
    """Emits operations into the current block, and answers what Python asks of placeholders.

    `script` are the decisions this run repeats; behind them the first outcome of each new one is taken, and
    `exploration` told of the others.
    """

    def __init__(self, exploration: Exploration, script: tuple[Label, ...]) -> None:
        self.exploration = exploration
        self.environment = exploration.environment
        self.block: BlockBuilder = exploration.root
        self.left: Leave | None = None
        self.states: list[TracedState] = []  # those of the programs that run, innermost last
        self.functions: list[Any] = []  # the twins that run, innermost last
        self.calls = 0
        self.environment.start_run()
        self.fresh: dict[int, Any] = {}  # instances of the user's classes made in this run
        self.genuine: dict[int, BaseException] = {}  # errors that the program itself would meet
        self._script = script
        self._taken: list[Label] = []
        self.facts = Facts()

    # Ending

    def leave(self, cause: str, mend: str = "", location: Location | None = None) -> Leave:
        """Return what ends this run, to be raised: from here on the program is eager."""
        if self.left is None:
            self.left = Leave(cause, mend, location or self.location())
        return self.left

    def location(self) -> Location | None:
        """Return the line of the program that runs, or that of the program."""
        return traced_location() if self.functions else self.exploration.program.location

    def check(self) -> None:
        """End again if the program went on after this run had ended."""
        if self.left is not None:
            raise self.left

    @property
    def repeating(self) -> bool:
        """Whether this run has yet to come to where it parts from an earlier one."""
        return len(self._taken) < len(self._script)

    # Operations

    def emit(
        self,
        name: str,
        operands: Sequence[Value] = (),
        types: Sequence[Type] = (),
        attributes: Mapping[str, Any] | None = None,
        hint: str = "",
        location: Location | None = None,
    ) -> tuple[Value, ...]:
        """Return the results of an operation."""
        self.check()
        known = self.block.find(op_key(name, operands, types, attributes or {}))
        if known is not None:
            return known
        place = location or self.location()
        if self.repeating:
            raise self.exploration.nondeterministic(place)
        self.exploration.count_op(self)
        return self.block.emit(name, operands, types, attributes or {}, hint=hint, location=place)

    def lift(self, thing: Any) -> Value:
        """Return the value that stands for a Python value in the graph: what it holds must be known to graphs."""
        if isinstance(thing, Placeholder):
            return self.value_of(thing)
        if type(thing) in SCALARS and type(thing) is not bytes:
            self.check()
            return self.emit("const", (), (type_of(thing),), {"value": thing})[0]
        if type(thing) in (list, tuple, dict):
            parts = [each for pair in thing.items() for each in pair] if type(thing) is dict else thing
            try:
                operands = [self.lift(each) for each in parts]
            except RecursionError:
                raise self.leave("builds a value that holds itself") from None
            return self.emit(type(thing).__name__, operands, (Type(type(thing).__name__),))[0]
        raise self.leave(
            f"puts a {type(thing).__name__} where a graph holds text, numbers, lists, tuples and dicts", USE_CALL
        )

    def value_of(self, placeholder: Placeholder) -> Value:
        """Return a placeholder's value, computed in the graph only now if it depends on arguments alone."""
        if placeholder.value is None:
            assert placeholder.recipe is not None
            placeholder.value = self._cooked(placeholder.recipe, placeholder.type)
        return placeholder.value

    def _cooked(self, recipe: Recipe, kind: Type) -> Value:
        if isinstance(recipe, recipes.Argument):
            return self.exploration.argument(recipe.name)
        if isinstance(recipe, recipes.Constant):
            return self.emit("const", (), (type_of(recipe.value),), {"value": recipe.value})[0]
        operands = [self._cooked(each, self.exploration.kinds.get(each, Type.VALUE)) for each in recipe.operands]
        if recipe.fn in recipes.PUT_TOGETHER:
            return self.emit(recipe.fn.removeprefix("new "), operands, (kind,))[0]
        attributes: dict[str, Any] = {"fn": recipe.fn}
        if recipe.keywords:
            attributes["keywords"] = recipe.keywords
        return self.emit("apply", operands, (kind,), attributes)[0]

    def recipe_of(self, thing: Any) -> Recipe | None:
        """Return how a Python value comes from arguments alone; None if it does not."""
        if isinstance(thing, Placeholder):
            return thing.recipe
        if type(thing) in SCALARS and type(thing) is not bytes:
            made = recipes.Constant(freeze(thing, []), thing)
            self.exploration.kinds.setdefault(made, type_of(thing))
            return made
        if type(thing) in (list, tuple, dict):
            parts = [each for pair in thing.items() for each in pair] if type(thing) is dict else thing
            operands = [self.recipe_of(each) for each in parts]
            known = tuple(each for each in operands if each is not None)
            if len(known) != len(operands):
                return None
            whole = recipes.Applied(f"new {type(thing).__name__}", known)
            self.exploration.kinds[whole] = Type(type(thing).__name__)
            return whole
        return None

    def apply(self, fn: str, *operands: Any, **keywords: Any) -> Any:
        """Return what a function of the table gives, as a placeholder."""
        self.check()
        things = [*operands, *keywords.values()]
        types = [self.kind_of(each) for each in things]
        kind = result_type(fn, types)
        made = [self.recipe_of(each) for each in things]
        known = tuple(each for each in made if each is not None)
        if len(known) == len(made):
            whole = recipes.Applied(fn, known, tuple(keywords))
            if self.exploration.witnessed:
                return self._with_witness(whole, kind, cannot_raise(fn, types))
            result = Placeholder(self, kind, recipe=whole)
            self.exploration.kinds[whole] = kind
            if not cannot_raise(fn, types):
                self.value_of(result)
            return result
        values = [self.lift(each) for each in things]
        if fn == "add" and kind is Type.TEXT:
            return Placeholder(self, kind, self._concat(values))
        attributes: dict[str, Any] = {"fn": fn}
        if keywords:
            attributes["keywords"] = tuple(keywords)
        (value,) = self.emit("apply", values, (kind,), attributes)
        if fn in ("str.partition", "str.rpartition"):
            self.exploration.texts.add(value)
            return Placeholder(self, kind, value, shape=(3, None))
        return Placeholder(self, kind, value)

    def _with_witness(self, whole: recipes.Applied, kind: Type, total: bool) -> Any:
        try:
            witness = self.exploration.cook.value(whole)
        except Exception as error:  # what it says may tell the operands
            self._fix(whole.operands)
            self.genuine[id(error)] = error
            raise
        if kind is Type.VALUE:
            self.exploration.ask(whole, "type")
            if witness is None:
                return None
            if type(witness) is re.Match:
                return Placeholder(self, Type.VALUE, recipe=whole, witness=witness)
            if type(witness) not in (str, int, float, bool, list, tuple, dict):
                self._fix(whole.operands)
                return witness  # of a kind that graphs have no operations for
            kind = type_of(witness)
            kind = Type.LIST if kind is Type.TEXTS else kind
        result = Placeholder(self, kind, recipe=whole, witness=witness)
        self.exploration.kinds[whole] = kind
        if not total:
            self.value_of(result)
        return result

    def _fix(self, operands: Sequence[Recipe]) -> None:
        """Let the trace hold only for rows that have these very values."""
        for operand in operands:
            if not isinstance(operand, recipes.Constant):
                self.exploration.ask(operand, "value")

    def concat(self, parts: Sequence[Any]) -> Any:
        """Return texts, strings and placeholders, as one."""
        parts = [part for part in parts if not (type(part) is str and not part)]
        if all(type(part) is str for part in parts):
            return "".join(parts)
        made = [self.recipe_of(part) for part in parts]
        known = [each for each in made if each is not None]
        if len(known) == len(made) and self.exploration.witnessed:
            whole = recipes.Applied("concat", recipes.flattened(known))
            self.exploration.kinds[whole] = Type.TEXT
            return Placeholder(self, Type.TEXT, recipe=whole, witness=self.exploration.cook.value(whole))
        return Placeholder(self, Type.TEXT, self._concat([self.lift(part) for part in parts]))

    def _concat(self, values: Sequence[Value]) -> Value:
        return self.emit("concat", values, (Type.TEXT,))[0]

    def kind_of(self, thing: Any) -> Type:
        """Return the type a Python value or placeholder has in the graph."""
        if isinstance(thing, Placeholder):
            return thing.type
        kind = type_of(thing)
        return Type.LIST if kind is Type.TEXTS else kind

    # What placeholders ask

    def binary(self, fn: str, left: Any, right: Any) -> Any:
        """Return the result of a binary operator; strings and expressions have their own."""
        if isinstance(left, Placeholder):
            other = right
        else:
            other = left
        if not isinstance(other, Placeholder) and isinstance(other, Expression):
            return NotImplemented
        if fn == "add" and self.kind_of(left) is Type.TEXT and self.kind_of(right) is Type.TEXT:
            return self.concat([left, right])
        if not isinstance(other, Placeholder) and type(other) not in (*SCALARS, list, tuple, dict):
            return NotImplemented
        if fn in ("eq", "ne"):
            owner, text = (left, right) if isinstance(left, Placeholder) else (right, left)
            decided = self._known_equal(owner, text)
            if decided is not None:
                return decided if fn == "eq" else not decided
        result = self.apply(fn, left, right)
        if fn in ("eq", "ne") and owner.value is not None and self.facts.choices(owner.value) and type(text) is str:
            self.exploration.equalities[self.value_of(result)] = (owner.value, text, fn == "eq")
        return result

    def resolved(self, thing: Any) -> Any:
        """Return a value with what was decided on this path in place of the placeholders that stand for it."""
        if isinstance(thing, Placeholder):
            known = self.facts.known(thing.value) if thing.value is not None else None
            return thing if known is None else known
        if type(thing) in (list, tuple):
            return type(thing)(self.resolved(each) for each in thing)
        return thing

    def _known_equal(self, owner: Placeholder, other: Any) -> bool | None:
        """Return whether two values are equal, where what was decided on this path says so."""
        if not isinstance(other, Placeholder):
            return self.facts.equals(owner.value, other)
        mine, theirs = (self.facts.known(each.value) if each.value is not None else None for each in (owner, other))
        return None if mine is None or theirs is None else mine == theirs

    def truth(self, placeholder: Any) -> bool:
        """Return a truth value: by the row at hand, by what was decided before, or by a new decision."""
        if type(placeholder) is bool:
            return placeholder
        if placeholder.type is not Type.BOOL:
            placeholder = self.apply("bool", placeholder)
        if placeholder.recipe is not None and self.exploration.witnessed:
            self.exploration.ask(placeholder.recipe, "value")
            return bool(placeholder.witness)
        return bool(self.decide(self.value_of(placeholder), (True, False)))

    def known(self, placeholder: Placeholder) -> Any:
        """Return the value of a placeholder; rows that have another one will not use this trace."""
        self.check()
        if placeholder.recipe is not None and self.exploration.witnessed:
            self.exploration.ask(placeholder.recipe, "value")
            return copy.deepcopy(placeholder.witness)
        value = self.value_of(placeholder)
        left = self.facts.choices(value)
        if left is not None or placeholder.type is Type.BOOL:
            return self.decide(value, left if left is not None else (True, False))
        if placeholder.recipe is not None:
            raise self.leave("needs the value of an argument", "give rows, or arguments, to trace with")
        raise self.leave(NEEDS_VALUE, USE_CALL)

    def attribute_of(self, placeholder: Placeholder, name: str) -> Any:
        """Return an attribute of a placeholder: a method, or a field of a named tuple."""
        self.check()
        if name.startswith("__"):
            raise AttributeError(name)
        return method_of(placeholder, name)

    # Decisions

    def decide(self, value: Value, labels: Sequence[Label]) -> Label:
        """Return an outcome of a value that is generated, and let other runs take the others."""
        self.check()
        known = self.facts.known(value)
        if known is not None:
            return known
        location = traced_location()
        if self.repeating:
            label = self._script[len(self._taken)]
            if self.block.terminator is None or self.block.terminator.operands != (value,):
                raise self.exploration.nondeterministic(location)
        else:
            if self.block.terminator is not None:
                raise self.exploration.nondeterministic(location)
            self.exploration.reserve(self, len(labels) - 1)
            self.block.branch(value, labels, location)
            self.exploration.later((*self._taken, other) for other in labels[1:])
            label = labels[0]
        self._taken.append(label)
        self.block = self.block.cases[label]
        self.facts.learn(value, label)
        if value in self.exploration.equalities:
            chosen, text, when = self.exploration.equalities[value]
            self.facts.learn_choice(chosen, text, label is when)
        return label
