"""fold-constants: what can be computed now is computed now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from sglc.ir.attribute_text import attribute_fault
from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import Block, Graph, Op, Value
from sglc.ir.rewriter import Match, rewrite, rule
from sglc.ir.types import Type, type_of
from sglc.passes.base import Pass, Remarks, Target, counted

_SCALARS = (str, int, float, bool, type(None))
_UNBOUNDED = frozenset(
    (
        *("mul", "pow", "mod", "format", "int", "str.format", "str.center", "str.ljust", "str.rjust", "str.zfill"),
        *("str.expandtabs", "str.replace", "str.translate", "str.join"),
    )
)
"""Functions that may take much longer, or return much more, than their operands let expect: never computed in vain."""

_SLOW_MODULES = ("re.", "json.", "textwrap.", "math.")


@dataclass(frozen=True, slots=True)
class FoldConstants(Pass):
    """Computes pure functions of constants, the texts of prompts that are known, and branches on what is known.

        %1 = const {value = "yes"} : text
        %2 = apply %1, %1 {fn = "eq"} : bool
        branch %2 {
          case true {
            return %p
          }
          case false {
            eager {cause = "asks again"}
          }
        }
      =>
        return %p

    What raises is left for the run to raise, and so is what could take long: nobody may ever ask for it.
    """

    name: ClassVar[str] = "fold-constants"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph with constants in the place of what is computed from constants."""
        fired: Counter[str] = Counter()
        rules = (
            apply_constants,
            apply_to_text,
            concat_constants,
            text_of_constants,
            since_constants,
            branch_on_constant,
        )
        folded = rewrite(graph, *rules, fired=fired)
        branches = fired.pop("branch-on-constant", 0)
        if fired:
            remarks.done(f"computed {counted(fired.total(), 'operation')}", count=fired.total(), unit="operations")
        if branches:
            remarks.done(f"decided {counted(branches, 'branch')}", count=branches, unit="branches")
        return folded


@rule("apply-constants", "apply")
def apply_constants(match: Match) -> tuple[Value, ...] | None:
    """f("a", 1) => the constant that f computes"""
    op = match.op
    made = [match.definition(value) for value in op.operands]
    constants = [each.attributes["value"] for each in made if each is not None and each.name == "const"]
    function = op.attributes["fn"]
    if len(constants) < len(made) or function in _UNBOUNDED or function.startswith(_SLOW_MODULES):
        return None
    keywords = op.attributes.get("keywords", ())
    positional = len(constants) - len(keywords)
    named = dict(zip(keywords, constants[positional:], strict=True))
    try:
        result = FUNCTIONS[function].compute(*constants[:positional], **named)
    except Exception:  # the row raises it, if it ever comes there
        return None
    if type(result) not in _SCALARS or not op.result.type.accepts(type_of(result)) or attribute_fault(result):
        return None
    return (match.const(result),)


@rule("apply-to-text", "apply")
def apply_to_text(match: Match) -> tuple[Value, ...] | None:
    """as_text(x) => x, str(x) => x, where x is a text, but not what was generated or chosen: that has a report, too"""
    op = match.op
    if op.attributes["fn"] not in ("as_text", "str") or len(op.operands) != 1 or op.attributes.get("keywords"):
        return None
    made = match.definition(op.operands[0])
    if op.operands[0].type is not Type.TEXT or (made is not None and made.name in ("gen", "select")):
        return None
    return op.operands


@rule("concat-constants", "concat")
def concat_constants(match: Match) -> tuple[Value, ...] | None:
    """concat("a", "b") => "ab" """
    made = [match.definition(value) for value in match.op.operands]
    texts = [each.attributes["value"] for each in made if each is not None and each.name == "const"]
    return (match.const("".join(texts)),) if len(texts) == len(made) else None


@rule("text-of-constants", "text")
def text_of_constants(match: Match) -> tuple[Value, ...] | None:
    """text(append(empty(), "a")) => "a" """
    (prompt,) = match.op.operands
    start = _start(match, prompt)
    made = match.definition(start)
    if made is None or made.name != "empty":
        return None
    return (match.const(_text_between(match, start, prompt)),)


@rule("since-constants", "since")
def since_constants(match: Match) -> tuple[Value, ...] | None:
    """since(p, append(p, "a")) => "a" """
    earlier, later = match.op.operands
    if _start(match, earlier) is not _start(match, later):
        return None
    return (match.const(_text_between(match, earlier, later)),)


@rule("branch-on-constant", "branch")
def branch_on_constant(match: Match) -> Block | None:
    """branch true { case true { a } case false { b } } => a"""
    made = match.definition(match.op.operands[0])
    if made is None or made.name != "const":
        return None
    value = made.attributes["value"]  # of the labels' type, as the operand is
    return next((case.block for case in match.op.cases if case.label == value), None)


def _start(match: Match, prompt: Value) -> Value:
    """Return the earliest prompt that a prompt goes on from with constant text alone."""
    notes = match.notes
    behind: list[Value] = []
    while prompt not in notes:
        made = match.definition(prompt)
        if made is None or _constant_text(match, made) is None:
            notes[prompt] = prompt
            break
        behind.append(prompt)
        prompt = made.operands[0]
    notes.update(dict.fromkeys(behind, notes[prompt]))
    start: Value = notes[prompt]
    return start


def _text_between(match: Match, earlier: Value, later: Value) -> str:
    texts = []
    while later is not earlier:
        made = match.definition(later)
        assert made is not None  # `_start` has been here
        texts.append(_constant_text(match, made) or "")
        later = made.operands[0]
    return "".join(reversed(texts))


def _constant_text(match: Match, op: Op) -> str | None:
    """Return the constant text that an operation puts behind a prompt, None for one that does something else."""
    if op.name not in ("append", "sections", "pin"):
        return None
    made = [match.definition(value) for value in op.operands[1:]]
    texts = [each.attributes["value"] for each in made if each is not None and each.name == "const"]
    return "".join(texts) if len(texts) == len(made) else None
