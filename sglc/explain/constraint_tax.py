"""The constraint tax: an answer that is held to a form before the model has had room to reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sglc.explain.constraints import Constraint, constraint_of
from sglc.ir.graph import Graph, Op, Value
from sglc.passes.base import Remark

_REASONS = frozenset({"gen", "call", "thoughts"})
"""What may put reasoning into a prompt: generations, and host code, of which nobody knows."""

_HELD_TO = {"regex": "a regex", "json_schema": "a JSON schema", "grammar": "a grammar", "dtype": "a quoted text"}
_WITHOUT_TAX = frozenset({"int", "float", "bool"})
_REASONING = re.compile(
    r"reason|think|thought|rationale|explan|analy[sz]|chain.of|(^|_)(cot|steps?)($|_)", re.IGNORECASE
)
_REASONING_TEXT = re.compile(
    r"\b(let'?s|let me|i will|i'll) think\b|\b(thoughts?|reasoning|rationale|explanation|analysis) ?:", re.IGNORECASE
)


def constraint_tax(graph: Graph) -> Iterator[Remark]:
    """Yield a remark on each constrained generation of a program that no reasoning comes before.

    That is one whose prompt has no generated text, no result of host code and no thoughts that the author wrote, and
    whose own form has no room for them. Choices, numbers and truth values are answers of a word: no remark.
    """
    made = {value: op for op in graph.ops() for value in op.results}
    for op in graph.ops():
        constraint = constraint_of(op) if op.name == "gen" and "reasoning" not in op.attributes else None
        if constraint is None or (constraint.kind == "dtype" and constraint.written in _WITHOUT_TAX):
            continue
        if not _has_room(constraint) and not _reasoned(op.operands[0], made):
            held = _HELD_TO[constraint.kind]
            text = (
                f"%{constraint.name} is held to {held} before any reasoning is in its prompt; small models then answer "
                "worse where it takes some: generate the reasoning first, and the constrained answer behind it"
            )
            yield Remark("constraint-tax", "missed", text, op.location)


def _reasoned(prompt: Value, made: Mapping[Value, Op]) -> bool:
    """Whether something that a prompt is made of may be reasoning."""
    seen, pending = {prompt}, [prompt]
    for value in pending:
        op = made.get(value)
        if op is None:  # an argument
            if _REASONING.search(value.name):
                return True
            continue
        written = op.attributes.get("value") if op.name == "const" else None
        if op.name in _REASONS or (isinstance(written, str) and _REASONING_TEXT.search(written)):
            return True
        pending += [each for each in op.operands if each not in seen]
        seen.update(op.operands)
    return False


def _has_room(constraint: Constraint) -> bool:
    """Whether a constraint's own texts may begin with prose, as far as can be told; a language of others may."""
    if constraint.kind == "json_schema":
        return _asks_for_reasoning(json.loads(constraint.written))
    if constraint.language.dfa is None:
        return True
    from sglc.automata.dfa_facts import says_anything

    return says_anything(constraint.language.dfa)


def _asks_for_reasoning(schema: Any) -> bool:
    """Whether a property in a schema is called like reasoning."""
    pending = [schema]
    for each in pending:
        if isinstance(each, dict):
            properties = each.get("properties")
            if isinstance(properties, dict) and any(map(_REASONING.search, properties)):
                return True
            pending += each.values()
        elif isinstance(each, list):
            pending += each
    return False
