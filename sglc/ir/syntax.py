"""The syntax of graphs: what the grammar recognizes in a line, before names mean anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from json import JSONDecodeError
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from sglc.errors import Location
from sglc.ir.attribute_text import MAX_DEPTH, attribute_fault, read_scalar
from sglc.ir.graph import NO_ATTRIBUTES, Attribute
from sglc.ir.text_errors import TextFault, found_token, wanted_tokens

GRAMMAR = Path(__file__).with_name("grammar.lark")

Place = Literal["file_line", "block_line", "branch_line", "end_line"]
"""Where a line stands: outside of graphs, in a block, among the cases of a branch, behind the end of a block."""

PLACES: tuple[Place, ...] = ("file_line", "block_line", "branch_line", "end_line")

_REMEMBERED = 1 << 14
_LONG = 500


class GraphSyntax(NamedTuple):
    """The line that a graph begins with."""

    level: Token
    name: str
    arguments: list[tuple[Token, Token]]


class OperationSyntax(NamedTuple):
    """An operation. `names` are the tokens of its attributes, of which a `return` has none: it has a form of its own.

    A `branch` opens its cases.
    """

    results: Sequence[Token]
    name: Token
    operands: Sequence[Token]
    names: Sequence[Token]
    attributes: Mapping[str, Attribute]
    types: Sequence[Token]
    location: Location | None
    opens: bool = False


class CaseSyntax(NamedTuple):
    """The line that a case begins with."""

    label: bool | str


class CloseSyntax(NamedTuple):
    """A closing brace."""

    token: Token


LineSyntax = GraphSyntax | OperationSyntax | CaseSyntax | CloseSyntax


def parse_line(place: Place, line: str) -> LineSyntax:
    """Return what a line says. Raises TextFault.

    Short lines are remembered: a program, its plan and what passes make of it have most of them in common.
    """
    return _remembered(place, line) if len(line) < _LONG else _parsed(place, line)


def wanted_at(place: Place) -> str:
    """Return what can stand there."""
    cursor: Any = _lark().parse_interactive("", start=place)
    return wanted_tokens(cursor.accepts())


def _parsed(place: Place, line: str) -> LineSyntax:
    try:
        syntax: Any = _lark().parse(line, start=place)
    except UnexpectedInput as error:
        raise _fault_of(error, line) from None
    return syntax  # type: ignore[no-any-return]  # Lark thinks of its own trees


_remembered = lru_cache(_REMEMBERED)(_parsed)


@cache
def _lark() -> Lark:
    grammar = GRAMMAR.read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", start=[*PLACES], maybe_placeholders=True, transformer=_Tree())


def _fault_of(error: UnexpectedInput, line: str) -> TextFault:
    cursor: Any = error.interactive_parser
    wanted = wanted_tokens(cursor.accepts())
    column = error.column
    if isinstance(error, UnexpectedToken):
        found = found_token(error.token.type, error.token)
        if error.token.type == "$END":
            column = len(line) + 1
    elif isinstance(error, UnexpectedCharacters) and error.char == '"':
        found = "a string that does not end in its line"
    else:
        found = found_token("", line[error.pos_in_stream or 0])
    return TextFault(f"found {found}; wanted {wanted}", column)


def fault_at(token: Token, message: str) -> TextFault:
    """Return a fault at a token."""
    return TextFault(message, token.column or 1)


class _Tree:
    """What becomes of the parts of each rule of the grammar; optional parts that are missing are None."""

    def graph(self, parts: list[Any]) -> GraphSyntax:
        level, name, *arguments = parts
        named = _scalar(name, name[1:]) if name[1] == '"' else str(name[1:])
        return GraphSyntax(level, named, [each for each in arguments if each is not None])

    def argument(self, parts: list[Any]) -> tuple[Token, Token]:
        value, kind = parts
        return value, kind

    def operation(self, parts: list[Any]) -> OperationSyntax:
        results, name, operands, attributes, types, location = parts
        tokens, values = attributes or ((), NO_ATTRIBUTES)
        return OperationSyntax(results or (), name, operands or (), tokens, values, types or (), location)

    def branch(self, parts: list[Any]) -> OperationSyntax:
        name, operand, location = parts
        return OperationSyntax((), name, [operand], (), NO_ATTRIBUTES, (), location, opens=True)

    def return_(self, parts: list[Any]) -> OperationSyntax:
        name, prompt, arrow, returned, *variables, location = parts
        attributes: dict[str, Attribute] = {}
        if variables:
            attributes["names"] = tuple(variable for variable, _ in variables)
        if arrow is not None:
            attributes["returns"] = True
        operands = [prompt, *([returned] if arrow is not None else []), *(value for _, value in variables)]
        return OperationSyntax((), name, operands, (), MappingProxyType(attributes), (), location)

    def variable(self, parts: list[Any]) -> tuple[str, Token]:
        name, value = parts
        return (_scalar(name, name) if name.type == "STRING" else str(name)), value

    def case(self, parts: list[Any]) -> CaseSyntax:
        return CaseSyntax(*parts)

    def close(self, parts: list[Any]) -> CloseSyntax:
        return CloseSyntax(*parts)

    def attribute(self, parts: list[Any]) -> tuple[Token, Attribute]:
        name, value = parts
        return name, value

    def location(self, parts: list[Any]) -> Location:
        file, line = parts
        if not re.fullmatch(r"[0-9]{1,9}", line):
            raise fault_at(line, f"found {found_token('', line)}; wanted the number of a line")
        return Location(_scalar(file, file), int(line))

    def json(self, parts: list[Any]) -> Attribute:
        (part,) = parts
        return _scalar(part, part) if isinstance(part, Token) else part

    label = json

    def attributes(self, parts: list[Any]) -> tuple[list[Token], Mapping[str, Attribute]]:
        values: dict[str, Attribute] = {}
        for token, value in parts:
            if token in values:
                raise fault_at(token, f"found the attribute {found_token('', token)} twice; wanted it once")
            values[str(token)] = value
        return [token for token, _ in parts], MappingProxyType(values)

    def values(self, parts: list[Any]) -> list[Any]:
        return parts

    types = values

    def list(self, parts: list[Any]) -> Attribute:
        opening, *items = parts
        value = () if items == [None] else tuple(items)
        if attribute_fault(value) is not None:
            raise fault_at(opening, f"found lists more than {MAX_DEPTH} deep; wanted fewer")
        return value


def _scalar(token: Token, text: str) -> Any:
    """Return what a scalar says, which is the end of a token. Raises TextFault."""
    try:
        return read_scalar(text)
    except JSONDecodeError as error:
        place = (token.column or 1) + len(token) - len(text) + error.pos
        raise TextFault(f"found {found_token('', text)}, which is not JSON; wanted JSON", place) from None
    except ValueError:
        raise fault_at(token, f"found a number of {len(text)} digits; wanted a shorter one") from None
