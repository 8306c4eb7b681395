"""Twins: functions rewritten for tracing, which share the globals, closure and defaults of the original."""

from __future__ import annotations

import copy
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

from sglc.errors import Location, caller_location
from sglc.language.tracing.rewriting import HOOKS, Rewriter
from sglc.language.tracing.sources import bare, compile_function, function_node

_PACKAGE = str(Path(__file__).resolve().parents[2])
_INSTALLED = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))

_NOT_THE_USERS = (_PACKAGE, *_INSTALLED, "<frozen")

_codes: dict[tuple[str, CodeType], CodeType | None] = {}  # equal code in two files is not the same
_rewritten: set[CodeType] = set()


def twin_of(function: FunctionType, hooks: Any) -> FunctionType | None:
    """Return the twin of a function, or None where it has no source."""
    code = _rewritten_code(function)
    if code is None:
        return None
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[HOOKS] = _cell(hooks)
    closure = tuple(cells[name] for name in code.co_freevars)
    twin = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__qualname__ = function.__qualname__
    return twin


def is_rewritten(function: FunctionType) -> bool:
    """Whether a function is a twin, or was defined while one ran."""
    return function.__code__ in _rewritten


def is_users(function: FunctionType) -> bool:
    """Whether a function is the user's: neither Python's, nor an installed library's, nor ours."""
    return not function.__code__.co_filename.startswith(_NOT_THE_USERS)


def traced_location() -> Location | None:
    """Return the innermost line of the user's own on the stack, else the innermost that is not sglc's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_NOT_THE_USERS):
            return Location(file, frame.f_lineno)
        frame = frame.f_back
    return caller_location()


def _rewritten_code(function: FunctionType) -> CodeType | None:
    key = (function.__code__.co_filename, function.__code__)
    if key not in _codes:
        _codes[key] = _rewrite(function)
    return _codes[key]


def _rewrite(function: FunctionType) -> CodeType | None:
    node = function_node(function)
    if node is None:
        return None
    original = function.__code__
    rewritten = Rewriter(original.co_freevars).visit(bare(copy.deepcopy(node)))
    code = compile_function(rewritten, original, hooks=HOOKS)
    if code is not None:
        _register(code)
    return code


def _register(code: CodeType) -> None:
    _rewritten.add(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _register(constant)


@lru_cache(maxsize=1)
def _cell(hooks: Any) -> Any:
    return (lambda: hooks).__closure__[0]  # type: ignore[index]  # it has one
