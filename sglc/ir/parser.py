"""Text as graphs: what the printer prints, and what people write in the same form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lark import Token

from sglc.errors import InputError, Location
from sglc.ir.graph import Case, Graph, Op, Value
from sglc.ir.operation_checks import listed
from sglc.ir.ops import Effect, rows_of
from sglc.ir.printer import KEYWORDS
from sglc.ir.syntax import (
    CaseSyntax,
    CloseSyntax,
    GraphSyntax,
    LineSyntax,
    OperationSyntax,
    Place,
    fault_at,
    parse_line,
    wanted_at,
)
from sglc.ir.text_errors import TextFault, error_at, found_token
from sglc.ir.types import Type
from sglc.ir.verifier import VerifyError, verify

_LEVELS = {keyword: level for level, keyword in KEYWORDS.items()}
_TYPES = {kind.value: kind for kind in Type}


def parse(text: str, *, file: str = "<text>") -> Graph:
    """Return the verified graph of a text that holds one. Raises InputError, which shows the place in its line."""
    graphs = parse_all(text, file=file)
    if len(graphs) != 1:
        raise InputError(f"found {len(graphs)} graphs; wanted one", Location(file, 1))
    return graphs[0]


def parse_all(text: str, *, file: str = "<text>", verified: bool = True) -> list[Graph]:
    """Return the graphs of a text. Raises InputError; without `verified`, only for what can't be made a graph.

    Blocks may be nested deeper than Python calls functions.
    """
    lines = text.split("\n")
    graphs: list[Graph] = []
    reader: _Reader | None = None
    last = 0
    for number, line in enumerate(lines, 1):
        content = line.strip(" \t\r")
        if not content or content.startswith("//"):
            continue
        last = number
        indent = line.index(content[0])
        try:
            if reader is None:
                reader = _Reader(parse_line("file_line", content), Spot(number, indent + 1))
            else:
                reader.read(parse_line(reader.place, content), Spot(number, indent + 1))
        except TextFault as fault:
            raise error_at(fault.message, file, number, line, indent + fault.column) from None
        if reader.graph is None:
            continue
        graphs.append(reader.graph)
        if verified:
            _verify(reader, lines, file)
        reader = None
    if reader is not None:
        end = len(lines[last - 1].rstrip(" \t\r")) + 1
        message = f"found the end of the text; wanted {wanted_at(reader.place)}"
        raise error_at(message, file, last, lines[last - 1], end)
    return graphs


def _verify(reader: _Reader, lines: Sequence[str], file: str) -> None:
    assert reader.graph is not None
    try:
        verify(reader.graph)
    except VerifyError as error:
        spot = reader.begin if error.op is None else reader.spots[error.op]
        name = KEYWORDS[reader.graph.level] if error.op is None else error.op.name
        raise error_at(f"{name}: {error.fault}", file, spot.line, lines[spot.line - 1], spot.column) from None


class Spot(NamedTuple):
    """A place in the text, both from 1."""

    line: int
    column: int


@dataclass(slots=True)
class _Block:
    """A block that is not closed yet: its operations so far, and whether nothing can follow."""

    label: bool | str = ""
    ops: list[Op] = field(default_factory=list)
    ended: bool = False


@dataclass(slots=True)
class _Branch:
    """A branch whose cases are not closed yet; it is the last operation of the block before it."""

    cases: list[Case] = field(default_factory=list)


class _Reader:
    """Reads one graph line by line; it knows the values so far, what is open and where operations are written."""

    def __init__(self, syntax: LineSyntax, begin: Spot) -> None:
        assert isinstance(syntax, GraphSyntax)  # the grammar takes nothing else outside of graphs
        self.begin = begin
        self.spots: dict[Op, Spot] = {}
        self.graph: Graph | None = None
        self._level = _LEVELS[syntax.level]
        self._rows = rows_of(self._level)
        self._values: dict[str, Value] = {}
        self._lines: dict[str, int] = {}
        self._open: list[_Block | _Branch] = [_Block()]
        self._name = syntax.name
        self._arguments = tuple([self._define(name, kind, begin.line) for name, kind in syntax.arguments])

    @property
    def place(self) -> Place:
        """Where the next line stands."""
        last = self._open[-1]
        if isinstance(last, _Branch):
            return "branch_line"
        return "end_line" if last.ended else "block_line"

    def read(self, syntax: LineSyntax, spot: Spot) -> None:
        """Take the next line. Raises TextFault."""
        last = self._open[-1]
        if isinstance(syntax, CaseSyntax):
            self._open.append(_Block(syntax.label))
        elif isinstance(syntax, OperationSyntax) and isinstance(last, _Block):
            op = self._operation(syntax, spot)
            last.ops.append(op)
            last.ended = self._rows[op.name].effect is Effect.END
            if syntax.opens:
                self._open.append(_Branch())
        elif isinstance(syntax, CloseSyntax):
            self._close(syntax.token)

    def _close(self, token: Token) -> None:
        closed = self._open.pop()
        around = self._open[-1] if self._open else None
        if isinstance(closed, _Branch):
            assert isinstance(around, _Block)
            branch = around.ops[-1]
            whole = around.ops[-1] = replace(branch, cases=tuple(closed.cases))
            self.spots[whole] = self.spots[branch]
            return
        if not closed.ended:
            raise fault_at(token, "found the end of a block; wanted return, branch or eager before it")
        if isinstance(around, _Branch):
            around.cases.append(Case(closed.label, tuple(closed.ops)))
        else:
            self.graph = Graph(self._name, self._arguments, tuple(closed.ops), self._level)

    def _define(self, token: Token, kind: Token, line: int) -> Value:
        """Return a new value."""
        name = token[1:]
        if name in self._values:
            message = f"found %{name} again, which line {self._lines[name]} defines; wanted a name of its own"
            raise fault_at(token, message)
        if kind not in _TYPES:
            raise fault_at(kind, f"found the type {found_token('', kind)}; wanted {listed(_TYPES)}")
        value = self._values[name] = Value(name, _TYPES[kind])
        self._lines[name] = line
        return value

    def _operation(self, syntax: OperationSyntax, spot: Spot) -> Op:
        name = syntax.name
        if name not in self._rows:
            raise fault_at(name, f"found the operation {found_token('', name)}; wanted {listed(self._rows)}")
        operands = tuple([self._value(token) for token in syntax.operands])
        if len(syntax.types) != len(syntax.results):
            place = (syntax.types or syntax.results)[-1]
            raise fault_at(place, f"found {len(syntax.types)} types; wanted {len(syntax.results)}, one for each result")
        known = self._rows[name].attributes
        for token in syntax.names:
            if token not in known:
                raise fault_at(token, f"found the attribute {found_token('', token)}; wanted {listed(known)}")
        results = tuple([self._define(*each, spot.line) for each in zip(syntax.results, syntax.types, strict=True)])
        op = Op(str(name), operands, results, syntax.attributes, (), syntax.location)
        self.spots[op] = Spot(spot.line, spot.column - 1 + (name.column or 1))
        return op

    def _value(self, token: Token) -> Value:
        value = self._values.get(token[1:])
        if value is None:
            raise fault_at(token, f"found {token}, which nothing before defines; wanted a value defined above")
        return value
