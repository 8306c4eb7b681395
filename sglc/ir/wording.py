"""Operations as people read them in drawings: short expressions, made of spans that know what they are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sglc.ir import attribute_text
from sglc.ir.graph import Attribute, Op, Value


class Span(NamedTuple):
    """A piece of a label. `kind` is literal (a text, not yet quoted), number, value, name or plain."""

    kind: str
    text: str


Spans = tuple[Span, ...]

_SHORTEST = 12
_LEFT_OUT = " … "
_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
_VISIBLE = str.maketrans({"\n": "⏎", "\t": "⇥", "\r": "␍"})


def plain(text: str) -> Span:
    """Return a span of punctuation or of an operation's name."""
    return Span("plain", text)


def quoted(span: Span, limit: int) -> str:
    """Return a span as it is shown: a literal in quotes, its line ends visible, its middle left out beyond `limit`."""
    if span.kind != "literal":
        return visible(span.text)
    text = span.text
    limit = max(limit, _SHORTEST)
    if len(text) > limit + len(_LEFT_OUT):
        text = f"{text[: limit // 2]}{_LEFT_OUT}{text[-(limit - limit // 2) :]}"
    return f'"{visible(text)}"'


def visible(text: str) -> str:
    """Return a text on one line in which every character can be seen."""
    return attribute_text.visible(text.translate(_VISIBLE))


def length(spans: Spans, limit: int) -> int:
    """Return how many characters spans have when shown."""
    return sum(len(quoted(span, limit)) for span in spans)


def constant(value: Attribute) -> Spans:
    """Return an attribute as spans."""
    if isinstance(value, str):
        return (Span("literal", value),)
    if isinstance(value, tuple):
        return (plain("["), *joined([constant(item) for item in value]), plain("]"))
    return (Span("number", repr(value)),)


def is_infix(op: Op) -> bool:
    """Whether `expression` writes an operation between or before its operands."""
    return _is_sum(op) or (op.name == "apply" and op.attributes["fn"] in (*_INFIX, "contains", "not"))


def needs_brackets(op: Op, user: Op) -> bool:
    """Whether an operation's expression needs brackets inside that of its user."""
    return is_infix(op) and is_infix(user) and not (_is_sum(op) and _is_sum(user))


def _is_sum(op: Op) -> bool:
    return op.name == "concat" or (op.name == "apply" and op.attributes["fn"] == "add")


def reference(value: Value) -> Span:
    """Return a value's name as a span."""
    return Span("value", f"%{value.name}")


def expression(op: Op, known: Mapping[Value, Spans]) -> Spans:
    """Return an operation on values whose wording is known, as an expression of Python's kind."""
    operands = [known[value] for value in op.operands]
    if op.name == "concat":
        return joined(operands, " + ")
    if op.name in _BRACKETS:
        opening, closing = _BRACKETS[op.name]
        return (plain(opening), *joined(operands), plain(closing))
    if op.name == "dict":
        items = [(*key, plain(": "), *value) for key, value in zip(operands[::2], operands[1::2], strict=True)]
        return (plain("{"), *joined(items), plain("}"))
    if op.name == "const":
        return constant(op.attributes["value"])
    name = str(op.attributes.get("fn", op.name))
    if op.name == "call":
        name = name.rpartition(":")[2]
    if name == "as_text":
        return operands[0]
    keywords: Sequence[str] = op.attributes.get("keywords", ())
    if op.name == "apply" and not keywords:
        if name in _INFIX and len(operands) == 2:
            return (*operands[0], plain(f" {_INFIX[name]} "), *operands[1])
        if name == "contains" and len(operands) == 2:
            return (*operands[1], plain(" in "), *operands[0])
        if name == "not" and len(operands) == 1:
            return (plain("not "), *operands[0])
        if name == "getitem" and len(operands) == 2:
            return (*operands[0], plain("["), *operands[1], plain("]"))
    named = len(operands) - len(keywords)
    arguments = [*operands[:named]]
    arguments += [
        (Span("name", key), plain("="), *value) for key, value in zip(keywords, operands[named:], strict=True)
    ]
    return (plain(name + "("), *joined(arguments), plain(")"))


def _named(name: str, value: Spans) -> Spans:
    return (Span("name", name), plain("="), *value)


_BRACKETS = {"list": ("[", "]"), "tuple": ("(", ")")}


def details(op: Op, hidden: Iterable[str] = ("site",)) -> Spans:
    """Return an operation's attributes, less the hidden ones, as `name=value` spans."""
    shown = [
        (Span("name", name), plain("="), *constant(value))
        for name, value in op.attributes.items()
        if name not in hidden
    ]
    return joined(shown)


def returned(op: Op, known: Mapping[Value, Spans]) -> Spans:
    """Return what a program returns, as `name = value` spans; its final prompt is left out."""
    values = [known[value] for value in op.operands[1:]]
    items: list[Spans] = []
    if op.attributes.get("returns", False):
        items.append((Span("name", "return"), plain(" "), *values.pop(0)))
    names = op.attributes.get("names", ())
    items += [(Span("name", name), plain(" = "), *value) for name, value in zip(names, values, strict=True)]
    return joined(items)


def joined(items: Sequence[Spans], by: str = ", ") -> Spans:
    """Return items with something between them."""
    found: list[Span] = []
    for item in items:
        if found:
            found.append(plain(by))
        found.extend(item)
    return tuple(found)


def columns(text: str) -> int:
    """Return how many columns of a monospaced font a text takes: wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if not unicodedata.combining(c))


def wrapped(spans: Spans, width: int, most: int) -> list[Spans]:
    """Return spans as shown, literals quoted, in at most `most` lines of `width` columns.

    Lines break behind spaces where they can. Long literals lose so much of their middle that the lines are enough;
    where that does not do, the last line ends in `…`.
    """
    lines: list[Spans] = []
    for eighths in range(8, -1, -1):
        lines = _lines(spans, width, width * most * eighths // 8)
        if len(lines) <= most:
            return lines
    return [*lines[: most - 1], (*lines[most - 1], plain("…"))]


def _lines(spans: Spans, width: int, limit: int) -> list[Spans]:
    lines: list[list[Span]] = [[]]
    used = 0
    for word in _words(spans, limit):
        taken = columns("".join(part.text for part in word))
        if used and used + taken - word[-1].text.endswith(" ") > width:
            lines.append([])
            used = 0
        for kind, text in _cut(word, width) if taken > width + 1 else word:
            if used and used + columns(text.rstrip()) > width:
                lines.append([])
                used = 0
            before = lines[-1].pop().text if lines[-1] and lines[-1][-1].kind == kind else ""
            lines[-1].append(Span(kind, before + text))
            used += columns(text)
    return [tuple(line) for line in lines if line]


def _words(spans: Spans, limit: int) -> Iterator[list[Span]]:
    """Yield what stands between places where a line may break, which are behind spaces."""
    word: list[Span] = []
    for span in spans:
        for part in re.findall(r" *[^ ]+ ?| +", quoted(span, limit)):
            word.append(Span(span.kind, part))
            if part.endswith(" "):
                yield word
                word = []
    if word:
        yield word


def _cut(word: list[Span], width: int) -> Iterator[Span]:
    """Yield the parts of a word, cut where they are wider than a line."""
    for kind, text in word:
        while columns(text) > width:
            end = next((i for i in range(len(text), 1, -1) if columns(text[:i]) <= width), 1)
            yield Span(kind, text[:end])
            text = text[end:]
        if text:
            yield Span(kind, text)


def short_path(file: str) -> str:
    """Return a file's name as a reader knows it here: from the current folder on, if it is below that."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else file
