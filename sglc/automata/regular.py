"""Regular languages of text as immutable trees; what a regex and a JSON schema are both translated into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_CODE_POINT = 0x10FFFF

Range = tuple[int, int]
"""Code points (or bytes) from the first to the second, both included."""


class Behind(IntEnum):
    """What lies left of a place in the text; a greater value implies every smaller one."""

    ANYTHING = 0
    LINE_START = 1
    TEXT_START = 2


class Ahead(IntEnum):
    """What must lie right of a place in the text; a greater value implies every smaller one."""

    ANYTHING = 0
    LINE_END = 1  # a newline, or nothing
    LAST_LINE_END = 2  # one newline and then nothing, or nothing
    NOTHING = 3


@dataclass(frozen=True, slots=True)
class CharSet:
    """One character out of some code points: ascending, disjoint, non-adjacent ranges (`char_set` makes them so)."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Concat:
    """The parts one after another; without parts, the empty text."""

    parts: tuple[Regular, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Any one of the options; without options, no text at all."""

    options: tuple[Regular, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The body at least `least` and at most `most` times; `most` None is without bound."""

    body: Regular
    least: int
    most: int | None

    def __post_init__(self) -> None:
        if self.least < 0 or (self.most is not None and self.most < self.least):
            raise ValueError(f"repeat: found {self.least} to {self.most} times; wanted 0 ≤ least ≤ most")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The empty text, at places of the whole text with these surroundings only."""

    behind: Behind = Behind.ANYTHING
    ahead: Ahead = Ahead.ANYTHING


@dataclass(frozen=True, slots=True)
class Look:
    """The empty text, at places where all of the text behind (`backward`: before) is in the body, or is not.

    `(?=x)` has the body x and any text; `(?<=x)` has any text and x.
    """

    body: Regular
    backward: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """The texts of two languages at once; each side is read as a whole text of its own, anchors included."""

    left: Regular
    right: Regular


@dataclass(frozen=True, slots=True)
class Except:
    """The texts of the left language that are not in the right one; each side is read as a whole text of its own."""

    left: Regular
    right: Regular


Regular = CharSet | Concat | Either | Repeat | Anchor | Look | Both | Except

EMPTY = Concat(())
NOTHING = Either(())
ANY_CHARACTER = CharSet(((0, MAX_CODE_POINT),))
ANY_TEXT = Repeat(ANY_CHARACTER, 0, None)


def char_set(ranges: Iterable[Range]) -> CharSet:
    """Return the set of all code points of some ranges, which may overlap and come in any order."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return CharSet(tuple(merged))


def complement(chars: CharSet) -> CharSet:
    """Return the characters that are not in a set."""
    return CharSet(tuple(_gaps(chars.ranges)))


def literal(text: str) -> Regular:
    """Return the language of exactly this text."""
    return concat(*(CharSet(((ord(char), ord(char)),)) for char in text))


def concat(*parts: Regular) -> Regular:
    """Return the parts one after another, without a `Concat` inside a `Concat`."""
    flat: list[Regular] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Concat) else [part])
    return flat[0] if len(flat) == 1 else Concat(tuple(flat))


def either(*options: Regular) -> Regular:
    """Return any one of the options, without an `Either` inside an `Either`."""
    flat: list[Regular] = []
    for option in options:
        flat.extend(option.options if isinstance(option, Either) else [option])
    return flat[0] if len(flat) == 1 else Either(tuple(flat))


def optional(body: Regular) -> Regular:
    """Return the body or the empty text."""
    return either(body, EMPTY)


def without_outer_anchors(tree: Regular) -> Regular:
    """Return the same language of whole texts, without the anchors that hold at its two ends anyway."""
    parts = list(tree.parts if isinstance(tree, Concat) else [tree])
    first, last = 0, len(parts)
    while first < last and isinstance(anchor := parts[first], Anchor) and anchor.ahead is Ahead.ANYTHING:
        first += 1
    while first < last and isinstance(anchor := parts[last - 1], Anchor) and anchor.behind is Behind.ANYTHING:
        last -= 1
    return tree if last - first == len(parts) else concat(*parts[first:last])


def least_states(tree: Regular) -> int:
    """Return a lower bound of the states that a tree needs, found without writing any repeat out.

    Of options, which may share parts, only the largest counts; parts in front of different states never do.
    """
    known: dict[int, int] = {}

    def count(tree: Regular) -> int:
        match tree:
            case Concat():
                return sum(map(counted, tree.parts))
            case Either():
                return 1 + max(map(counted, tree.options), default=0)
            case Repeat():
                body = counted(tree.body)
                return body * max(tree.least, tree.most or 0) + (tree.most or tree.least) - tree.least
        return 1

    def counted(tree: Regular) -> int:
        if id(tree) not in known:
            known[id(tree)] = count(tree)
        return known[id(tree)]

    try:
        return count(tree)
    except RecursionError:
        return 0  # whoever walks the tree refuses it


def looks_in(tree: Regular) -> list[Look]:
    """Return the lookarounds of a tree, those inside others' bodies too."""
    return [part for part in _parts(tree) if isinstance(part, Look)]


def minds_left(tree: Regular) -> bool:
    """Whether what lies left of a text may matter to a tree that begins there."""
    return any(
        (isinstance(part, Look) and part.backward) or (isinstance(part, Anchor) and part.behind is not Behind.ANYTHING)
        for part in _parts(tree)
    )


def _parts(tree: Regular) -> Iterator[Regular]:
    """Yield a tree and all of its parts, each once; not the sides of Both and Except, which are texts of their own."""
    seen: set[int] = set()
    pending = [tree]
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        match part:
            case Look() | Repeat():
                pending.append(part.body)
            case Concat():
                pending.extend(part.parts)
            case Either():
                pending.extend(part.options)


def _gaps(ranges: Iterable[Range]) -> Iterator[Range]:
    start = 0
    for low, high in ranges:
        if start < low:
            yield start, low - 1
        start = high + 1
    if start <= MAX_CODE_POINT:
        yield start, MAX_CODE_POINT
