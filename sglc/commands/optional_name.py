"""A command whose option `--automaton` takes a name or none, which Typer has no way to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand

OPTION = "--automaton"


class NameMayBeLeftOut(TyperCommand):
    """What follows the option is its value only if it can be the name of a variable; otherwise the value is ""."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_with_values(args)))


def _with_values(args: Sequence[str]) -> Iterator[str]:
    for place, word in enumerate(args):
        named = place + 1 < len(args) and args[place + 1].isidentifier()
        yield f"{word}=" if word == OPTION and not named else word
