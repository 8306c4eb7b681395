"""What a row's types and attributes can't say of an operation: each check returns what is wrong, or None."""

from __future__ import annotations

from sglc.ir.graph import Op
from sglc.ir.types import Type, type_of


def const_fault(op: Op) -> str | None:
    """A constant's type is that of its value."""
    kind = type_of(op.attributes["value"])
    return (
        None if op.result.type is kind else f"found a result of type {op.result.type}; wanted {kind}, as its value is"
    )


def apply_fault(op: Op) -> str | None:
    """The function is one of the table, and may return what the operation says."""
    from sglc.ir.functions import FUNCTIONS

    name = op.attributes["fn"]
    if name not in FUNCTIONS:
        return f"found the function {name!r}; wanted one of the table in ir/functions.py"
    given, declared = FUNCTIONS[name].result, op.result.type
    if not given.accepts(declared) and not declared.accepts(given):
        return f"found a result of type {declared}; wanted {given}, which {name} returns"
    return keywords_fault(op)


def keywords_fault(op: Op) -> str | None:
    """The last operands go by keyword, each by its own."""
    keywords = op.attributes.get("keywords", ())
    if len(set(keywords)) < len(keywords):
        return "found a keyword twice; wanted each once"
    if len(keywords) > len(op.operands):
        return f"found {len(keywords)} keywords; wanted at most {len(op.operands)}, one for each operand"
    return None


def pairs_fault(op: Op) -> str | None:
    """Keys and values come in turns."""
    return f"found {len(op.operands)} operands; wanted as many values as keys" if len(op.operands) % 2 else None


def gen_fault(op: Op) -> str | None:
    """A generation has one text, or several where it has several samples, and one constraint."""
    kind, count = op.results[1].type, op.attributes.get("n")
    if kind not in (Type.TEXT, Type.TEXTS):
        return f"found a second result of type {kind}; wanted text or texts"
    if count is not None and (kind is Type.TEXTS) is not (count > 1):
        return (
            f"found a second result of type {kind}; wanted {Type.TEXTS if count > 1 else Type.TEXT} where n = {count}"
        )
    constraints = [name for name in ("regex", "json_schema", "grammar") if name in op.attributes]
    if op.attributes.get("complete", False) and not constraints:
        return "found complete without a constraint; wanted regex, json_schema or grammar"
    return f"found {' and '.join(constraints)}; wanted one of them" if len(constraints) > 1 else None


def branch_fault(op: Op) -> str | None:
    """Labels are of the type of what is asked, each once."""
    kind = op.operands[0].type
    wanted = {Type.BOOL: bool, Type.TEXT: str}.get(kind)
    if wanted is None:
        return f"found %{op.operands[0].name} of type {kind}; wanted bool or text"
    labels = [case.label for case in op.cases]
    if any(type(label) is not wanted for label in labels):
        return f"found the labels {labels}; wanted each to be of type {kind}, as %{op.operands[0].name} is"
    return None if len(set(labels)) == len(labels) else f"found the labels {labels}; wanted each once"


def return_fault(op: Op) -> str | None:
    """Behind the prompt there is what is returned, and one value for each name."""
    names = op.attributes.get("names", ())
    if len(set(names)) < len(names):
        return f"found the names {[*names]}; wanted each once"
    wanted = 1 + op.attributes.get("returns", False) + len(names)
    if len(op.operands) == wanted:
        return None
    return f"found {len(op.operands)} operands; wanted {wanted}: the prompt, what is returned, one for each name"


def state_fault(op: Op) -> str | None:
    """A state has a name for each of its variables."""
    names = op.attributes.get("names", ())
    if len(set(names)) < len(names):
        return "found a variable twice; wanted each once"
    if len(names) != len(op.operands) - 1:
        return f"found {len(op.operands) - 1} variables and {len(names)} names; wanted a name for each"
    return None
