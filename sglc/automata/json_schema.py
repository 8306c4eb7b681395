"""JSON Schema, drafts 4 to 2020-12, compiled to the language of JSON texts that are valid under it.

Objects have the keys of `properties` first, in that order, then any others that are allowed. So every text is valid,
but a valid text whose keys come in another order is not in the language. What is regular as written is served by our
own tables; where JSON may nest without bound (`{}`, open objects, recursion), or where the tables would go beyond the
budget that holds over a whole schema, a grammar is handed to llguidance. A keyword that can't be translated exactly is
refused with its place.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NoReturn

from sglc.automata.automaton import Automaton, from_tree
from sglc.automata.budget import Budget, OverBudget
from sglc.automata.context_free import ContextFree
from sglc.automata.json_grammar import GrammarBuilder
from sglc.automata.json_layout import Layout
from sglc.automata.json_text import WHITESPACE
from sglc.automata.regular import Regular, Repeat, concat, either
from sglc.automata.schema_claims import OpenClaim
from sglc.automata.schema_document import SchemaDocument
from sglc.automata.schema_keywords import unsupported
from sglc.automata.schema_plans import ArrayPlan, ClosedPlans, ObjectPlan, Plan, Planned, Plans
from sglc.automata.schema_shapes import Claim, Need
from sglc.errors import ProgramError, Unsupported

_MAX_NESTED = 300  # each name's tail lies inside the one before, as deep as Python's stack allows
_GRAMMAR_SECONDS = 1.0  # for llguidance's grammar, where our own tables have taken all the time
_ROOT: Need = frozenset([Claim("is", "#")])


def compile_json_schema(schema: Any, whitespace: str = "spaces", closed: bool = False) -> Automaton | ContextFree:
    """Return the language of JSON texts that are valid under a schema.

    `schema` is JSON text, Python values, a pydantic model or a dataclass. `whitespace` says what may stand around
    punctuation: `none`; `spaces`, at most one after each `:` and `,`; or `lines`, new lines with up to 16 blanks too.
    `closed` leaves out what a schema allows but does not describe: members beyond `properties`, items beyond
    `prefixItems`; so most schemas become regular.
    Raises ProgramError for a malformed schema or one that no value is valid under, Unsupported for a keyword that is
    not translated and for a schema too large or too tangled to serve; both with the JSON pointer.
    """
    if whitespace not in WHITESPACE:
        raise ProgramError(f"whitespace: found {whitespace!r}; wanted one of {', '.join(WHITESPACE)}")
    return _compiled(schema_text(schema), whitespace, closed)


@lru_cache(maxsize=128)
def _compiled(text: str, whitespace: str, closed: bool) -> Automaton | ContextFree:
    schema, budget = parse_schema_text(text), Budget()
    try:
        return _served(_plans(schema, closed, budget), Layout(WHITESPACE[whitespace]), budget)
    except OpenClaim as claim:
        raise unsupported(
            str(claim), "a schema that refers to itself for the same value", "references that end"
        ) from None
    except OverBudget as over:
        found = f"schemas that take over {budget.seconds:g} s to put together"
        raise unsupported(str(over) or "#", found, "fewer or simpler ones") from None
    except RecursionError:
        raise _too_deep() from None


def _served(plans: Planned, layout: Layout, budget: Budget) -> Automaton | ContextFree:
    """Return the texts of plans in our own tables where they are regular and within the budget."""
    if not _is_regular(plans):
        return _context_free(plans, layout, budget)
    found: Automaton | Unsupported
    try:
        found = from_tree(_TreeBuilder(plans, layout).value(_ROOT), "json_schema", budget)
    except Unsupported as error:
        found = error
    if isinstance(found, Automaton) and found.dfa is not None:
        return found
    try:  # too many states: llguidance works them out one by one, and quicker than we do
        return _context_free(plans, layout, Budget(seconds=_GRAMMAR_SECONDS))
    except (Unsupported, OverBudget):
        if isinstance(found, Unsupported):
            raise found from None
        return found


def _context_free(plans: Planned, layout: Layout, budget: Budget) -> ContextFree:
    return ContextFree(GrammarBuilder(plans, layout, budget).grammar(_ROOT), "json_schema")


def schema_text(schema: Any) -> str:
    """Return a schema as JSON text, its keys in the author's order; a pydantic model or dataclass becomes one."""
    if isinstance(schema, str):
        return schema
    if isinstance(schema, type):
        schema = _schema_of_type(schema)
    try:
        return json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ProgramError(f"json_schema: found a value that JSON can't hold ({error}); wanted a JSON schema") from None
    except RecursionError:
        raise _too_deep() from None


def parse_schema_text(text: str) -> Any:
    """Return a schema's Python values. Raises ProgramError for text that is not JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"json_schema: found text that is not JSON ({error}); wanted a JSON schema") from None


def _schema_of_type(kind: type) -> Any:
    if hasattr(kind, "model_json_schema"):
        return kind.model_json_schema()
    if dataclasses.is_dataclass(kind):
        try:
            from pydantic import TypeAdapter
        except ImportError:
            raise Unsupported(
                f"json_schema: found the dataclass {kind.__name__}; wanted pydantic to be installed for it"
            ) from None
        return TypeAdapter(kind).json_schema()
    raise ProgramError(f"json_schema: found the class {kind.__name__}; wanted a pydantic model or a dataclass")


def _plans(schema: Any, closed: bool, budget: Budget) -> Planned:
    """Return the plans of a schema, the whole of which can be met."""
    plans: Planned = Plans(SchemaDocument(schema), budget)
    plans = ClosedPlans(plans) if closed else plans
    if not plans.of(_ROOT):
        raise ProgramError("json_schema at #: found a language without any text; wanted one that a value can meet")
    return plans


def _is_regular(plans: Planned) -> bool:
    """Whether no value can be inside another one that meets the same need."""
    done: set[Need] = set()
    path: list[tuple[Need, Iterator[Need]]] = [(_ROOT, _inner(plans, _ROOT))]
    on_path = {_ROOT}
    while path:
        need, rest = path[-1]
        inner = next(rest, None)
        if inner is None:
            path.pop()
            on_path.discard(need)
            done.add(need)
        elif inner in on_path:
            return False
        elif inner not in done:
            on_path.add(inner)
            path.append((inner, _inner(plans, inner)))
    return True


def _inner(plans: Planned, need: Need) -> Iterator[Need]:
    for plan in plans.of(need):
        yield from _needs(plan)


def _needs(plan: Plan) -> Iterator[Need]:
    match plan:
        case ObjectPlan():
            yield from (member.need for member in plan.members)
            yield from (extra.need for extra in plan.extras)
        case ArrayPlan(unique=()):
            yield from plan.prefix
            yield from (need for need in (plan.rest, plan.hit) if need is not None)


class _TreeBuilder:
    """Builds parts as trees; equal parts are one object, so that the automaton shares their states."""

    def __init__(self, plans: Planned, layout: Layout) -> None:
        self._plans, self._layout = plans, layout
        self._values: dict[Need, Regular] = {}

    def token(self, tree: Regular) -> Regular:
        return tree

    def sequence(self, *parts: Regular) -> Regular:
        return concat(*parts)

    def choice(self, *parts: Regular) -> Regular:
        return either(*parts)

    def repeat(self, part: Regular, least: int, most: int | None) -> Regular:
        return Repeat(part, least, most)

    def share(self, part: Regular) -> Regular:
        return part

    def value(self, need: Need) -> Regular:
        if need not in self._values:
            plans = self._plans.of(need)
            if any(isinstance(plan, ObjectPlan) and len(plan.members) > _MAX_NESTED for plan in plans):
                raise unsupported("#", f"an object of more than {_MAX_NESTED} names", "fewer for a table")
            self._values[need] = either(*(self._layout.write(plan, self) for plan in plans))
        return self._values[need]


def _too_deep() -> Unsupported:
    return unsupported("#", "schemas nested too deep for Python's stack", "fewer levels")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")
