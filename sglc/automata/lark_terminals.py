"""Regular languages as terminals of llguidance's dialect of lark."""

from __future__ import annotations

from functools import lru_cache

from sglc.automata.budget import Budget
from sglc.automata.regular import (
    ANY_CHARACTER,
    Anchor,
    Both,
    CharSet,
    Concat,
    Either,
    Except,
    Look,
    Range,
    Regular,
    Repeat,
)
from sglc.errors import Unsupported

_SURROGATES = (0xD800, 0xDFFF)


class Terminals:
    """The terminals of one grammar; equal languages share one. `lines` are their definitions."""

    def __init__(self, budget: Budget | None = None) -> None:
        """Begin without terminals. With a budget, naming one raises OverBudget once it is spent."""
        self._budget = budget
        self.lines: list[str] = []
        self._names: dict[Regular, str] = {}

    def name(self, tree: Regular) -> str:
        """Return the terminal of a language. Raises Unsupported for one with assertions."""
        name = self._names.get(tree)  # looked up once: the hash of a large tree takes time
        if name is None:
            if self._budget is not None:
                self._budget.check(0)
            body = self._expression(tree)  # first, because it defines what it uses
            name = self._names[tree] = f"T{len(self.lines)}"
            self.lines.append(f"{name}: {body}")
        return name

    def _expression(self, tree: Regular) -> str:
        """Return a terminal's right side; only where sets of texts are combined is it more than one regex."""
        match tree:
            case Both():
                return f"{self._operand(tree.left)} & {self._operand(tree.right)}"
            case Except():
                return f"{self._operand(tree.left)} & ~{self._operand(tree.right)}"
        if not _combines(tree):
            return f"/{_regex(tree)}/"
        match tree:
            case Concat():
                return " ".join(map(self._operand, tree.parts))
            case Either():
                return " | ".join(map(self._operand, tree.options))
            case Repeat():
                most = "" if tree.most is None else str(tree.most)
                return f"{self._operand(tree.body)}{{{tree.least},{most}}}"
        raise _assertion()

    def _operand(self, tree: Regular) -> str:
        return self.name(tree)


def _combines(tree: Regular) -> bool:
    match tree:
        case Both() | Except():
            return True
        case Concat():
            return any(map(_combines, tree.parts))
        case Either():
            return any(map(_combines, tree.options))
        case Repeat():
            return _combines(tree.body)
    return False


def _regex(tree: Regular) -> str:
    match tree:
        case CharSet():
            return _char_class(tree)
        case Concat():
            return "".join(map(_regex, tree.parts))
        case Either():
            return f"(?:{'|'.join(map(_regex, tree.options))})" if tree.options else r"[^\x{0}-\x{10FFFF}]"
        case Repeat():
            most = "" if tree.most is None else str(tree.most)
            count = "*" if (tree.least, tree.most) == (0, None) else f"{{{tree.least},{most}}}"
            return f"(?:{_regex(tree.body)}){count}"
        case Anchor() | Look():
            if tree == Anchor():
                return ""
    raise _assertion()


@lru_cache(maxsize=4096)
def _char_class(chars: CharSet) -> str:
    if chars == ANY_CHARACTER:
        return r"[\x{0}-\x{10FFFF}]"
    pieces = [piece for pair in chars.ranges for piece in _without_surrogates(pair)]
    if len(pieces) == 1 and pieces[0][0] == pieces[0][1]:
        return _char(pieces[0][0])
    if not pieces:
        return r"[^\x{0}-\x{10FFFF}]"
    return "[" + "".join(_char(low) if low == high else f"{_char(low)}-{_char(high)}" for low, high in pieces) + "]"


def _without_surrogates(pair: Range) -> list[Range]:
    """Cut lone surrogates out, which no UTF-8 text holds."""
    low, high = pair
    pieces = [(low, min(high, _SURROGATES[0] - 1)), (max(low, _SURROGATES[1] + 1), high)]
    if high < _SURROGATES[0] or low > _SURROGATES[1]:
        pieces = [pair]
    return [(first, last) for first, last in pieces if first <= last]


def _char(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{{{code:X}}}"


def _assertion() -> Unsupported:
    return Unsupported("grammar: found an assertion (an anchor or lookaround) inside a terminal; wanted none there")
