"""Lark's syntax, read into rules with the grammar of grammars that lark brings along."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from sglc.automata.budget import MAX_STATES
from sglc.automata.grammar_rules import START, Chain, Choice, Ref, Rule, Text, Times
from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import EMPTY, CharSet, Concat, Either, Regular, Repeat, least_states
from sglc.errors import ProgramError, SglcError, Unsupported

_MAX_CHARACTERS = 100_000
_MAX_INSTANCES = 1_000
_COMMON = "common"
_OPERATORS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "\\": "\\", '"': '"'}
_LAZY = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|([*+?}]\?)", re.DOTALL)

# lark's own definitions end at the first quote or mark because their repeats are lazy; these say the same without
_EXACT = {
    "ESCAPED_STRING": r'"(?:[^"\\\n]|\\[^\n])*"',
    "C_COMMENT": r"/\*(?:[^*]|\*+[^*/])*\*+/",
}

Names = Mapping[str, Rule]
"""What the parameters of a template stand for."""


def read_grammar(text: str) -> dict[str, Rule]:
    """Return the rules of a grammar by name, `start` among them; terminals are written in, with what may be ignored.

    Raises ProgramError, with line and column, for wrong syntax and undefined names; Unsupported for what is not read.
    """
    if len(text) > _MAX_CHARACTERS:
        raise Unsupported(f"grammar: found {len(text):,} characters; wanted at most {_MAX_CHARACTERS:,}")
    reader = _Reader()
    reader.define(_parsed(text))
    reader._known |= {name: parse_regex(pattern) for name, pattern in _EXACT.items()}
    return reader.rules()


class _Reader:
    """The definitions of one grammar text, read when they are asked for."""

    def __init__(self) -> None:
        self._bodies: dict[str, tuple[list[str], Any]] = {}  # of each rule: its parameters and its tree
        self._terminals: dict[str, Any] = {}
        self._known: dict[str, Regular] = {}  # the languages of terminals that have been read
        self._reading: list[str] = []
        self._ignored: list[Any] = []
        self._skip: Rule = Chain(())
        self._instances: dict[tuple[str, tuple[Rule, ...]], str] = {}
        self._pending: list[tuple[str, Any, Names]] = []

    def define(self, tree: Any) -> None:
        """Take the definitions of a parsed text. Raises ProgramError for one that is there already."""
        for item in tree.children:
            match item.data:
                case "rule" | "token":
                    self._define(item)
                case "override_rule":
                    self._bodies.pop(_rule_name(item.children[0].children[0]), None)
                    self._define(item.children[0])
                case "ignore":
                    self._ignored.append(item.children[0])
                case "import":
                    path, *alias = item.children
                    library, *names = _path(path)
                    self._import([library, *names[:-1]], names[-1:], alias[0] if alias else None)
                case "multi_import":
                    path, names = item.children
                    self._import(_path(path), [_token(name) for name in names.children], None)
                case _:
                    raise Unsupported(f"{_place(item)}: found %{item.data}; wanted a definition")

    def rules(self) -> dict[str, Rule]:
        """Return all rules that are no templates."""
        if START not in self._bodies:
            raise ProgramError(f"grammar: found no rule {START!r}; wanted one, which whole texts belong to")
        if self._ignored:
            ignored = Either(tuple(_regular(self._rule(tree, None)) for tree in self._ignored))
            self._skip = Times(Text(Repeat(ignored, 1, None)), 0, 1)
        rules: dict[str, Rule] = {}
        self._pending = [(name, tree, {}) for name, (parameters, tree) in self._bodies.items() if not parameters]
        while self._pending:
            name, tree, names = self._pending.pop()
            rules[name] = self._rule(tree, names)
        if START not in rules:
            raise ProgramError(f"grammar: found a template {START!r}; wanted a rule without parameters")
        if self._ignored:
            rules |= {" start": rules[START], START: Chain((self._skip, Ref(" start")))}
            rules = {name: _renamed(rule) if name != START else rule for name, rule in rules.items()}
        return rules

    def terminal(self, token: Token) -> Regular:
        """Return the language of a terminal. Raises ProgramError for an undefined or recursive one."""
        name = str(token)
        if name not in self._known:
            if name not in self._terminals:
                raise ProgramError(f"{_place(token)}: found the undefined terminal {name}; wanted a defined one")
            if name in self._reading:
                raise ProgramError(f"{_place(token)}: found the terminal {name} inside itself; wanted a rule for that")
            self._reading.append(name)
            tree = self._known[name] = _regular(self._rule(self._terminals[name], None))
            self._reading.pop()
            if least_states(tree) > MAX_STATES:  # before anyone walks it: its parts are shared
                found = f"found {name} with more than {MAX_STATES:,} automaton states"
                raise Unsupported(f"{_place(token)}: {found}; wanted smaller counts")
        return self._known[name]

    def _define(self, item: Any) -> None:
        name, parameters, *_, body = item.children
        if item.data == "token":
            if parameters.children:
                raise Unsupported(f"{_place(name)}: found a terminal with parameters; wanted a rule")
            if str(name) in self._terminals or str(name) in self._known:
                raise ProgramError(f"{_place(name)}: found {name} defined twice; wanted it once")
            self._terminals[str(name)] = body
            return
        if _rule_name(name) in self._bodies:
            raise ProgramError(f"{_place(name)}: found the rule {_rule_name(name)!r} defined twice; wanted it once")
        self._bodies[_rule_name(name)] = [_rule_name(each) for each in parameters.children], body

    def _import(self, path: list[Token], names: list[Token], alias: Any) -> None:
        if [*map(str, path)] != [_COMMON] or not names:
            found = ".".join(map(str, [*path, *names]))
            raise Unsupported(f"{_place(path[0])}: found %import of {found}; wanted {_COMMON}.NAME")
        for name in names:
            if str(name) not in _common()._terminals:
                raise ProgramError(f"{_place(name)}: found {_COMMON}.{name}, which lark has not; wanted one it has")
            known_as = str(name if alias is None else _token(alias))
            if known_as in self._terminals or known_as in self._known:
                raise ProgramError(f"{_place(name)}: found {known_as} defined twice; wanted it once")
            self._known[known_as] = _common().terminal(name)

    # Expressions; `names` is None inside a terminal

    def _rule(self, tree: Any, names: Names | None) -> Rule:
        match str(tree.data):
            case "expansions":
                return Choice(tuple(self._rule(child, names) for child in tree.children))
            case "expansion":
                return Chain(tuple(self._rule(child, names) for child in tree.children))
            case "alias":
                return self._rule(tree.children[0], names)
            case "maybe":
                return Times(self._rule(tree.children[0], names), 0, 1)
            case "expr":
                return self._times(tree, names)
            case "name":
                return self._name(tree.children[0], names)
            case "template_usage":
                return self._instance(tree, names)
        return self._leaf(_literal(tree.children[0]) if tree.data == "literal" else _range(*tree.children), names)

    def _leaf(self, tree: Regular, names: Names | None) -> Rule:
        return Text(tree) if names is None or self._skip == Chain(()) else Chain((Text(tree), self._skip))

    def _times(self, tree: Any, names: Names | None) -> Rule:
        body, *counts = tree.children
        if str(counts[0]) in _OPERATORS:
            return Times(self._rule(body, names), *_OPERATORS[str(counts[0])])
        least, most = int(counts[0]), int(counts[-1])
        if not 0 <= least <= most:
            raise ProgramError(f"{_place(counts[0])}: found {least} to {most} times; wanted 0 ≤ least ≤ most")
        return Times(self._rule(body, names), least, most)

    def _name(self, token: Token, names: Names | None) -> Rule:
        if token.type == "TOKEN":
            return self._leaf(self.terminal(token), names)
        name = _rule_name(token)
        if names is None:
            raise ProgramError(f"{_place(token)}: found the rule {name!r} in a terminal; wanted terminals only")
        if name in names:
            return names[name]
        self._check(token, 0)
        return Ref(name)

    def _instance(self, tree: Any, names: Names | None) -> Rule:
        token = _token(tree.children[0])
        if names is None:
            raise ProgramError(f"{_place(token)}: found a template in a terminal; wanted terminals only")
        arguments = tuple(self._rule(child, names) for child in tree.children[1:])
        self._check(token, len(arguments))
        parameters, body = self._bodies[_rule_name(token)]
        key = _rule_name(token), arguments
        if key not in self._instances:
            if len(self._instances) == _MAX_INSTANCES:
                raise Unsupported(
                    f"{_place(token)}: found more than {_MAX_INSTANCES:,} uses of templates; wanted fewer"
                )
            self._instances[key] = f"{_rule_name(token)} {len(self._instances)}"
            self._pending.append((self._instances[key], body, dict(zip(parameters, arguments, strict=True))))
        return Ref(self._instances[key])

    def _check(self, token: Token, arguments: int) -> None:
        name = _rule_name(token)
        if name not in self._bodies:
            raise ProgramError(f"{_place(token)}: found the undefined rule {name!r}; wanted a defined one")
        if len(self._bodies[name][0]) != arguments:
            wanted = len(self._bodies[name][0])
            raise ProgramError(f"{_place(token)}: found {arguments} arguments of {name!r}; wanted {wanted}")


@cache
def _parser() -> Lark:
    return Lark.open_from_package(
        "lark", "lark.lark", ["grammars"], parser="lalr", propagate_positions=True, maybe_placeholders=False
    )


@cache
def _common() -> _Reader:
    reader = _Reader()
    text = resources.files("lark").joinpath("grammars", "common.lark").read_text(encoding="utf-8")
    reader.define(_parsed(text))
    reader._known |= {name: parse_regex(pattern) for name, pattern in _EXACT.items()}
    return reader


def _parsed(text: str) -> Tree[Token]:
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        if isinstance(error, UnexpectedToken) and error.token.type != "$END":
            found, line, column = repr(str(error.token)), error.line, error.column
        elif isinstance(error, UnexpectedCharacters):
            found, line, column = repr(error.char), error.line, error.column
        else:
            found, line, column = "the end", text.count("\n") + 1, len(text) - text.rfind("\n")
        raise ProgramError(f"grammar, line {line}, column {column}: found {found}; wanted the syntax of lark") from None


def _place(part: Any) -> str:
    known = part if isinstance(part, Token) else part.meta
    return f"grammar, line {known.line}, column {known.column}"


def _token(part: Any) -> Token:
    token: Token = part if isinstance(part, Token) else part.children[0]
    return token


def _path(tree: Any) -> list[Token]:
    """Return the names of an import's path; a relative one begins with its dot."""
    parts = [_token(part) for part in tree.children]
    return [part for place, part in enumerate(parts) if place == 0 or part != "."]


def _rule_name(token: Token) -> str:
    return str(token).lstrip("!?")


def _literal(token: Token) -> Regular:
    body, _, flags = str(token).rpartition(token[0])
    body = body[1:]
    try:
        if token[0] == '"':
            text = _unescaped(body)
            return parse_regex(f"(?i:{re.escape(text)})" if flags else re.escape(text))
        if any(lexeme[1] for lexeme in _LAZY.finditer(body)):
            raise Unsupported('found a lazy repeat; wanted one that says itself where it ends, such as [^"]*')
        pattern = body.replace(r"\/", "/")
        if not flags:
            return parse_regex(pattern)
        return parse_regex(f"(?{''.join(dict.fromkeys(flags))}:{pattern}{chr(10) if 'x' in flags else ''})")
    except SglcError as error:
        raise type(error)(f"{_place(token)}: {error.message}") from None


def _range(first: Token, last: Token) -> Regular:
    low, high = (_unescaped(str(token)[1:-1]) for token in (first, last))
    if len(low) != 1 or len(high) != 1 or low > high:
        raise ProgramError(f"{_place(first)}: found {first}..{last}; wanted one character up to a later one")
    return CharSet(((ord(low), ord(high)),))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda escape: _character(escape[1]), text)


def _character(escape: str) -> str:
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    return _CONTROLS.get(escape, "\\" + escape)


def _regular(rule: Rule) -> Regular:
    """Return the language of a rule without references."""
    match rule:
        case Text():
            return rule.tree
        case Chain():
            return Concat(tuple(map(_regular, rule.parts))) if rule.parts else EMPTY
        case Choice():
            return Either(tuple(map(_regular, rule.options)))
        case Times():
            return Repeat(_regular(rule.body), rule.least, rule.most)
    raise AssertionError(f"found a reference to {rule.name!r} in a terminal")


def _renamed(rule: Rule) -> Rule:
    """Return a rule that refers to the start behind what may be ignored before it."""
    match rule:
        case Ref():
            return Ref(" start") if rule.name == START else rule
        case Chain():
            return Chain(tuple(map(_renamed, rule.parts)))
        case Choice():
            return Choice(tuple(map(_renamed, rule.options)))
        case Times():
            return Times(_renamed(rule.body), rule.least, rule.most)
    return rule
