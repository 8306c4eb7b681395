"""Graphs: immutable trees of blocks of operations in static single assignment form, and the builder that makes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from sglc.errors import Location
from sglc.ir.types import Type, type_of

Attribute = Any
"""What JSON can say, lists as tuples: str, int, float, bool, None or a tuple of these."""

NO_ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """The result of one operation or an argument; compared by identity. Its name is unique in its graph."""

    name: str
    type: Type

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """The block that runs when a branch's operand equals `label`."""

    label: bool | str
    block: Block


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operation. `attributes` hold what differs from the defaults of its row in the table of operations."""

    name: str
    operands: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=lambda: NO_ATTRIBUTES)
    cases: tuple[Case, ...] = ()
    location: Location | None = None

    @property
    def result(self) -> Value:
        """The only result."""
        (result,) = self.results
        return result

    def __repr__(self) -> str:
        return f"Op({self.name}, {', '.join(repr(v) for v in self.results)})"


Block = tuple[Op, ...]
"""Operations in order; the last is a terminator (`return`, `branch`, `eager`), and no other is."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A program: its arguments, and a block that ends in `return`, in `eager`, or in a branch into further blocks.

    Two graphs are equal if their texts are; source locations do not count. `level` is "program" or "plan".
    """

    name: str
    arguments: tuple[Value, ...]
    block: Block
    level: str = "program"

    @cached_property
    def text(self) -> str:
        """The text form, without source locations."""
        from sglc.ir.printer import print_graph

        return print_graph(self)

    def ops(self) -> Iterator[Op]:
        """Yield every operation, those of a branch's cases right behind it, in order."""
        stack = [iter(self.block)]
        while stack:
            op = next(stack[-1], None)
            if op is None:
                stack.pop()
                continue
            yield op
            stack.extend(iter(case.block) for case in reversed(op.cases))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and (self is other or self.text == other.text)

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Graph(@{self.name}, {sum(1 for _ in self.ops())} ops)"


def attribute_key(value: Attribute) -> str:
    """Return a text that two attributes share only if they are the same, type and sign of zero included."""
    return repr(value)  # not JSON, in which two surrogates look like the character that they would make


@dataclass(slots=True)
class BlockBuilder:
    """Builds one block: emitting a pure operation that exists in this block or one around it returns the existing one.

    Operations are told apart by `key`: name, operands and attributes, which for `gen`, `select` and `call` include the
    place in the program. So a program traced again finds its own operations. Blocks are opened by `branch`.
    """

    around: BlockBuilder | None = None
    ops: list[Op] = field(default_factory=list)
    cases: dict[bool | str, BlockBuilder] = field(default_factory=dict)
    terminator: Op | None = None
    _known: dict[tuple[Any, ...], tuple[Value, ...]] = field(default_factory=dict)

    def find(self, key: tuple[Any, ...]) -> tuple[Value, ...] | None:
        """Return the results of the operation with this key, if this block or one around it has it."""
        builder: BlockBuilder | None = self
        while builder is not None:
            found = builder._known.get(key)
            if found is not None:
                return found
            builder = builder.around
        return None

    def emit(
        self,
        name: str,
        operands: Sequence[Value] = (),
        types: Sequence[Type] = (),
        attributes: Mapping[str, Attribute] = NO_ATTRIBUTES,
        *,
        hint: str = "",
        location: Location | None = None,
    ) -> tuple[Value, ...]:
        """Return the results of an operation, a new one unless an equal one is known."""
        key = op_key(name, operands, types, attributes)
        found = self.find(key)
        if found is None:
            last = len(types) - 1
            found = tuple(Value(hint if i == last else "", kind) for i, kind in enumerate(types))
            self.add(Op(name, tuple(operands), found, MappingProxyType(dict(attributes)), (), location))
            self._known[key] = found
        return found

    def keep(self, op: Op) -> tuple[Value, ...]:
        """Return the results of an operation made elsewhere, added as it is, or those of an equal one that is known."""
        key = op_key(op.name, op.operands, [value.type for value in op.results], op.attributes)
        found = self.find(key)
        if found is None:
            found = self._known[key] = op.results
            self.add(op)
        return found

    def const(self, value: Any, location: Location | None = None) -> Value:
        """Return a constant: text, a number, a truth value or None."""
        (result,) = self.emit("const", (), (type_of(value),), {"value": value}, location=location)
        return result

    def add(self, op: Op) -> None:
        """Append an operation as it is. Raises ValueError behind a terminator."""
        if self.terminator is not None:
            raise ValueError(f"found {op.name} behind {self.terminator.name}; wanted nothing behind a terminator")
        self.ops.append(op)

    def end(
        self,
        name: str,
        operands: Sequence[Value] = (),
        attributes: Mapping[str, Attribute] = NO_ATTRIBUTES,
        location: Location | None = None,
    ) -> None:
        """End the block with a terminator."""
        if self.terminator is not None:
            raise ValueError(f"found {name} behind {self.terminator.name}; wanted one terminator")
        self.terminator = Op(name, tuple(operands), (), MappingProxyType(dict(attributes)), (), location)

    def branch(self, on: Value, labels: Sequence[bool | str], location: Location | None = None) -> None:
        """End the block with a branch; its blocks are then in `cases`."""
        self.end("branch", (on,), location=location)
        self.cases = {label: BlockBuilder(self) for label in labels}

    def finish(self) -> Block:
        """Return the block with its cases. Raises ValueError for a block that does not end."""
        builders = [self]
        for builder in builders:
            builders.extend(builder.cases.values())
        blocks: dict[int, Block] = {}
        for builder in reversed(builders):
            if builder.terminator is None:
                raise ValueError("found a block without an end; wanted return, branch or eager")
            cases = tuple(Case(label, blocks[id(inner)]) for label, inner in builder.cases.items())
            blocks[id(builder)] = (*builder.ops, replace(builder.terminator, cases=cases))
        return blocks[id(self)]


def op_key(
    name: str, operands: Sequence[Value], types: Sequence[Type], attributes: Mapping[str, Attribute]
) -> tuple[Any, ...]:
    """Return what two operations share only if they are the same."""
    described = tuple((key, attribute_key(attributes[key])) for key in sorted(attributes))
    return (name, tuple(map(id, operands)), tuple(types), described)


def map_ops(block: Block, change: Callable[[Op], Op]) -> Block:
    """Return a block with every operation changed, in order, those of cases included; `change` leaves cases alone."""
    return map_blocks(block, lambda ops: [change(op) for op in ops])


def map_blocks(block: Block, change: Callable[[Block], Iterable[Op]]) -> Block:
    """Return a block changed as a whole, then those of the cases that it then has, each before the ones inside it.

    Blocks may be nested deeper than Python calls functions.
    """
    nodes: list[tuple[list[Op], list[int]]] = []
    todo: list[tuple[Block, list[int]]] = [(block, [])]
    while todo:
        each, siblings = todo.pop()
        siblings.append(len(nodes))
        inner: list[int] = []
        changed = [*change(each)]
        nodes.append((changed, inner))
        todo.extend((case.block, inner) for op in reversed(changed) for case in reversed(op.cases))
    blocks: dict[int, Block] = {}
    for number, (ops, inner) in reversed([*enumerate(nodes)]):
        numbers = iter(inner)
        blocks[number] = tuple(
            replace(op, cases=tuple(Case(case.label, blocks[next(numbers)]) for case in op.cases)) if op.cases else op
            for op in ops
        )
    return blocks[0]


_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_NUMBER_BEHIND = re.compile(r"(_+[0-9]+)+$")


def canonical(graph: Graph) -> Graph:
    """Return the graph with every value named anew: by its hint, with a number behind it where taken, else a number.

    Arguments keep their names, which are the user's. A hint is the name a value has, less the number behind it.
    """
    names = {argument.name for argument in graph.arguments}
    renamed: dict[Value, Value] = {argument: argument for argument in graph.arguments}
    counts: dict[str, int] = {}

    def name_for(value: Value) -> str:
        hint = _NUMBER_BEHIND.sub("", _NOT_A_NAME.sub("_", value.name).strip("_"))
        if not hint or hint[0].isdigit():
            number = counts.get("", 0)
            counts[""] = number + 1
            return str(number)
        number = counts.get(hint, 0)
        name = f"{hint}_{number}" if number else hint
        while name in names:
            number += 1
            name = f"{hint}_{number}"
        counts[hint] = number + 1
        names.add(name)
        return name

    def rename(op: Op) -> Op:
        operands = tuple(renamed.get(value, value) for value in op.operands)  # the verifier finds what is not there
        results = tuple(Value(name_for(value), value.type) for value in op.results)
        renamed.update(zip(op.results, results, strict=True))
        return Op(op.name, operands, results, op.attributes, op.cases, op.location)

    return Graph(graph.name, graph.arguments, map_ops(graph.block, rename), graph.level)


def make_graph(name: str, arguments: Iterable[Value], builder: BlockBuilder, level: str = "program") -> Graph:
    """Return the verified graph of a finished builder, its values named in order."""
    from sglc.ir.verifier import verify

    graph = canonical(Graph(name, tuple(arguments), builder.finish(), level))
    verify(graph)
    return graph
