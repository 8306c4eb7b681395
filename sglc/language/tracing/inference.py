"""The types of what functions give, from the types of their operands."""

from __future__ import annotations

from collections.abc import Sequence

from sglc.ir.effects import application_may_raise
from sglc.ir.functions import FUNCTIONS
from sglc.ir.types import Type

_NUMBERS = (Type.INT, Type.FLOAT, Type.BOOL)
_KNOWN = (*_NUMBERS, Type.TEXT, Type.TEXTS, Type.LIST, Type.TUPLE, Type.DICT, Type.NONE)
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_FLOATS_TEXT = "math.sqrt math.exp math.log math.log2 math.log10 math.pow math.fabs math.fsum math.hypot"
_FLOATS = frozenset(_FLOATS_TEXT.split())
_TEXTS_OF_MODULES_TEXT = (
    "json.dumps re.sub re.escape html.escape html.unescape textwrap.dedent textwrap.indent "
    "textwrap.fill textwrap.shorten string.capwords"
)
_TEXTS_OF_MODULES = frozenset(_TEXTS_OF_MODULES_TEXT.split())


def result_type(fn: str, types: Sequence[Type]) -> Type:
    """Return the type that `fn` gives for operands of these types: `value` where it is open."""
    fixed = FUNCTIONS[fn].result
    if fixed is not Type.VALUE:
        return fixed
    if fn in _FLOATS:
        return Type.FLOAT
    if fn in _TEXTS_OF_MODULES:
        return Type.TEXT
    if fn in ("math.isclose", "math.isfinite", "math.isinf", "math.isnan"):
        return Type.BOOL
    if fn in _COMPARISONS:
        return Type.BOOL if all(kind in _KNOWN for kind in types) else Type.VALUE
    if fn == "same":
        return types[0]
    if fn in ("getitem", "slice"):
        return _item(fn, types)
    if fn in ("min", "max") and types == [Type.TEXTS]:
        return Type.TEXT
    if fn == "textwrap.wrap":
        return Type.TEXTS
    return _arithmetic(fn, types)


def _item(fn: str, types: Sequence[Type]) -> Type:
    owner = types[0]
    if owner is Type.TEXT:
        return Type.TEXT
    if fn == "slice":
        return owner if owner in (Type.TEXTS, Type.LIST, Type.TUPLE) else Type.VALUE
    return Type.TEXT if owner is Type.TEXTS else Type.VALUE


def _arithmetic(fn: str, types: Sequence[Type]) -> Type:
    first, last = types[0], types[-1]
    if fn in ("neg", "pos", "abs"):
        return {Type.FLOAT: Type.FLOAT, Type.INT: Type.INT, Type.BOOL: Type.INT}.get(first, Type.VALUE)
    if fn == "round":
        return Type.INT if len(types) == 1 and first in _NUMBERS else Type.VALUE
    if fn == "mod" and first is Type.TEXT:
        return Type.TEXT
    if fn == "mul" and {first, last} in ({Type.TEXT, Type.INT}, {Type.TEXT, Type.BOOL}):
        return Type.TEXT
    if len(types) != 2 or fn not in ("add", "sub", "mul", "truediv", "floordiv", "mod"):
        return Type.VALUE
    if first in _NUMBERS and last in _NUMBERS:
        return Type.FLOAT if fn == "truediv" or Type.FLOAT in types else Type.INT
    if fn == "add" and first is last and first in (Type.TEXT, Type.TEXTS, Type.TUPLE):
        return first
    if fn == "add" and first in (Type.LIST, Type.TEXTS) and last in (Type.LIST, Type.TEXTS):
        return Type.LIST
    return Type.VALUE


def cannot_raise(fn: str, types: Sequence[Type]) -> bool:
    """Whether `fn` never raises for operands of these types, all of them from what a row is given.

    Such values compare, and show themselves, without raising.
    """
    if FUNCTIONS[fn].total and (types[0] is Type.TEXT or not fn.startswith("str.")):
        return len(types) == 1 or fn in ("eq", "ne", "has_type")
    return not application_may_raise(fn, types)
