"""Pipelines as text: `merge-text,batch-forks{max=8}` says which passes run, in this order, with which options."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from sglc.errors import InputError
from sglc.passes.base import Pass, option_name
from sglc.passes.pipeline import PIPELINE

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[\w.+-]+')
_TOKEN = re.compile(rf"{_WORD.pattern}|\S")
_KINDS = {bool: "true or false", int: "a whole number", str: "a text"}


def parse_pipeline(text: str, known: Sequence[Pass] = PIPELINE) -> tuple[Pass, ...]:
    """Return the passes that a text names, none for an empty one. `known` are those there are.

    Raises InputError for an unknown pass or option, a value of the wrong type, and passes on programs behind plans'.
    """
    named = {each.name: each for each in known}
    tokens = _Tokens(text)
    found: list[Pass] = []
    while tokens.next:
        if found:
            tokens.take(",")
        found.append(_pass(tokens, named))
        if len(found) > 1 and found[-1].level == "program" and found[-2].level == "plan":
            raise InputError(f"found {found[-1].name} behind {found[-2].name}; wanted passes on programs first")
    return tuple(found)


class _Tokens:
    """A text's words and signs; `next` is "" at the end."""

    def __init__(self, text: str) -> None:
        self._all = _TOKEN.findall(text)
        self._place = 0

    @property
    def next(self) -> str:
        return self._all[self._place] if self._place < len(self._all) else ""

    def take(self, wanted: str = "") -> str:
        """Return the next token, which has to be this sign, or a word if none is wanted. Raises InputError."""
        token = self.next
        if token and (token == wanted or (not wanted and _WORD.fullmatch(token))):
            self._place += 1
            return token
        found = f"'{token}'" if token else "the end"
        before = f" behind '{' '.join(self._all[max(0, self._place - 3) : self._place])}'" if self._place else ""
        expected = f"'{wanted}'" if wanted else "a name or a value"
        raise InputError(f"found {found}{before}; wanted {expected}")


def _pass(tokens: _Tokens, named: Mapping[str, Pass]) -> Pass:
    name = tokens.take()
    if name not in named:
        raise InputError(f"found the pass '{name}'; wanted one of {', '.join(named)}")
    made = named[name]
    if tokens.next != "{":
        return made
    tokens.take("{")
    options: dict[str, Any] = {}
    while tokens.next != "}":
        if options:
            tokens.take(",")
        option = tokens.take()
        tokens.take("=")
        field_name, value = _option(made, option, tokens.take())
        if field_name in options:
            raise InputError(f"{name}: found {option} twice; wanted it once")
        options[field_name] = value
    tokens.take("}")
    try:
        return replace(made, **options)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _option(made: Pass, option: str, token: str) -> tuple[str, Any]:
    """Return an option's field and value. Raises InputError."""
    known = {option_name(each.name): each for each in fields(made)}
    if option not in known:
        raise InputError(f"{made.name}: found the option '{option}'; wanted {', '.join(known) or 'none'}")
    kind = type(known[option].default)
    try:
        value = json.loads(token)
    except ValueError:
        value = token
    if type(value) is not kind:
        raise InputError(f"{made.name}: {option}: found {token}; wanted {_KINDS[kind]}")
    return known[option].name, value
