"""The operations of programs, one row each: what the printer, the parser and the verifier know about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from sglc.ir.graph import Op
from sglc.ir.row_checks import (
    apply_fault,
    branch_fault,
    const_fault,
    gen_fault,
    keywords_fault,
    pairs_fault,
    return_fault,
    state_fault,
)
from sglc.ir.sampling import SamplingParams
from sglc.ir.types import Type

REQUIRED: Any = object()
"""The default of an attribute that has none."""


class Effect(Enum):
    """What an operation does beside computing its results."""

    PURE = "pure"
    """Nothing: equal ones are one, unused ones can go (where they cannot raise)."""
    SAMPLE = "sample"
    """Draws from the random stream of its site: never merged unless greedy."""
    HOST = "host"
    """Runs the user's code: once a row, in order."""
    END = "end"
    """Ends a block."""


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """An attribute: the Python types it may have (of its items, for a tuple), and its default."""

    types: tuple[type, ...]
    default: Any = REQUIRED
    several: bool = False

    def check(self, value: Any) -> str | None:
        """Return what was wanted, if `value` will not do."""
        if not self.several:
            fits = type(value) in self.types
        else:
            fits = isinstance(value, tuple) and all(type(item) in self.types for item in value)
        return None if fits else ("a list of " if self.several else "") + " or ".join(t.__name__ for t in self.types)


@dataclass(frozen=True, slots=True)
class OpRow:
    """An operation: its sentence, the types of its operands and results, its attributes and its effect.

    A last operand type with a star repeats any number of times. `results` of `value` stand for any type but `prompt`,
    which the text form then says. `check` returns what is wrong with an operation that fits the row, or None.
    `required` are the attributes without a default.
    """

    name: str
    sentence: str
    operands: tuple[Type, ...] = ()
    rest: Type | None = None
    results: tuple[Type, ...] = ()
    attributes: Mapping[str, AttributeRow] = field(default_factory=dict)
    effect: Effect = Effect.PURE
    check: Callable[[Op], str | None] | None = None
    required: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        required = (name for name, attribute in self.attributes.items() if attribute.default is REQUIRED)
        object.__setattr__(self, "required", tuple(required))


def row(
    name: str,
    sentence: str,
    signature: str,
    attributes: Mapping[str, AttributeRow] | None = None,
    effect: Effect = Effect.PURE,
    check: Callable[[Op], str | None] | None = None,
) -> OpRow:
    """Return a row; `signature` reads "prompt text* -> prompt text"."""
    wanted, _, results = signature.partition("->")
    operands = wanted.split()
    rest = Type(operands.pop()[:-1]) if operands and operands[-1].endswith("*") else None
    return OpRow(
        name,
        sentence,
        tuple(map(Type, operands)),
        rest,
        tuple(map(Type, results.split())),
        attributes or {},
        effect,
        check,
    )


_TEXT = (str,)
_SCALAR = (str, int, float, bool, type(None))
_ROLE = {"role": AttributeRow(_TEXT)}
_KEYWORDS = AttributeRow(_TEXT, default=(), several=True)

_SAMPLING = {
    each.name: AttributeRow((*_SCALAR, tuple), default=None) for each in fields(SamplingParams)
}  # their values are checked by SamplingParams

SHARED_ROWS = (
    row(
        "const",
        "A value known when the program was written.",
        "-> value",
        {"value": AttributeRow(_SCALAR)},
        check=const_fault,
    ),
    row("concat", "Texts, one behind the other.", "text* -> text"),
    row("list", "A list of values.", "value* -> list"),
    row("tuple", "A tuple of values.", "value* -> tuple"),
    row("dict", "A dict: its keys and values in turns.", "value* -> dict", check=pairs_fault),
    row(
        "apply",
        "A function of the table in `ir/functions.py`, which computes only; the last operands go by keyword.",
        "value* -> value",
        {"fn": AttributeRow(_TEXT), "keywords": _KEYWORDS},
        check=apply_fault,
    ),
    row(
        "call",
        "The user's function, run on the host; `number` counts the calls before it in its row.",
        "value* -> value",
        {"fn": AttributeRow(_TEXT), "number": AttributeRow((int,)), "keywords": _KEYWORDS},
        Effect.HOST,
        keywords_fault,
    ),
    row("text", "The whole text of a prompt.", "prompt -> text"),
    row(
        "since",
        "The text of the second prompt behind that of the first, which it goes on from.",
        "prompt prompt -> text",
    ),
    row("messages", "The finished messages of a prompt, as dicts of role and content.", "prompt -> list"),
    row("meta", "What the engine reported of a generation or choice: tokens, log-probabilities.", "value -> dict"),
    row("thoughts", "What `separate_reasoning` took out of a generation.", "value -> value"),
    row(
        "state",
        "A state of the program for whoever looks at it later: its prompt, and its variables by name.",
        "prompt value* -> value",
        {"names": AttributeRow(_TEXT, default=(), several=True)},
        check=state_fault,
    ),
    row("group", "The states of a fork, in order.", "value* -> value"),
    row("branch", "Goes on in the case whose label the value equals.", "value", effect=Effect.END, check=branch_fault),
    row(
        "return",
        "Ends the program: its final prompt, what its function returned, and its variables by name.",
        "prompt value*",
        {
            "names": AttributeRow(_TEXT, default=(), several=True),
            "returns": AttributeRow((bool,), default=False),
        },
        Effect.END,
        return_fault,
    ),
    row(
        "eager",
        "Goes on in Python: the function runs again, and what is known already is served to it.",
        "value*",
        {"cause": AttributeRow(_TEXT), "mend": AttributeRow(_TEXT, default="")},
        Effect.END,
    ),
)
"""Operations of both levels."""

PROGRAM_ROWS = (
    row("empty", "The prompt with nothing in it.", "-> prompt"),
    row("append", "A prompt with ordinary text behind it.", "prompt text -> prompt"),
    row(
        "sections",
        "A prompt with texts behind it whose order carries no meaning.",
        "prompt text* -> prompt",
        {"arrange": AttributeRow((bool,), default=False)},
    ),
    row("begin", "A prompt with the beginning of a message behind it.", "prompt -> prompt", _ROLE),
    row("end", "A prompt with the end of a message behind it.", "prompt -> prompt", _ROLE),
    row("rest", "A prompt whose template text does not wait for what follows it.", "prompt -> prompt"),
    row("pin", "A prompt whose KV stays until nothing needs it.", "prompt -> prompt"),
    row(
        "gen",
        "Generates: the prompt that goes on with it, and its text (of n > 1 samples: their texts).",
        "prompt -> prompt value",
        {
            "site": AttributeRow(_TEXT),
            **_SAMPLING,
            "regex": AttributeRow(_TEXT, default=None),
            "json_schema": AttributeRow(_TEXT, default=None),
            "grammar": AttributeRow(_TEXT, default=None),
            "complete": AttributeRow((bool,), default=False),
            "reasoning": AttributeRow(_TEXT, default=None),
        },
        Effect.SAMPLE,
        gen_fault,
    ),
    row(
        "select",
        "Chooses among texts by their likelihood: the prompt that goes on with the chosen one, and that text.",
        "prompt text* -> prompt text",
        {"site": AttributeRow(_TEXT), "method": AttributeRow(_TEXT, default="token_length_normalized")},
    ),
)
"""Operations that say what is meant."""

PROGRAM_OPS: Mapping[str, OpRow] = {each.name: each for each in (*PROGRAM_ROWS, *SHARED_ROWS)}


def rows_of(level: str) -> Mapping[str, OpRow]:
    """Return the table of a level: "program" or "plan"."""
    if level == "program":
        return PROGRAM_OPS
    from sglc.ir.plan_ops import PLAN_OPS

    return PLAN_OPS
