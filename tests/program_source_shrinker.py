"""Makes a random program that fails as small as it can be while it still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import monotonic

from tests.program_source_runs import TookTooLong
from tests.program_sources import ProgramSource

INDENT = 4


def shrunk(source: ProgramSource, fails: Callable[[ProgramSource], bool], seconds: float = 20.0) -> ProgramSource:
    """Return a source with fewer rows and lines that fails too: dropped are statements, kept some of their blocks.

    What `fails` raises, for a source that no longer loads or no longer ends, counts as no failure.
    """
    deadline = monotonic() + seconds
    for row in source.rows:
        alone = replace(source, rows=(row,))
        if _still(fails, alone):
            source = alone
            break
    shrinking = True
    while shrinking:
        shrinking = False
        place = len(source.text.splitlines())
        while place > 0 and monotonic() < deadline:
            place -= 1
            for text in _smaller(source.text.splitlines(), place):
                candidate = replace(source, text=text)
                if _still(fails, candidate):
                    source, shrinking = candidate, True
                    break
    return source


def _smaller(lines: Sequence[str], place: int) -> Iterator[str]:
    """Yield the text without the statement at a place, with its block or `pass` instead, and without what follows."""
    if place >= len(lines):
        return
    end = _end(lines, place)
    before, block = [*lines[:place]], [*lines[place + 1 : end]]
    yield _text([*before, *lines[end:]])
    if block:
        yield _text([*before, *(line[INDENT:] for line in block), *lines[end:]])
    yield _text([*before, " " * _indent(lines[place]) + "pass", *lines[end:]])
    for _ in range(3):
        if end < len(lines):
            end = _end(lines, end)
            yield _text([*before, *lines[end:]])


def _end(lines: Sequence[str], place: int) -> int:
    """Return where the statement that starts at a place ends, its block included."""
    end = place + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > _indent(lines[place])):
        end += 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _still(fails: Callable[[ProgramSource], bool], candidate: ProgramSource) -> bool:
    try:
        return fails(candidate)
    except (Exception, TookTooLong):
        return False
