"""What the row of an operation says of it: its operands, its results and its attributes."""

from __future__ import annotations

from collections.abc import Collection

from sglc.ir.attribute_text import attribute_fault
from sglc.ir.graph import Attribute, Op
from sglc.ir.ops import AttributeRow, OpRow
from sglc.ir.sampling import PARAMETER_NAMES, SamplingParams

_INHERITED = SamplingParams()
_MOST_GOOD = 4096
_GOOD: set[str] = set()
"""Parameters found good before: most generations of a program have the same, and every pass is followed by a check."""


def operands_fault(op: Op, row: OpRow) -> str | None:
    """Return what is wrong with the number or the types of operands, or None."""
    wanted, given = row.operands, op.operands
    if len(given) < len(wanted) or (row.rest is None and len(given) > len(wanted)):
        signature = " ".join([*wanted, *([f"{row.rest}*"] if row.rest is not None else [])]) or "none"
        return f"found {len(given)} operands; wanted {signature}"
    for place, value in enumerate(given):
        kind = wanted[place] if place < len(wanted) else row.rest
        if kind is not None and value.type is not kind and not kind.accepts(value.type):
            return f"found %{value.name} of type {value.type} as operand {place + 1}; wanted {kind}"
    return None


def results_fault(op: Op, row: OpRow) -> str | None:
    """Return what is wrong with the number or the types of results, or None."""
    if len(op.results) != len(row.results):
        return f"found {len(op.results)} results; wanted {' '.join(row.results) or 'none'}"
    for value, kind in zip(op.results, row.results, strict=True):
        if value.type is not kind and not kind.accepts(value.type):
            return f"found %{value.name} of type {value.type} as a result; wanted {kind}"
    return None


def attributes_fault(op: Op, row: OpRow) -> str | None:
    """Return what is wrong with attributes, or None: unknown, missing, of a wrong type, their default, out of range."""
    given, known = op.attributes, row.attributes
    for name, value in given.items():
        if name not in known:
            return f"found the attribute {name}; wanted {listed(known)}"
        fault = _value_fault(value, known[name])
        if fault:
            return f"{name}: {fault}"
    for name in row.required:
        if name not in given:
            return f"found no attribute {name}; wanted one"
    sampling = {name: value for name, value in given.items() if name in PARAMETER_NAMES}
    return _sampling_fault(sampling) if sampling else None


def listed(known: Collection[str]) -> str:
    """Return how a message says that one of these is wanted."""
    return f"{'one of ' if len(known) > 1 else ''}{', '.join(known)}" if known else "none"


def _value_fault(value: Attribute, row: AttributeRow) -> str | None:
    fault = attribute_fault(value)
    if fault:
        return fault
    wanted = row.check(value)
    if wanted:
        return f"found {value!r}; wanted {wanted}"
    is_default = type(value) is type(row.default) and value == row.default
    return f"found {value!r}, which is the default; wanted it left out" if is_default else None


def _sampling_fault(given: dict[str, Attribute]) -> str | None:
    """Return what `SamplingParams` has against parameters."""
    key = repr(given)
    if key in _GOOD:
        return None
    fewest = given.get("min_new_tokens", 0)
    if "max_new_tokens" not in given and isinstance(fewest, int):
        given["max_new_tokens"] = max(_INHERITED.max_new_tokens, fewest)  # it inherits a number we don't know
    try:
        SamplingParams(**given)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return str(error)
    if len(_GOOD) < _MOST_GOOD:
        _GOOD.add(key)
    return None
